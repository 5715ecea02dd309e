"""Single lines of rendered text with what they say: for a recogniser to learn from, and for generators whose lines it reads."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..nets.recogniser import HEIGHT, WIDTH, fits
from . import degrade, resize, text, words
from .again import Memory
from .rough import roughened

#: Low-resolution pixels of a picture with one line that is given to a generator: height and width.
SIZE = (28, 120)
#: Heights of its capital letters in low-resolution pixels; lines that are coded together are alike to :data:`ALIKE` times.
CAPITALS = (6.5, 18.0)
ALIKE = 1.15
#: Letters of this height are made as rough as any patch is, larger ones rougher: of clear large ones nothing is misread.
USUAL = 9.0
#: How often such lines go through H.264 together: that takes the most from letters.
CODED = 0.6
#: Lines that are remembered, and the part of the batches that is drawn anew; starting an encoder takes longer than a step of training.
KEPT, FRESH = 16_000, 0.18
#: Of a line's height, by how much its box is cut too close or too far at most, so that no margin is learnt.
CLOSE, FAR = 0.08, 0.22

Box = tuple[float, float, float, float]


def strip(picture: torch.Tensor, box: Box) -> tuple[torch.Tensor, int]:
    """The part ``box`` (x0, y0, x1, y1 in pixels) of luma f32[1, h, w] as a recogniser takes it: f32[1, HEIGHT, WIDTH] of mean 0 and
    deviation 1, zeros to the right of it; and how wide it is. Differentiable."""
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    part = picture[None, :, y0:y1, x0:x1]
    width = min(max(round(part.shape[3] * HEIGHT / part.shape[2]), 8), WIDTH)
    part = nn.functional.interpolate(part, size=(HEIGHT, width), mode="bilinear", antialias=True, align_corners=False)[0]
    return nn.functional.pad((part - part.mean()) / (part.std() + 0.05), (0, WIDTH - width)), width


def around(box: Box, random: np.random.Generator, close: float = CLOSE, far: float = FAR) -> Box:
    """A box with each side moved in by up to ``close``, or out by up to ``far`` of its height."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = (float(value) * (y1 - y0) for value in random.uniform(-close, far, 4))
    return x0 - left, y0 - top, x1 + right, y1 + bottom


def drawn(artist: text.Artist, capital: float, size: tuple[int, int] | None = None) -> tuple[np.ndarray, str, Box]:
    """A picture uint8[h, w, 3] with one line in the middle, its characters without the spaces, and its box. Capitals are ``capital``
    pixels high. Of ``size`` (height, width), with the line anywhere in it, or just larger than the line."""
    random = artist.random
    while True:
        says = words.short(random)
        block = text.set_lines([says], artist.face().at(text.SUPER * capital), capital, 2.0, 0.0)
        if size is None:
            height, width = (int(length + 2.2 * capital) // 2 * 2 for length in (block.height, block.width))
            centre = width / 2, height / 2
        else:
            height, width = size
            if block.width > width - 16 or block.height > height - 8:
                continue
            centre = width / 2 + float(random.uniform(-0.45, 0.45)) * (width - 16 - block.width), height / 2 + float(random.uniform(-3, 3))
        image = artist.background(width, height)
        lines, _ = artist.paint(image, block, artist.view(block, centre, 0.5))
        if len(lines) == 1 and lines[0].whole:
            return artist.lit(image), says.replace(" ", ""), lines[0].box


@dataclasses.dataclass(frozen=True)
class Strip:
    """A line as a recogniser takes it."""

    samples: torch.Tensor  #: f32[1, HEIGHT, WIDTH]
    width: int
    text: str


def strip_sample(artist: text.Artist, seen: float = 0.75) -> Strip:
    """A line to learn from, with the probability ``seen`` as of a camera of few pixels: made smaller, rough mostly, and larger again."""
    random = artist.random
    while True:
        image, says, box = drawn(artist, float(random.uniform(11.0, 22.0)))
        plane = np.asarray(Image.fromarray(image).convert("L"))
        share = float(random.uniform(6.0, 16.0)) / 17.0
        if random.random() < seen and share < 1.0:
            small = Image.fromarray(plane).resize(tuple(max(int(side * share), 8) for side in plane.shape[::-1]), Image.Resampling.BICUBIC)  # type: ignore[arg-type]
            samples = np.asarray(small)
            if random.random() < 0.6:
                samples = roughened(np.repeat(samples[None, ..., None], 3, axis=3), random, 0.0)[0][..., 0]
            ways = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR
            plane = np.asarray(Image.fromarray(samples).resize(plane.shape[::-1], ways[int(random.integers(3))]))
        if random.random() < 0.3:
            plane = degrade.noise(plane[..., None], float(random.uniform(0.0, 12.0)), random)[..., 0]
        luma = torch.from_numpy(plane.astype(np.float32))[None] / 255.0
        samples, width = strip(luma, around(box, random))
        if fits(says, width):
            return Strip(samples, width, says)


@dataclasses.dataclass(frozen=True)
class RoughLine:
    """A line for a generator."""

    low: torch.Tensor  #: uint8[3, h, w] of :data:`SIZE`, always rough
    high: torch.Tensor  #: uint8[3, 4h, 4w], sharp
    text: str  #: without spaces
    box: Box  #: in high-resolution pixels


class RoughLines:
    """Batches of lines whose low-resolution side is rough; most are drawn from those made before."""

    def __init__(self, artist: text.Artist, batch: int) -> None:
        self.artist, self.batch = artist, batch
        self.kept: Memory[RoughLine] = Memory(KEPT)

    def draw(self) -> list[RoughLine]:
        """``batch`` lines."""
        random = self.artist.random
        if len(self.kept) < 50 * self.batch or random.random() < FRESH:
            made = self._made()
            self.kept.add(made)
            return made
        return self.kept.some(self.batch, random)

    def _made(self) -> list[RoughLine]:
        random = self.artist.random
        middle = math.exp(float(random.uniform(*np.log(CAPITALS))))
        heights = middle * np.exp(random.uniform(-math.log(ALIKE), math.log(ALIKE), self.batch))
        made = [drawn(self.artist, 4.0 * float(height), (4 * SIZE[0], 4 * SIZE[1])) for height in heights]
        high = np.stack([image for image, _, _ in made])
        low = roughened(np.stack([resize.resize_u8(image, 0.25) for image in high]), random, CODED, max(1.0, middle / USUAL))
        both = (torch.from_numpy(side.copy()).permute(0, 3, 1, 2) for side in (low, high))
        return [RoughLine(low, high, says, box) for low, high, (_, says, box) in zip(*both, made)]


def as_batch(lines: list[RoughLine]) -> tuple[torch.Tensor, torch.Tensor]:
    """(low f32[n, 3, h, w], high f32[n, 3, 4h, 4w]) in 0..1."""
    low, high = (torch.stack(side).float().div_(255.0) for side in zip(*((line.low, line.high) for line in lines)))
    return low, high
