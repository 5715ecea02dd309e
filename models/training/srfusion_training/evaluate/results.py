"""The source's Table 1 on our data: general, face, mixed, face with face-feature loss, and their fusion; ``docs/results.md``.

All rows are one architecture, trained for as many steps of as many patches with one schedule from one ancestor; the command
compares what the checkpoints say and stops where they differ. Test sets, measures and boxes are said in the page it writes.
Mask padding and sigma are measured on portraits of ``train/face`` that were held out of training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import pictures, resize
from ..detect.finder import Finder
from ..export.generator import to_onnx
from ..nets.compact import collapse
from ..nets.rrdb import RRDB
from ..train import checkpoints
from . import fusion
from .embedding import Embedding, aligned, read_points
from .generators import BORDER, Upscale, bicubic, upscaler
from .measures import score
from .page import strip
from .table import FUSION, FUSION_PLAIN, ROWS

#: Heights of the face at low resolution on the face set, spread evenly over the pictures.
FACE_HEIGHTS = (32.0, 48.0)
PICTURES = ("canada-010f", "canada-098m", "lucy-mcbath", "jamaal-bowman")


#: Of a checkpoint's recipe, what must be equal for rows to be compared; they differ in their pictures and in the face-feature loss.
EQUAL = (
    "batch", "side", "degrade", "degraded_share", "optimizer", "rate", "muon_rate", "schedule", "loss", "decay", "precision", "teacher_share", "start",
    "perceptual", "gan",
)  # fmt: skip


def load_rows(folder: Path, threads: int) -> tuple[dict[str, Upscale], dict[str, Any]]:
    """The rows' generators, and what they have in common: architecture, shape, steps, seed and the recipe's :data:`EQUAL`; ValueError
    if they differ. Checkpoints of before recipes were kept are compared by what they say."""
    rows: dict[str, Upscale] = {}
    common: dict[str, Any] = {}
    for row, name in ROWS.items():
        checkpoint = checkpoints.load_checkpoint(folder / f"{name}.pt")
        network = checkpoints.averaged_network(checkpoint)
        network = network if isinstance(network, RRDB) else collapse(network)
        rows[row] = upscaler(to_onnx(network, name), threads)
        recipe = checkpoint.get("recipe", {})
        found = {
            "architecture": checkpoint.get("architecture", "compact"), "shape": checkpoint["shape"], "steps": checkpoint["steps"],
            "seed": checkpoint.get("seed"), "recipe": {key: recipe[key] for key in EQUAL if key in recipe},
        }  # fmt: skip
        if common and found != common:
            raise ValueError(f"{folder / name}.pt was trained as {found}, the rows before it as {common}: train all for one budget")
        common = found
    return rows, common


def enlarge(low: np.ndarray, rows: dict[str, Upscale], finder: Finder, padding: float, sigma: float):  # type: ignore[no-untyped-def]
    """Every row's picture of one low-resolution picture, uint8, the fusions included; and w."""
    raw = {row: upscale(low) for row, upscale in rows.items()}
    weight = fusion.mask(finder(low), *low.shape[:2], padding, sigma)
    raw[FUSION_PLAIN] = fusion.fuse(raw["general"], raw["face"], weight)
    raw[FUSION] = fusion.fuse(raw["general"], raw["face with face-feature loss"], weight)
    return {row: resize.to_u8(picture) for row, picture in raw.items()}, weight


def load_seeds(folders: Sequence[Path], threads: int) -> tuple[list[dict[str, Upscale]], dict[str, Any]]:
    """:func:`load_rows` of one folder a seed, and what all have in common (``seeds`` lists theirs); ValueError if folders differ in
    anything but the seed, or two have the same one."""
    loaded = [load_rows(folder, threads) for folder in folders]
    seeds = [common["seed"] for _, common in loaded]
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"the folders {', '.join(map(str, folders))} hold seeds {seeds}: each is to be trained with one of its own (--seed)")

    def without(common: dict[str, Any]) -> dict[str, Any]:
        # Each seed may have an ancestor of its own.
        recipe = {key: value for key, value in common["recipe"].items() if key != "start"}
        return {key: value for key, value in common.items() if key != "seed"} | {"recipe": recipe}

    for folder, (_, common) in zip(folders[1:], loaded[1:]):
        if without(common) != without(loaded[0][1]):
            raise ValueError(f"{folder} was trained as {without(common)}, {folders[0]} as {without(loaded[0][1])}: train all for one budget")
    return [rows for rows, _ in loaded], without(loaded[0][1]) | {"seeds": seeds}


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One result of several by :func:`measure`: ``table`` is the mean over the seeds, ``deviation`` the standard deviation of a
    sample (zero for one seed), ``by-seed`` the tables themselves."""
    tables = [result["table"] for result in results]
    values = {row: np.array([table[row] for table in tables]) for row in tables[0]}
    few = len(tables) < 2
    return results[0] | {
        "table": {row: value.mean(0).tolist() for row, value in values.items()},
        "deviation": {row: [0.0] * value.shape[1] if few else value.std(0, ddof=1).tolist() for row, value in values.items()},
        "by-seed": tables,
    }


def face_pairs(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray, float, np.ndarray]]:
    """(name, high, low, face height at low resolution, landmarks in high-resolution pixels) of dev/face."""
    boxes, points = pictures.read_faces(folder), read_points(folder)
    names = sorted(name for name in boxes if name.startswith("dev/face/"))
    if not names:
        raise ValueError(f"{folder / 'faces.csv'}: names no picture of dev/face")
    pairs = []
    for index, name in enumerate(names):
        source = pictures.read_rgb(folder / name)
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
        for path in pictures.picture_files(args.data / "dev" / "general" / name / "HR"):
            low = pictures.read_rgb(args.data / "dev" / "general" / name / "LRx4" / path.name)
            true = pictures.read_rgb(path)[: low.shape[0] * 4, : low.shape[1] * 4]
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
