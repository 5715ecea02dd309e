"""Pictures that are drawn, not taken: text, lines, checks and overlapping shapes with exact edges.

Photographs that were compressed and shrunk by others hold few edges that are sharp to the pixel, and hardly any text; video has both
in captions, signs and screens. Nothing here is read from files: the letters are those of Pillow's own font.
"""

from __future__ import annotations

import string
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Drawn this many times larger and averaged, so that edges lie between pixels.
FINER = 2
LETTERS = string.ascii_letters * 3 + string.digits * 2 + string.punctuation


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    """Any colour, a grey as often as not."""
    if random.random() < 0.5:
        return (int(random.integers(256)),) * 3
    return tuple(int(v) for v in random.integers(0, 256, 3))  # type: ignore[return-value]


def _leaves(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    """Shapes over shapes whose radii follow a power law of exponent 3, as objects in natural pictures roughly do (Lee, Mumford and
    Huang, "Occlusion models for natural images", 2001)."""
    least, most = side / 60, side / 3
    for _ in range(int(random.integers(20, 160))):
        radius = (random.uniform(most**-2, least**-2)) ** -0.5
        x, y = random.uniform(0, side, 2)
        corners = int(random.integers(3, 9))
        if corners > 6:
            wide = radius * random.uniform(0.3, 1.0)
            draw.ellipse((x - radius, y - wide, x + radius, y + wide), fill=_colour(random))
        else:
            angles = np.sort(random.uniform(0, 2 * np.pi, corners))
            draw.polygon([(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles], fill=_colour(random))


def _lines(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    """Parallel lines at one angle, as of blinds and facades, or lines at any angle."""
    colours = [_colour(random), _colour(random)]
    if random.random() < 0.6:
        step, angle = random.uniform(4, 24) * FINER, random.uniform(0, np.pi)
        across, along = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)]) * side
        width = max(1, int(step * random.uniform(0.15, 0.6)))
        for k in np.arange(-side, side, step):
            middle = np.array([side / 2, side / 2]) + across * k
            draw.line([tuple(middle - along), tuple(middle + along)], fill=colours[0], width=width)
    else:
        for _ in range(int(random.integers(4, 40))):
            ends = random.uniform(-0.2 * side, 1.2 * side, 4)
            draw.line(list(ends), fill=colours[int(random.integers(2))], width=int(random.uniform(1, 6) * FINER))


def _text(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    """Lines of letters from 8 to 60 pixels high."""
    colour, size = _colour(random), int(np.exp(random.uniform(np.log(8), np.log(60))) * FINER)
    y = random.uniform(-0.5, 0.5) * size
    while y < side:
        words = "".join(random.choice(list(LETTERS + " " * 12), size=max(2, int(2.5 * side / size))))
        draw.text((random.uniform(-0.5, 0.1) * side, y), words, fill=colour, font=_font(size))
        y += size * random.uniform(1.1, 1.6)


def picture(side: int, random: np.random.Generator) -> np.ndarray:
    """uint8[side, side, 3], drawn anew."""
    fine = side * FINER
    canvas = Image.new("RGB", (fine, fine), _colour(random))
    draw = ImageDraw.Draw(canvas)
    ways = [_leaves, _lines, _text]
    # What comes last is seen whole; a ground of shapes is under half of the text.
    if random.random() < 0.5:
        ways[int(random.integers(2))](draw, fine, random)
    ways[int(random.integers(3))](draw, fine, random)
    samples = np.asarray(canvas, dtype=np.float32).reshape(side, FINER, side, FINER, 3).mean(axis=(1, 3))
    return (samples + 0.5).astype(np.uint8)
