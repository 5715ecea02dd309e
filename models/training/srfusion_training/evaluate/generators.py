"""PSNR and SSIM of the generators on the development pictures, beside bicubic.

As the field reports them for x4: on luma (BT.601, studio swing) of pictures rounded to 8 bits, four pixels of the border left
out; SSIM with an 11x11 Gaussian of sigma 1.5, only where the window fits. The general sets use their own LRx4 pictures.

With ``--compress CRF`` the low-resolution pictures are what a camera sends: each is encoded by x264 at that rate factor (one key
frame, preset medium, 4:2:0; sides made even by repeating the last row or column, which is cut off again) and decoded. ``--noise``
adds a sensor's noise before that.

Faces: a portrait is made smaller (never larger) so that its face box is 4 x 16, 4 x 32 or 4 x 64 px high, cut to sides
divisible by 4, shrunk by 4, enlarged whole by each method, and measured inside the face box only.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..data import coding, colour, degrade, pictures, resize
from ..export.session import session
from .measures import Score, score

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


def bicubic(low: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] -> uint8[4h, 4w, 3]."""
    return resize.resize_u8(low, 4.0)


#: uint8[h, w, 3] -> f64[4h, 4w, 3] in about 0..255, neither clamped nor rounded.
Upscale = Callable[[np.ndarray], np.ndarray]


def upscaler(model: Any, threads: int) -> Upscale:
    """A generator as a function of RGB pictures, from a graph or a file, whatever it takes: RGB or luma (the chroma is enlarged by
    bicubic interpolation), float32 in 0..1 or uint8 samples."""
    run = session(model, threads)
    entry = run.get_inputs()[0]
    planes, samples = entry.shape[1], entry.type == "tensor(uint8)"
    if planes not in (1, 3) or entry.type not in ("tensor(uint8)", "tensor(float)"):
        raise ValueError(f"the generator takes {entry.type} of {planes} channels, not float32 or uint8 of 3 (RGB) or 1 (luma)")

    def upscale(low: np.ndarray) -> np.ndarray:
        given = colour.luma(low)[..., None] if planes == 1 else low
        tensor = np.ascontiguousarray(given.transpose(2, 0, 1)[None])
        tensor = resize.to_u8(tensor) if samples else (tensor / 255.0).astype(np.float32)
        high = run.run(None, {entry.name: tensor})[0][0].transpose(1, 2, 0).astype(np.float64)
        high = high if samples else high * 255.0
        return high if planes == 3 else colour.with_luma(resize.resize(low, 4.0), high[..., 0])

    return upscale


def generator(file: Path, threads: int) -> Method:
    """:func:`upscaler` of an ONNX file, rounded."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such model")
    upscale = upscaler(file, threads)
    return lambda low: resize.to_u8(upscale(low))


def unharmed(low: np.ndarray) -> np.ndarray:
    """The picture itself."""
    return low


def compressed(crf: int) -> Damage:
    """Through x264 at ``crf`` and back, see the module's text."""

    def damage(low: np.ndarray) -> np.ndarray:
        height, width = low.shape[:2]
        even = np.pad(low, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return coding.coded(even[None], crf)[0, :height, :width]

    return damage


def noisy(strength: float, then: Damage) -> Damage:
    """Sensor noise of this standard deviation in grey levels (:func:`degrade.noise`, the same for the same picture every time), and
    what comes ``then``."""

    def damage(low: np.ndarray) -> np.ndarray:
        return then(degrade.noise(low, strength, np.random.default_rng(zlib.crc32(low.tobytes()))))

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
        for path in pictures.picture_files(folder / name / "HR"):
            low = damage(pictures.read_rgb(folder / name / "LRx4" / path.name))
            true = pictures.read_rgb(path)[: low.shape[0] * 4, : low.shape[1] * 4]
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
    boxes = {name: box for name, box in pictures.read_faces(folder).items() if name.startswith("dev/face/")}
    if not boxes:
        raise ValueError(f"{folder / 'faces.csv'}: names no picture of dev/face")
    table: dict[str, dict[str, dict[str, float]]] = {}
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for height in FACE_HEIGHTS:
        scores: dict[str, dict[str, Score]] = {method: {} for method in methods}
        for name, fractions in sorted(boxes.items()):
            source = pictures.read_rgb(folder / name)
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
