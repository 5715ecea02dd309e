"""PSNR and SSIM of the generators on the development pictures, beside bicubic.

As the field reports them for x4: on luma (BT.601, studio swing) of pictures rounded to 8 bits, four pixels of the border left
out; SSIM with an 11x11 Gaussian of sigma 1.5, only where the window fits. The general sets use their own LRx4 pictures.

With ``--compress CRF`` the low-resolution pictures are what a camera sends: each is encoded by x264 at that rate factor (one key
frame, preset medium, 4:2:0; sides made even by repeating the last row or column, which is cut off again) and decoded.

Faces: a portrait is made smaller (never larger) so that its face box is 4 x 16, 4 x 32 or 4 x 64 px high, cut to sides
divisible by 4, shrunk by 4, enlarged whole by each method, and measured inside the face box only.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from . import catalogue, data, degrade, export_generator, resize

SETS = ("Set5", "Set14", "BSD100", "Urban100")
FACE_HEIGHTS = (16, 32, 64)
#: Groups of dev/face that the data tells apart, by the file's name; measured at GROUP_HEIGHT.
GROUPS = {
    "officials": re.compile(r"^(?!canada-)"),
    "Canada set, women": re.compile(r"^canada-\d+f"),
    "Canada set, men": re.compile(r"^canada-\d+m"),
}
GROUP_HEIGHT = 32
BORDER = 4

Method = Callable[[np.ndarray], np.ndarray]
#: What happens to a low-resolution picture before it is enlarged: uint8[h, w, 3] -> the same shape.
Damage = Callable[[np.ndarray], np.ndarray]
#: PSNR in dB and SSIM.
Score = tuple[float, float]


def luma(image: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] RGB -> f64[h, w], BT.601 studio swing, 16..235, not rounded."""
    return 16.0 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255.0


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """dB between two luma planes, peak 255; infinite where they are equal."""
    error = np.mean((first - second) ** 2)
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))


def _blur(plane: np.ndarray) -> np.ndarray:
    """f64[h, w] -> f64[h - 10, w - 10], Gaussian of sigma 1.5 over 11x11."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2.0 * 1.5**2))
    taps /= taps.sum()
    rows = sum(tap * plane[index : plane.shape[0] - 10 + index] for index, tap in enumerate(taps))
    return sum(tap * rows[:, index : plane.shape[1] - 10 + index] for index, tap in enumerate(taps))


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Mean structural similarity of two luma planes of at least 11x11, peak 255 (Wang et al., 2004).

    Luma as :func:`luma` gives it, not rounded. Window: 11x11, Gaussian of sigma 1.5, weights of sum 1. With m, v and c the weighted
    mean, variance (E[x^2] - m^2, not corrected for the number of samples) and covariance, at each place::

        (2 m1 m2 + C1)(2 c + C2) / ((m1^2 + m2^2 + C1)(v1 + v2 + C2)),   C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2

    averaged over the places where the window lies inside the planes whole: (h - 10) x (w - 10). All in 64-bit floats.
    """
    c1, c2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
    m1, m2 = _blur(first), _blur(second)
    v1, v2 = _blur(first**2) - m1**2, _blur(second**2) - m2**2
    cross = _blur(first * second) - m1 * m2
    value = ((2 * m1 * m2 + c1) * (2 * cross + c2)) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2))
    return float(value.mean())


def score(generated: np.ndarray, true: np.ndarray) -> Score:
    """PSNR and SSIM of two uint8[h, w, 3] pictures, as they are."""
    if generated.shape != true.shape:
        raise ValueError(f"the generated picture is {generated.shape}, the true one {true.shape}")
    first, second = luma(generated), luma(true)
    return psnr(first, second), ssim(first, second)


def bicubic(low: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] -> uint8[4h, 4w, 3]."""
    return resize.resize_u8(low, 4.0)


def generator(file: Path, threads: int) -> Method:
    """A x4 generator from an ONNX file with the contract of :mod:`export_generator`."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such model")
    run: onnxruntime.InferenceSession = export_generator.session(file, threads)

    def upscale(low: np.ndarray) -> np.ndarray:
        planes = low.transpose(2, 0, 1)[None].astype(np.float32) / 255.0
        (high,) = run.run(None, {run.get_inputs()[0].name: np.ascontiguousarray(planes)})
        return resize.to_u8(high[0].transpose(1, 2, 0) * 255.0)

    return upscale


def unharmed(low: np.ndarray) -> np.ndarray:
    """The picture itself."""
    return low


def compressed(crf: int) -> Damage:
    """Through x264 at ``crf`` and back, see the module's text."""

    def damage(low: np.ndarray) -> np.ndarray:
        height, width = low.shape[:2]
        even = np.pad(low, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return degrade.h264(even[None], crf)[0, :height, :width]

    return damage


def _mean(scores: list[Score]) -> dict[str, float]:
    values = np.array(scores)
    return {"psnr": float(values[:, 0].mean()), "ssim": float(values[:, 1].mean())}


def measure_general(
    folder: Path, methods: dict[str, Method], damage: Damage = unharmed
) -> dict[str, dict[str, dict[str, float]]]:
    """set -> method -> mean PSNR and SSIM over its pictures; ``folder`` is dev/general."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in SETS:
        scores: dict[str, list[Score]] = {method: [] for method in methods}
        for path in data.picture_files(folder / name / "HR"):
            low = damage(data.read_rgb(folder / name / "LRx4" / path.name))
            true = data.read_rgb(path)[: low.shape[0] * 4, : low.shape[1] * 4]
            for method, upscale in methods.items():
                inner = slice(BORDER, -BORDER)
                scores[method].append(score(upscale(low)[inner, inner], true[inner, inner]))
        table[name] = {method: _mean(values) for method, values in scores.items()}
    return table


def measure_face(
    folder: Path, methods: dict[str, Method], damage: Damage = unharmed
) -> dict[str, dict[str, dict[str, float]]]:
    """"16 px".. and the groups -> method -> mean PSNR and SSIM inside the face box; ``folder`` is the data folder.

    ``better`` of a method is the part of the pictures on which its PSNR is above that of the method before it.
    """
    boxes = {name: box for name, box in data.read_faces(folder).items() if name.startswith("dev/face/")}
    if not boxes:
        raise ValueError(f"{folder / 'faces.csv'}: names no picture of dev/face")
    table: dict[str, dict[str, dict[str, float]]] = {}
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for height in FACE_HEIGHTS:
        scores: dict[str, dict[str, Score]] = {method: {} for method in methods}
        for name, fractions in sorted(boxes.items()):
            source = data.read_rgb(folder / name)
            scale = min(4.0 * height / ((fractions[3] - fractions[1]) * source.shape[0]), 1.0)
            true = resize.mod4(resize.resize_u8(source, scale) if scale < 1.0 else source)
            low = damage(resize.resize_u8(true, 0.25))
            x0, x1 = (round(fractions[at] * source.shape[1] * scale) for at in (0, 2))
            y0, y1 = (round(fractions[at] * source.shape[0] * scale) for at in (1, 3))
            inner = slice(max(y0, 0), y1), slice(max(x0, 0), x1)
            for method, upscale in methods.items():
                scores[method][name] = score(upscale(low)[inner], true[inner])
        row = {method: _mean(list(values.values())) for method, values in scores.items()}
        names = list(methods)
        for earlier, later in zip(names, names[1:]):
            wins = [scores[later][name][0] > scores[earlier][name][0] for name in boxes]
            row[later]["better"] = float(np.mean(wins))
        table[f"{height} px"] = row
        if height == GROUP_HEIGHT:
            for group, pattern in GROUPS.items():
                inside = [name for name in boxes if pattern.search(name.rsplit("/", 1)[-1])]
                if inside:
                    groups[f"{height} px, {group} ({len(inside)})"] = {
                        method: _mean([values[name] for name in inside]) for method, values in scores.items()
                    }
    return table | groups


def format_table(title: str, table: dict[str, dict[str, dict[str, float]]]) -> str:
    """Rows of sets, columns of methods, as Markdown."""
    methods = list(next(iter(table.values())))
    lines = [f"| {title} | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for name, row in table.items():
        cells = [f"{row[method]['psnr']:.3f} / {row[method]['ssim']:.4f}" for method in methods]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate-generator``."""
    parser.add_argument("--data", type=Path, default=data.default_data(), help="folder with dev/ and faces.csv")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the ONNX files")
    parser.add_argument("--general", default="general-x4.onnx", help="file of the general generator")
    parser.add_argument("--face", default="face-x4.onnx", help="file of the face generator, or 'none'")
    parser.add_argument("--compress", type=int, metavar="CRF", help="put the low-resolution pictures through x264 first")
    parser.add_argument(
        "--beside", action="append", default=[], metavar="FILE", help="another generator to measure, named by its file (repeatable)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    damage = unharmed if args.compress is None else compressed(args.compress)
    beside = {Path(file).stem: generator(args.models / file, args.threads) for file in args.beside}
    general: dict[str, Method] = {"bicubic": bicubic, "general": generator(args.models / args.general, args.threads)}
    methods = dict(general)
    if args.face != "none":
        methods["face"] = generator(args.models / args.face, args.threads)
    result = {
        "general": measure_general(args.data / "dev" / "general", general | beside, damage),
        "face": measure_face(args.data, methods | beside, damage),
    }
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        after = "" if args.compress is None else f", low-resolution pictures through x264 at crf {args.compress}"
        print(f"PSNR-Y in dB / SSIM-Y{after}\n")
        print(format_table("general sets", result["general"]))
        print()
        print(format_table("inside the face box, low-resolution face height", result["face"]))
        if "face" in methods:
            rows = [(name, row["face"]) for name, row in result["face"].items() if "better" in row["face"]]
            wins = ", ".join(f"{name}: {row['better']:.0%}" for name, row in rows)
            print(f"\nfaces on which the face generator has the higher PSNR: {wins}")
    return 0
