"""Pictures of curves, drawn with Pillow alone: a plotting library would be the package's largest dependency after PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

#: Told apart by people who see colours differently as well (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values between ``low`` and ``high``, about ``count`` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def plot(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    file: Path,
    title: str,
    across: str,
    up: str,
    size: tuple[int, int] = (720, 440),
) -> None:
    """Write a PNG with one line for each name, given as (x, y) points; values that are not finite are left out."""
    clean = {name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for name, points in lines.items()}
    points = [point for line in clean.values() for point in line]
    if not points:
        raise ValueError(f"{file}: there is no point to draw")
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = min(y for _, y in points), max(y for _, y in points)
    x1 = x1 if x1 > x0 else x0 + 1.0
    margin = 0.06 * (y1 - y0) or 0.5
    y0, y1 = y0 - margin, y1 + margin
    left, right, top, bottom = 74, size[0] - 20, 40, size[1] - 52

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * (right - left), bottom - (y - y0) / (y1 - y0) * (bottom - top)

    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    pen.text((left, 10), title, "black", font=font)
    for value in ticks(y0, y1):
        _, y = place(x0, value)
        pen.line((left, y, right, y), "#dddddd")
        pen.text((left - 6, y), f"{value:.5g}", "black", font=small, anchor="rm")
    for value in ticks(x0, x1, 6):
        x, _ = place(value, y0)
        pen.line((x, top, x, bottom), "#eeeeee")
        pen.text((x, bottom + 5), f"{value:.5g}", "black", font=small, anchor="mt")
    pen.rectangle((left, top, right, bottom), outline="#888888")
    pen.text(((left + right) / 2, size[1] - 26), across, "black", font=small, anchor="mt")
    pen.text((6, 26), up, "black", font=small)
    for index, (name, line) in enumerate(clean.items()):
        colour = COLOURS[index % len(COLOURS)]
        where = [place(x, y) for x, y in line]
        if len(where) > 1:
            pen.line(where, colour, width=2, joint="curve")
        for x, y in where:
            pen.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=colour)
        if len(clean) > 1:
            y = bottom - 16 * (len(clean) - index)
            pen.line((right - 190, y + 6, right - 170, y + 6), colour, width=3)
            pen.text((right - 164, y), name, "black", font=small)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, optimize=True)


def draw(log: Path, file: Path) -> None:
    """The curve of a training run: held-out PSNR over steps, from the lines of JSON that ``train-generator`` writes."""
    points = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    line = [(point["steps"], point["held-out-psnr"]) for point in points]
    plot({log.stem: line}, file, f"{log.stem}: held-out pictures", "steps", "PSNR in dB")
