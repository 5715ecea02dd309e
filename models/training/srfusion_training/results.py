"""The source's Table 1 on our data: general, face, mixed, face with face-feature loss, and their fusion; ``docs/results.md``.

All rows are one architecture, trained for as many steps of as many patches with one schedule from one ancestor; the command
compares what the checkpoints say and stops where they differ. Test sets, measures and boxes are said in the page it writes.
Mask padding and sigma are measured on portraits of ``train/face`` that were held out of training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import catalogue, curves, data, export_generator, fusion, resize, train_generator
from .evaluate_generator import BORDER, SETS, bicubic, luma, psnr, score
from .finder import Finder
from .networks import collapse
from .rrdb import RRDB

#: Row of the table -> checkpoint of that name.
ROWS = {
    "general": "general",
    "face": "face",
    "general+face mixed": "mixed",
    "face with face-feature loss": "face-feature",
}
FUSION, FUSION_PLAIN = "fusion", "fusion with plain face"
#: The source's Table 1: DIV2K and FFHQ, PSNR / SSIM.
SOURCE = {
    "general": ("28.793 / 0.799", "28.438 / 0.845"),
    "face": ("28.315 / 0.788", "28.911 / 0.842"),
    "general+face mixed": ("28.588 / 0.793", "28.720 / 0.847"),
    "face with face-feature loss": ("28.317 / 0.791", "29.037 / 0.841"),
    FUSION: ("28.846 / 0.797", "29.227 / 0.846"),
}
COLUMNS = ("general PSNR", "general SSIM", "face PSNR", "face SSIM", "similarity")
#: Heights of the face at low resolution on the face set, spread evenly over the pictures.
FACE_HEIGHTS = (32.0, 48.0)
#: Places of eyes, nose and mouth corners in the 112 x 112 picture that face embeddings are trained on (ArcFace's template).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
EMBEDDING_SIDE = 112
PADDINGS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
SIGMAS = (0.0, 0.05, 0.1, 0.15, 0.2)
#: Margin around the face's box, as a fraction of it, inside which the mask's effect is measured.
WIDENED = 0.5
#: Low-resolution face heights at which the mask is measured.
MASK_HEIGHTS = (20.0, 40.0)
PICTURES = ("canada-010f", "canada-098m", "lucy-mcbath", "jamaal-bowman")

#: uint8[h, w, 3] -> f64[4h, 4w, 3] in about 0..255, neither clamped nor rounded.
Upscale = Callable[[np.ndarray], np.ndarray]


def upscaler(model: Any, threads: int) -> Upscale:
    """A generator as a function, from a graph or a file."""
    run = export_generator.session(model, threads)

    def upscale(low: np.ndarray) -> np.ndarray:
        planes = np.ascontiguousarray(low.transpose(2, 0, 1)[None], dtype=np.float32) / 255.0
        return run.run(None, {run.get_inputs()[0].name: planes})[0][0].transpose(1, 2, 0).astype(np.float64) * 255.0

    return upscale


def load_rows(folder: Path, threads: int) -> tuple[dict[str, Upscale], dict[str, Any]]:
    """The rows' generators, and what they have in common (architecture, steps, patches); ValueError if they differ."""
    rows: dict[str, Upscale] = {}
    common: dict[str, Any] = {}
    for row, name in ROWS.items():
        checkpoint = train_generator.load_checkpoint(folder / f"{name}.pt")
        network = train_generator.averaged_network(checkpoint)
        network = network if isinstance(network, RRDB) else collapse(network)
        rows[row] = upscaler(export_generator.to_onnx(network, name), threads)
        found = {"architecture": checkpoint.get("architecture", "compact"), "shape": checkpoint["shape"], "steps": checkpoint["steps"]}
        if common and found != common:
            raise ValueError(f"{folder / name}.pt was trained as {found}, the rows before it as {common}: train all for one budget")
        common = found
    return rows, common


def aligned(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face of uint8[h, w, 3] turned and scaled so that its five ``points`` f[5, 2] in pixels lie as TEMPLATE, by least
    squares: uint8[112, 112, 3]."""
    # x' = a x - b y + c, y' = b x + a y + d, from the template to the picture, which is the direction of sampling.
    x, y = TEMPLATE[:, 0], TEMPLATE[:, 1]
    one, zero = np.ones(5), np.zeros(5)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(system, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    side = (EMBEDDING_SIDE, EMBEDDING_SIDE)
    image = Image.fromarray(picture).transform(side, Image.Transform.AFFINE, (a, -b, c, b, a, d), Image.Resampling.BICUBIC)
    return np.asarray(image)


class Embedding:
    """Cosine similarity of two pictures of a face under an embedding network (ONNX, f32[1, 3, 112, 112], ImageNet-normalised)."""

    def __init__(self, file: Path, threads: int) -> None:
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such embedding network")
        self.run = export_generator.session(file, threads)

    def of(self, face: np.ndarray) -> np.ndarray:
        """uint8[112, 112, 3] -> a vector of length 1."""
        value = (face / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        planes = np.ascontiguousarray(value.transpose(2, 0, 1)[None], dtype=np.float32)
        vector = self.run.run(None, {self.run.get_inputs()[0].name: planes})[0].ravel()
        return vector / np.linalg.norm(vector)


def read_points(folder: Path) -> dict[str, np.ndarray]:
    """Path -> f64[5, 2], landmarks as fractions of width and height."""
    import csv

    with open(folder / "faces.csv", newline="", encoding="utf-8") as file:
        return {
            row["path"]: np.array([[float(row[f"lx{index}"]), float(row[f"ly{index}"])] for index in range(5)])
            for row in csv.DictReader(file)
        }


def enlarge(low: np.ndarray, rows: dict[str, Upscale], finder: Finder, padding: float, sigma: float):  # type: ignore[no-untyped-def]
    """Every row's picture of one low-resolution picture, uint8, the fusions included; and w."""
    raw = {row: upscale(low) for row, upscale in rows.items()}
    weight = fusion.mask(finder(low), *low.shape[:2], padding, sigma)
    raw[FUSION_PLAIN] = fusion.fuse(raw["general"], raw["face"], weight)
    raw[FUSION] = fusion.fuse(raw["general"], raw["face with face-feature loss"], weight)
    return {row: resize.to_u8(picture) for row, picture in raw.items()}, weight


def face_pairs(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray, float, np.ndarray]]:
    """(name, high, low, face height at low resolution, landmarks in high-resolution pixels) of dev/face."""
    boxes, points = data.read_faces(folder), read_points(folder)
    names = sorted(name for name in boxes if name.startswith("dev/face/"))
    if not names:
        raise ValueError(f"{folder / 'faces.csv'}: names no picture of dev/face")
    pairs = []
    for index, name in enumerate(names):
        source = data.read_rgb(folder / name)
        wanted = FACE_HEIGHTS[0] + (FACE_HEIGHTS[1] - FACE_HEIGHTS[0]) * index / max(1, len(names) - 1)
        scale = min(4.0 * wanted / ((boxes[name][3] - boxes[name][1]) * source.shape[0]), 1.0)
        high = resize.mod4(resize.resize_u8(source, scale) if scale < 1.0 else source)
        high = high[:, : high.shape[1] // 4 * 4]
        low = resize.resize_u8(high, 0.25)
        height = (boxes[name][3] - boxes[name][1]) * source.shape[0] * scale / 4.0
        place = points[name] * np.array([source.shape[1], source.shape[0]]) * scale
        pairs.append((name, high, low, height, place))
    return pairs


def measure(args: argparse.Namespace, rows: dict[str, Upscale], finder: Finder) -> dict[str, Any]:
    """The table: row -> its five columns; beside it how many general pictures have a face and the embeddings' number."""
    inner = slice(BORDER, -BORDER)
    general: dict[str, list[tuple[float, float]]] = {}
    with_face = count = 0
    for name in args.sets:
        for path in data.picture_files(args.data / "dev" / "general" / name / "HR"):
            low = data.read_rgb(args.data / "dev" / "general" / name / "LRx4" / path.name)
            true = data.read_rgb(path)[: low.shape[0] * 4, : low.shape[1] * 4]
            made, weight = enlarge(low, rows, finder, args.padding, args.sigma)
            made["bicubic"] = bicubic(low)
            for row, picture in made.items():
                general.setdefault(row, []).append(score(picture[inner, inner], true[inner, inner]))
            with_face, count = with_face + bool(weight.max() > 0), count + 1
    embedding = Embedding(args.embedding, args.threads)
    face: dict[str, list[tuple[float, float]]] = {}
    similar: dict[str, list[float]] = {}
    found = 0
    pairs = face_pairs(args.data)
    for _, high, low, _, points in pairs:
        made, weight = enlarge(low, rows, finder, args.padding, args.sigma)
        made["bicubic"] = bicubic(low)
        truth = embedding.of(aligned(high, points))
        found += bool(weight.max() > 0)
        for row, picture in made.items():
            face.setdefault(row, []).append(score(picture[inner, inner], high[inner, inner]))
            similar.setdefault(row, []).append(float(embedding.of(aligned(picture, points)) @ truth))
    table = {
        row: [*np.mean(general[row], axis=0).tolist(), *np.mean(face[row], axis=0).tolist(), float(np.mean(similar[row]))]
        for row in ("bicubic", *ROWS, FUSION_PLAIN, FUSION)
    }
    heights = [height for _, _, _, height, _ in pairs]
    return {
        "table": table, "general-pictures": count, "general-with-face": with_face, "faces": len(pairs), "faces-found": found,
        "heights": [min(heights), max(heights)],
    }  # fmt: skip


def ranks(table: dict[str, list[float]]) -> dict[str, int]:
    """Column -> place of the fusion row among the rows of the source's table, 1 is best; equal to the digits shown is equal."""
    result = {}
    for index, column in enumerate(COLUMNS):
        digits = 3 if "PSNR" in column else 4
        values = [round(table[row][index], digits) for row in (*ROWS, FUSION)]
        result[column] = 1 + sum(value > values[-1] for value in values)
    return result


def jittered(box: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A box as tracking gives it: shifted by 3 %, its sides changed by 5 % (standard deviations, of its sides)."""
    size = np.array([box[2] - box[0], box[3] - box[1]])
    centre = (box[:2] + box[2:]) / 2 + random.normal(0.0, 0.03, 2) * size
    size = size * np.exp(random.normal(0.0, 0.05, 2))
    return np.concatenate([centre - size / 2, centre + size / 2])


def over_photograph(portrait: np.ndarray, box: np.ndarray, photograph: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint8[512, 512, 3]: head and shoulders of a square portrait cut out and set over a piece of a photograph, as in the
    detector's training. ``box`` of the face as fractions."""
    from .detector.data import PORTRAIT, _person_mask

    if portrait.shape[0] != portrait.shape[1]:
        raise ValueError(f"portraits must be square to be cut out, not {portrait.shape[1]} x {portrait.shape[0]}")
    portrait = resize.resize_u8(portrait, PORTRAIT / portrait.shape[0])[:PORTRAIT, :PORTRAIT]
    matte = Image.fromarray(_person_mask(portrait, box * PORTRAIT)).resize((PORTRAIT, PORTRAIT), Image.Resampling.BICUBIC)
    alpha = np.asarray(matte, dtype=np.float32)[..., None] / 255.0
    y, x = (int(random.integers(side - PORTRAIT + 1)) for side in photograph.shape[:2])
    piece = photograph[y : y + PORTRAIT, x : x + PORTRAIT]
    return resize.to_u8(alpha * portrait + (1.0 - alpha) * piece)


def measure_mask(args: argparse.Namespace, general: Upscale, face: Upscale) -> dict[str, Any]:
    """PSNR-Y in dB inside the widened box over PADDINGS x SIGMAS, the mean over held-out portraits of train/face and two face
    heights, as they are ("studio") and cut out over held-out photographs ("photograph"); and of the two networks alone.
    Fused on luma, not rounded."""
    random = np.random.default_rng(3)
    boxes = {n: b for n, b in data.read_faces(args.data).items() if n.startswith("train/face/") and data._is_held_out(n[11:])}
    names = sorted(boxes)[:: max(1, len(boxes) // args.mask_pictures)][: args.mask_pictures]
    photographs = [path for path in data.picture_files(args.data / "train" / "general") if data._is_held_out(path.name)]
    # Photographs are soft at full size.
    backgrounds = [resize.resize_u8(data.read_rgb(path), 0.6) for path in photographs]
    backgrounds = [picture for picture in backgrounds if min(picture.shape[:2]) >= 512]
    result: dict[str, Any] = {"pictures": len(names), "photographs": len(backgrounds)}
    for kind in ("studio", "photograph") if backgrounds else ("studio",):
        grid: dict[tuple[float, float], list[float]] = {(p, s): [] for p in PADDINGS for s in SIGMAS}
        alone: dict[str, list[float]] = {"general": [], "face": []}
        for name in names:
            source = data.read_rgb(args.data / name)
            if kind == "photograph":
                photograph = backgrounds[int(random.integers(len(backgrounds)))]
                source = over_photograph(source, np.array(boxes[name]), photograph, random)
            size = np.array([source.shape[1], source.shape[0]] * 2)
            for height in MASK_HEIGHTS:
                scale = min(4.0 * height / ((boxes[name][3] - boxes[name][1]) * source.shape[0]), 1.0)
                high = resize.mod4(resize.resize_u8(source, scale))
                high = high[:, : high.shape[1] // 4 * 4]
                low = resize.resize_u8(high, 0.25)
                box = np.array(boxes[name]) * size * scale / 4.0
                true, first, second = luma(high), *(luma(np.clip(up(low), 0.0, 255.0)) for up in (general, face))
                margin = WIDENED * np.array([box[2] - box[0], box[3] - box[1]])
                x0, y0 = np.maximum(np.round(4 * (box[:2] - margin)).astype(int), BORDER)
                x1, y1 = np.minimum(np.round(4 * (box[2:] + margin)).astype(int), np.array(high.shape[1::-1]) - BORDER)
                part = slice(y0, y1), slice(x0, x1)
                alone["general"].append(psnr(first[part], true[part]))
                alone["face"].append(psnr(second[part], true[part]))
                tracked = [jittered(box, random) for _ in range(2)]
                for (padding, sigma), values in grid.items():
                    for seen in tracked:
                        weight = fusion.mask([seen], *low.shape[:2], padding, sigma)[part]
                        values.append(psnr(fusion.fuse(first[part], second[part], weight), true[part]))
        result[kind] = {
            "alone": {name: float(np.mean(values)) for name, values in alone.items()},
            "grid": [[p, s, float(np.mean(values))] for (p, s), values in grid.items()],
        }
    return result


def strip(panels: list[tuple[str, np.ndarray]], file: Path, side: int = 200) -> None:
    """Pictures side by side in a JPEG, each with its name above, enlarged to ``side`` px of width by repeating samples."""
    font = ImageFont.load_default(13)
    scale = max(1, round(side / panels[-1][1].shape[1]))
    tall = max(picture.shape[0] for _, picture in panels) * scale
    wide = max(picture.shape[1] for _, picture in panels) * scale
    columns = 4
    lines = -(-len(panels) // columns)
    image = Image.new("RGB", (columns * (wide + 4) - 4, lines * (tall + 22)), "white")
    pen = ImageDraw.Draw(image)
    for index, (name, picture) in enumerate(panels):
        x, y = index % columns * (wide + 4), index // columns * (tall + 22)
        pen.text((x + 2, y + 3), name, "black", font=font)
        shown = Image.fromarray(picture).resize((picture.shape[1] * scale, picture.shape[0] * scale), Image.Resampling.NEAREST)
        image.paste(shown, (x, y + 20))
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90, optimize=True)


def draw_pictures(args: argparse.Namespace, rows: dict[str, Upscale], finder: Finder) -> list[str]:
    """The face of some portraits under every row, beside LR, HR and w; returns the files' names."""
    files = []
    for name, high, low, height, points in face_pairs(args.data):
        stem = Path(name).stem
        if stem not in PICTURES:
            continue
        made, weight = enlarge(low, rows, finder, args.padding, args.sigma)
        # Around the face, with some of the surroundings that the general generator draws.
        centre, reach = points.mean(axis=0), 1.0 * height * 4.0
        y0, x0 = (max(0, int(centre[axis] - reach)) // 4 * 4 for axis in (1, 0))
        y1, x1 = (min(high.shape[side], int(centre[axis] + reach) // 4 * 4) for axis, side in ((1, 0), (0, 1)))
        part = slice(y0, y1), slice(x0, x1)
        small = low[y0 // 4 : y1 // 4, x0 // 4 : x1 // 4].repeat(4, axis=0).repeat(4, axis=1)
        shade = np.repeat(resize.to_u8(255.0 * weight)[..., None], 3, axis=2)
        short = {"general+face mixed": "mixed", "face with face-feature loss": "face-feature"}
        panels = [("input", small), *((short.get(row, row), made[row][part]) for row in (*ROWS, FUSION))]
        panels += [("original", high[part]), ("w", shade[part])]
        strip(panels, args.docs / "results" / f"{stem}.jpg")
        files.append(f"{stem}.jpg")
    return files


def cell(table: dict[str, list[float]], row: str, index: int) -> str:
    """A number, bold where it is the best of the source's five rows, in italics where it is the second."""
    digits = 3 if "PSNR" in COLUMNS[index] else 4
    text = f"{table[row][index]:.{digits}f}"
    values = sorted({round(table[other][index], digits) for other in (*ROWS, FUSION)}, reverse=True)
    if row in (*ROWS, FUSION):
        place = values.index(round(table[row][index], digits))
        return f"**{text}**" if place == 0 else f"*{text}*" if place == 1 else text
    return text


def page(args: argparse.Namespace, result: dict[str, Any]) -> str:
    """docs/results.md."""
    table, common, mask = result["table"], result["common"], result["mask"]
    low, high = result["heights"]
    ordinal = ("best", "second best", "third", "fourth", "last")
    places = ranks(table)
    lines = [
        "# The method against its parts", "",
        "Made by `python -m srfusion_training results` (models/training). It asks the question of the source's Table 1: does fusing a",
        "general and a face generator under a face mask beat either of them alone, and one generator trained on both?", "",
        "## Table", "",
        "| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS),
    ]  # fmt: skip
    for row in ("bicubic", *ROWS, FUSION_PLAIN, FUSION):
        lines.append(f"| {row} | " + " | ".join(cell(table, row, index) for index in range(len(COLUMNS))) + " |")
    lines += [
        "", "PSNR in dB and SSIM on luma, bold: best, italics: second best of the rows that the source has (all but bicubic and the fusion",
        "with the plain face generator). The fusion row is " + ", ".join(f"{ordinal[place - 1]} in {column}" for column, place in places.items()) + ".", "",
        f"* **general**: {result['general-pictures']} pictures of {', '.join(args.sets)}, whole, 4 pixels of border left out. The shipped detector finds a face",
        f"  in {result['general-with-face']} of them: elsewhere the fusion is the general generator.",
        f"* **face**: {result['faces']} portraits of data/dev/face, made smaller so that the face is {low:.0f} to {high:.0f} px high at low resolution; measured whole,",
        f"  hair, clothes and background included, 4 pixels of border left out. The detector finds the face in {result['faces-found']}.",
        "* **similarity**: cosine of the face embeddings of the generated and the true portrait, aligned by the landmarks of faces.csv, mean.",
        "  The row with the face-feature loss was trained with a layer of the same network, so this column favours it and the fusion.",
        f"* **Rows**: one architecture ({common['architecture']}, {', '.join(f'{key} {value}' for key, value in common['shape'].items() if key != 'expansion')}),",
        f"  each trained for {common['steps']} steps of {args.batch} patches (or as many pixels of smaller ones) from one ancestor, a general generator,",
        f"  with one schedule. {args.note}".rstrip(),
        f"* **Fusion**: equations (1) to (3), general generator and the face generator with the face-feature loss, padding {args.padding:g}, sigma {args.sigma:g}, boxes of",
        "  the shipped detector on the low-resolution picture through the engine's steps (no tracking: these are single pictures).", "",
        *([args.finding, ""] if args.finding else []),
        "The source's numbers, with ESRGAN's network, DIV2K and FFHQ (PSNR / SSIM); only the order can be compared:", "",
        "| | DIV2K | FFHQ |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {row} | {first} | {second} |" for row, (first, second) in SOURCE.items()]
    lines += ["", "## Mask padding and sigma", ""]
    kinds = {kind: mask[kind] for kind in ("studio", "photograph") if kind in mask}
    lines += [
        f"PSNR-Y inside the face's box widened by {WIDENED:.0%} of its sides on each side, of fused pictures of {mask['pictures']} portraits of data/train that were held",
        f"out of training, faces of {' and '.join(f'{height:.0f}' for height in MASK_HEIGHTS)} px at low resolution, boxes shifted and resized at random as tracking does (3 % and 5 %), with the shipped",
        f"general-x4 and face-x4 (sha256 {mask['sha256'][0]}.. and {mask['sha256'][1]}..). **Studio**: the portraits as they are; hair, shoulders and backdrop are what the face generator has learned too.",
        "**Photograph**: head and shoulders cut out and set over photographs that were held out, which it has not. In brackets the area where the",
        "face generator runs, in areas of the box: its cost.", "",
        "![PSNR over padding](results/mask.png)", "",
    ]  # fmt: skip
    for kind, values in kinds.items():
        grid = {(p, s): value for p, s, value in values["grid"]}
        best = max(grid, key=grid.__getitem__)
        lines += [f"| {kind}: padding | " + " | ".join(f"sigma {s:g}" for s in SIGMAS) + " |", "|---|" + "---|" * len(SIGMAS)]
        for p in PADDINGS:
            lines.append(f"| {p:g} | " + " | ".join(f"{grid[p, s]:.3f} ({fusion.area(p, s):.1f})" for s in SIGMAS) + " |")
        text = f"{kind.capitalize()}: general-x4 alone {values['alone']['general']:.3f} dB, face-x4 alone {values['alone']['face']:.3f} dB. Best on this grid: padding {best[0]:g},"
        text += f" sigma {best[1]:g} with {grid[best]:.3f} dB at {fusion.area(*best):.1f} areas."
        if (args.padding, args.sigma) in grid:
            text += f" Padding {args.padding:g} and sigma {args.sigma:g}, used for the table: {grid[args.padding, args.sigma]:.3f} dB at {fusion.area(args.padding, args.sigma):.1f}."
        lines += ["", text, ""]
    if args.mask_note:
        lines += [args.mask_note, ""]
    lines += [
        "## Pictures", "", "Around the face, pixels doubled or repeated so that nothing is smoothed. Portraits: CivilServiceUSA (MIT); canada-*: Canada face set, CC-BY 4.0,",
        "figshare 4220517; both cut and enlarged here. No picture of the general sets is shown, because their licence is not stated.", "",
    ]  # fmt: skip
    for file in result["pictures"]:
        lines += [f"![{file}](results/{file})", ""]
    return "\n".join(lines).rstrip() + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``results``."""
    folder = train_generator.default_checkpoints() / "table1"
    parser.add_argument("--data", type=Path, default=data.default_data(), help="folder with dev/, train/face and faces.csv")
    parser.add_argument("--rows", type=Path, default=folder, help="folder of the checkpoints general, face, mixed and face-feature")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the detector and the shipped generators")
    parser.add_argument("--docs", type=Path, default=data.repository_folder() / "docs", help="where results.md and results/ go")
    parser.add_argument("--embedding", type=Path, help="ONNX; default: dev/models/mobilefacenet-embedding.onnx of the data")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help="folders of dev/general")
    parser.add_argument("--padding", type=float, default=0.15)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--mask-pictures", type=int, default=24, help="portraits for the mask's curve, at most")
    parser.add_argument("--keep-mask", action="store_true", help="take the mask's numbers from an earlier run, if there was one")
    parser.add_argument("--page-only", action="store_true", help="measure nothing: write results.md again from results.json")
    parser.add_argument("--batch", type=int, default=8, help="patches a step, to be said in the page")
    parser.add_argument("--note", help="a sentence about the rows, for the page")
    parser.add_argument("--finding", help="a paragraph below the table")
    parser.add_argument("--mask-note", help="a paragraph below the mask's table")
    parser.add_argument("--threads", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Measure, draw, write."""
    kept = args.docs / "results" / "results.json"
    earlier = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    notes = dict(earlier.get("notes", {}))
    if notes and not args.page_only:
        print("notes of the earlier run are kept where no new ones are given: see that they still hold", flush=True)
    for name in ("note", "finding", "mask_note"):
        if getattr(args, name) is None:
            setattr(args, name, notes.get(name, ""))
        notes[name] = getattr(args, name)
    if args.page_only:
        if not earlier:
            raise FileNotFoundError(f"{kept}: not there; run 'results' without --page-only first")
        result = earlier | {"notes": notes}
        kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (args.docs / "results.md").write_text(page(args, result), encoding="utf-8")
        return 0
    args.embedding = args.embedding or args.data / "dev" / "models" / "mobilefacenet-embedding.onnx"
    rows, common = load_rows(args.rows, args.threads)
    finder = Finder(args.models, args.threads)
    result = measure(args, rows, finder) | {"common": common}
    for row, values in result["table"].items():
        print(f"{row:30} " + "  ".join(f"{value:8.4f}" for value in values), flush=True)
    folder = args.docs / "results"
    result["notes"] = notes
    if args.keep_mask and "mask" in earlier:
        result["mask"] = earlier["mask"]
    else:
        files = [args.models / f"{name}-x4.onnx" for name in ("general", "face")]
        result["mask"] = measure_mask(args, *(upscaler(file, args.threads) for file in files))
        result["mask"]["sha256"] = [catalogue.sha256_of(file)[:8] for file in files]
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        f"{kind}, sigma {s:g}": [(p, v - result["mask"][kind]["alone"]["general"]) for p, q, v in result["mask"][kind]["grid"] if q == s]
        for kind in ("studio", "photograph") if kind in result["mask"] for s in (0.0, 0.1, 0.2)
    }  # fmt: skip
    curves.plot(lines, folder / "mask.png", "Fusion over the general generator alone, inside the widened face box", "mask padding, fractions of the box", "dB gained")
    result["pictures"] = draw_pictures(args, rows, finder)
    kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (args.docs / "results.md").write_text(page(args, result), encoding="utf-8")
    print(f"{args.docs / 'results.md'}: fusion is " + ", ".join(f"{place}. in {column}" for column, place in ranks(result["table"]).items()))
    return 0
