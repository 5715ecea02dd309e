"""Rendered text: signs, plates, captions and screens over photographs, with the box of every line; and patches of it for generators.

A picture is made at its own size from blocks. A block is a panel (or none) with a few lines in one face of one font. It is drawn at
twice the size, put into place by a homography (turned, sheared, in perspective, or upright), halved, and laid over a photograph;
shadows, outlines, texture and light come on top. What is drawn is the truth: low-resolution pictures are made from it by the kit's
bicubic (:mod:`srfusion_training.data.resize`).

The height of text is that of its capital letters ("H") in pixels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from . import fonts, resize, words
from .patches import GeneralPatches, check_side, pair, to_batch
from .pictures import Pictures
from .rough import roughened

#: Letters are drawn at so many times the picture's size.
SUPER = 2
#: Of the full ink, from where on a pixel belongs to a line's box.
INK = 64
#: Heights of capital letters in low-resolution pixels that generators are trained on; small ones are the more frequent.
HEIGHTS = (5.5, 24.0)


@dataclasses.dataclass(frozen=True)
class Line:
    """A line or a word as it stands in a picture."""

    text: str
    box: tuple[float, float, float, float]  #: x0, y0, x1, y1 of its ink in the picture's pixels, as far as it is inside
    height: float  #: of its capital letters in the picture's pixels
    whole: bool  #: whether all of its ink is inside the picture


@dataclasses.dataclass
class Drawn:
    """A picture with text."""

    image: np.ndarray  #: uint8[h, w, 3]
    lines: list[Line]
    ink: np.ndarray  #: f32[h, w] in 0..1, how much of a pixel is text


@dataclasses.dataclass
class _Piece:
    """One line or word of a block: its letters at :data:`SUPER` times the block's size, and where they begin there."""

    text: str
    mask: Image.Image
    x: int
    y: int


@dataclasses.dataclass
class Block:
    """Lines set under one another, in units of the picture's pixels before they are put into place."""

    width: float
    height: float
    capital: float
    pieces: list[_Piece]


def set_lines(
    texts: list[str], font: ImageFont.FreeTypeFont, capital: float, pitch: float, align: float, spacing: int = 0, split: bool = False
) -> Block:
    """A block of ``texts``, lines ``pitch`` capital heights apart; ``align`` 0 is left, 1 right. ``font`` is at :data:`SUPER` times
    ``capital`` pixels; ``spacing`` pixels at that size come between letters. ``split``: every word is a piece of its own."""
    rows = []
    for text in texts:
        pieces, x = [], 0.0
        for part in text.split(" ") if split else [text]:
            box = font.getbbox(part)
            mask = Image.new("L", (max(box[2] - box[0] + spacing * (len(part) - 1), 1) + 2, max(box[3] - box[1], 1) + 2))
            pen, at = ImageDraw.Draw(mask), 1.0 - box[0]
            for run in part if spacing else [part]:
                pen.text((at, 1 - box[1]), run, fill=255, font=font)
                at += font.getlength(run) + spacing
            pieces.append(_Piece(part, mask, round(x) + box[0] - 1, box[1] - 1))
            x += font.getlength(part + " ") + spacing * (len(part) + 1)
        rows.append(pieces)
    left, top = min(row[0].x for row in rows) + 1, rows[0][0].y + 1
    widths = [row[-1].x + row[-1].mask.width - 1 - left for row in rows]
    for index, (row, own) in enumerate(zip(rows, widths)):
        for piece in row:
            piece.x += round(align * (max(widths) - own)) - left
            piece.y += round(index * pitch * capital * SUPER) - top
    every = [piece for row in rows for piece in row if piece.text]
    low = max(piece.y + piece.mask.height - 1 for piece in every)
    return Block(max(widths) / SUPER, low / SUPER, capital, every)


def homography(
    width: float, height: float, centre: tuple[float, float], degrees: float, shear: float, tilt: tuple[float, float]
) -> np.ndarray:
    """f64[3, 3]: a block's coordinates -> the picture's. The block's middle comes to ``centre``; ``shear`` is x moved for each y,
    ``tilt`` how much farther away (1 is twice) its right and its lower edge are than its middle."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle), centre[0]], [math.sin(angle), math.cos(angle), centre[1]], [0.0, 0.0, 1.0]])
    sheared = np.array([[1.0, shear, 0.0], [0.0, 1.0, 0.0], [2.0 * tilt[0] / max(width, 1.0), 2.0 * tilt[1] / max(height, 1.0), 1.0]])
    return turn @ sheared @ np.array([[1.0, 0.0, -width / 2], [0.0, 1.0, -height / 2], [0.0, 0.0, 1.0]])


def _put(h: np.ndarray, mask: Image.Image, x: int, y: int, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]] | None:
    """A mask that begins at (x, y) of a block, both at :data:`SUPER` times, put into a picture of ``size`` (width, height):
    what is inside, at :data:`SUPER` times as well, and where it begins. None where nothing is."""
    corners = np.array([[x, y], [x + mask.width, y], [x, y + mask.height], [x + mask.width, y + mask.height]], np.float64) / SUPER
    moved = np.c_[corners, np.ones(4)] @ h.T
    if (moved[:, 2] <= 0.05).any():
        return None
    moved = SUPER * moved[:, :2] / moved[:, 2:]
    x0, y0 = (max(int(math.floor(v)) - 2, 0) for v in moved.min(0))
    x1, y1 = (min(int(math.ceil(v)) + 2, SUPER * side) for v, side in zip(moved.max(0), size))
    if x1 <= x0 or y1 <= y0:
        return None
    grow = np.diag([SUPER, SUPER, 1.0])
    # Pillow asks for the way from the result to the source.
    back = np.linalg.inv(np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]]) @ grow @ h @ np.linalg.inv(grow) @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]))
    back /= back[2, 2]
    return mask.transform((x1 - x0, y1 - y0), Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]), Image.Resampling.BILINEAR), (x0, y0)


def place(block: Block, h: np.ndarray, size: tuple[int, int]) -> tuple[Image.Image, list[Line]]:
    """A block put into a picture of ``size`` (width, height) by :func:`homography`: its letters (L, at :data:`SUPER` times) and lines."""
    canvas = Image.new("L", (SUPER * size[0], SUPER * size[1]))
    lines = []
    for piece in block.pieces:
        found = _put(h, piece.mask, piece.x, piece.y, size)
        if found is None:
            continue
        mask, (x, y) = found
        box = mask.point(lambda value: 255 * (value >= INK)).getbbox()
        if box is None:
            continue
        box = tuple(value + at for value, at in zip(box, (x, y, x, y)))
        there = h @ np.array([piece.x / SUPER + piece.mask.width / (2 * SUPER), piece.y / SUPER + piece.mask.height / (2 * SUPER), 1.0])
        inside = box[0] > 0 and box[1] > 0 and box[2] < canvas.width and box[3] < canvas.height
        lines.append(Line(piece.text, tuple(v / SUPER for v in box), block.capital / float(there[2]), inside))
        canvas.paste(255, (x, y), mask)
    return canvas, lines


def panel_of(block: Block, h: np.ndarray, size: tuple[int, int], padding: float) -> Image.Image:
    """The panel behind a block, ``padding`` larger than it on each side: L, at :data:`SUPER` times a picture of ``size``."""
    x0, y0, x1, y1 = -padding, -padding, block.width + padding, block.height + padding
    moved = [h @ np.array([x, y, 1.0]) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    panel = Image.new("L", (SUPER * size[0], SUPER * size[1]))
    if all(m[2] > 0.05 for m in moved):
        ImageDraw.Draw(panel).polygon([(SUPER * m[0] / m[2], SUPER * m[1] / m[2]) for m in moved], fill=255)
    return panel


def coverage(mask: Image.Image) -> np.ndarray:
    """f32[h, w, 1] in 0..1 of a mask at :data:`SUPER` times."""
    return np.asarray(mask.reduce(SUPER), np.float32)[..., None] / 255.0


def _luma(colour: np.ndarray) -> float:
    return float(colour @ (0.299, 0.587, 0.114))


class Artist:
    """Draws text in the faces of ``designs`` over ``photographs`` (the cached general pictures).

    All randomness comes from ``seed``: equal seeds draw equal pictures where the fonts are equal.
    """

    def __init__(self, photographs: Pictures, designs: list[list[fonts.Face]], seed: int) -> None:
        self.photographs, self.designs = photographs, designs
        self.random = np.random.default_rng(seed)

    def face(self) -> fonts.Face:
        """A face: every design is as frequent as any other."""
        design = self.designs[int(self.random.integers(len(self.designs)))]
        return design[int(self.random.integers(len(design)))]

    def photograph(self, width: int, height: int) -> np.ndarray:
        """f32[h, w, 3] in 0..255 cut from a photograph, repeated by mirrors where it is smaller, mirrored or not."""
        picture = self.photographs.pictures[int(self.random.integers(len(self.photographs.pictures)))]
        view = self.photographs.view(picture)
        y, x = (int(self.random.integers(max(have - need, 0) + 1)) for have, need in zip(view.shape, (height, width)))
        cut = view[y : y + height, x : x + width].astype(np.float32)
        if cut.shape[:2] != (height, width):
            cut = np.pad(cut, ((0, height - cut.shape[0]), (0, width - cut.shape[1]), (0, 0)), mode="symmetric")
        return cut[:, ::-1].copy() if self.random.integers(2) else cut

    def background(self, width: int, height: int) -> np.ndarray:
        """f32[h, w, 3] in 0..255: a photograph two times in three, often darker, softer or of less contrast, else a colour."""
        random = self.random
        if random.random() < 0.35:
            first, second = self.colour(), self.colour()
            amount = np.linspace(0.0, random.random() < 0.5, width, dtype=np.float32)[None, :, None] * float(random.random())
            return np.broadcast_to(first * (1 - amount) + second * amount, (height, width, 3)).astype(np.float32)
        cut = self.photograph(width, height)
        if random.random() < 0.5:
            cut = (cut - cut.mean()) * float(random.uniform(0.3, 1.0)) + cut.mean() * float(random.uniform(0.5, 1.1))
        if random.random() < 0.3:
            cut = np.asarray(Image.fromarray(cut.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(random.uniform(1, 6)))), np.float32)
        return cut

    def colour(self) -> np.ndarray:
        """f32[3] in 0..255; black, white and grey are the most frequent."""
        random = self.random
        kind = random.random()
        if kind < 0.22:
            return np.full(3, random.uniform(0, 40), np.float32)
        if kind < 0.5:
            return np.full(3, random.uniform(215, 255), np.float32)
        if kind < 0.6:
            return np.full(3, random.uniform(0, 255), np.float32)
        return random.uniform(0, 255, 3).astype(np.float32)

    def colours(self, behind: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(of the letters, of the panel), f32[3] each: apart by 60 levels of luma at least, mostly by more. ``behind``: the panel's."""
        least = float(self.random.choice([60.0, 100.0, 140.0], p=[0.2, 0.4, 0.4]))
        panel = self.colour() if behind is None else behind
        for _ in range(12):
            letters = self.colour()
            if abs(_luma(letters) - _luma(panel)) >= least:
                return letters, panel
        return np.full(3, 0.0 if _luma(panel) > 127 else 255.0, np.float32), panel

    def block(self, capital: float, count: int, most: float = 1e9, split: bool = False) -> Block:
        """``count`` lines, the capitals ``capital`` pixels high; words are left out where a line would be wider than ``most``.
        ``split`` as for :func:`set_lines`."""
        random, face = self.random, self.face()
        font = face.at(SUPER * capital)
        texts = []
        for _ in range(count):
            text = words.phrase(random, face.scripts)
            while font.getlength(text) > SUPER * most and " " in text:
                text = text.rsplit(" ", 1)[0]
            texts.append(text)
        spacing = int(random.integers(1, max(2, round(0.3 * SUPER * capital)))) if random.random() < 0.08 else 0
        return set_lines(texts, font, capital, float(random.uniform(1.5, 2.3)), float(random.choice([0.0, 0.0, 0.5, 1.0])), spacing, split)

    def view(self, block: Block, centre: tuple[float, float], strength: float = 1.0, upright: float = 0.35) -> np.ndarray:
        """A homography: none but a shift with the probability ``upright``, else turned by up to 12 degrees, sheared and tilted."""
        random = self.random
        if random.random() < upright:
            return homography(block.width, block.height, centre, 0.0, 0.0, (0.0, 0.0))
        degrees = float(np.clip(random.normal(0, 4), -12, 12)) * strength
        shear = float(np.clip(random.normal(0, 0.08), -0.25, 0.25)) * strength
        tilt = (float(random.uniform(-0.22, 0.22)) * strength, float(random.uniform(-0.1, 0.1)) * strength)
        return homography(block.width, block.height, centre, degrees, shear, tilt)

    def paint(self, image: np.ndarray, block: Block, h: np.ndarray, kind: str | None = None) -> tuple[list[Line], np.ndarray]:
        """Draw a block over f32[h, w, 3], in place; its lines, and its ink f32[h, w]. Kinds: "panel" (sign, plate, screen), "bar" (a
        panel that the picture shines through), "outline" (captions), "shadow", "bare"."""
        random = self.random
        size = image.shape[1], image.shape[0]
        kind = kind or str(random.choice(["panel", "bar", "outline", "shadow", "bare"], p=[0.52, 0.1, 0.12, 0.1, 0.16]))
        letters, lines = place(block, h, size)
        cover = coverage(letters)
        where = cover[..., 0] > 0.2
        if not where.any():
            return [], np.zeros(image.shape[:2], np.float32)
        behind = None
        if kind in ("panel", "bar"):
            ink, back = self.colours()
            padding = block.capital * float(random.uniform(0.35, 1.2))
            panel = coverage(panel_of(block, h, size, padding))
            alpha = panel * (1.0 if kind == "panel" else float(random.uniform(0.4, 0.8)))
            if kind == "panel" and random.random() < 0.5:  # texture, and light from one side
                grain = self.photograph(*size).mean(axis=2, keepdims=True)
                back = back + (grain - grain.mean()) * float(random.uniform(0.02, 0.25))
            if random.random() < 0.25:
                inner = coverage(panel_of(block, h, size, padding - max(1.0, 0.08 * block.capital)))
                image += (panel - inner) * (ink - image)
                alpha = inner * alpha
            image += alpha * (back - image)
            if kind == "bar":
                behind = image[where].mean(axis=0)
                ink, _ = self.colours(behind)
        else:
            behind = image[where].mean(axis=0)
            ink, _ = self.colours(behind)
            if kind == "outline":
                reach = max(0.8, block.capital * SUPER * float(random.uniform(0.03, 0.08)))
                around = coverage(letters.filter(ImageFilter.GaussianBlur(reach)).point(lambda value: min(255, 4 * value)))
                image += around * ((np.float32(0) if _luma(ink) > 127 else np.float32(255)) - image)
            elif kind == "shadow":
                off = [round(block.capital * SUPER * float(random.uniform(-0.15, 0.15))) for _ in range(2)]
                soft = Image.new("L", letters.size)
                soft.paste(letters, (off[0], off[1]))
                soft = soft.filter(ImageFilter.GaussianBlur(block.capital * SUPER * float(random.uniform(0.02, 0.15))))
                image += float(random.uniform(0.4, 0.9)) * coverage(soft) * ((np.float32(0) if _luma(ink) > 127 else np.float32(255)) - image)
        # Paint that the ground shines through a little.
        image += cover * (1.0 if random.random() < 0.7 else float(random.uniform(0.75, 1.0))) * (ink - image)
        return lines, cover[..., 0]

    def lit(self, image: np.ndarray) -> np.ndarray:
        """f32[h, w, 3] in a slope of light or under the edge of a shadow, a little out of focus now and then -> uint8."""
        random = self.random
        height, width = image.shape[:2]
        if random.random() < 0.35:
            angle = float(random.uniform(0, 2 * math.pi))
            y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
            along = x * math.cos(angle) + y * math.sin(angle) + float(random.uniform(-0.3, 0.3))
            slope = float(random.choice([1.0, 1.0, 6.0, 40.0]))
            amount = 1.0 - float(random.uniform(0.1, 0.55)) / (1.0 + np.exp(np.clip(-4.0 * slope * along, -30.0, 30.0)))
            image = image * amount[..., None]
        if random.random() < 0.25:
            image = image * random.uniform(0.4, 1.0) * random.uniform(0.85, 1.15, 3).astype(np.float32)
        result = np.clip(image + 0.5, 0, 255).astype(np.uint8)
        if random.random() < 0.25:
            result = np.asarray(Image.fromarray(result).filter(ImageFilter.GaussianBlur(float(random.uniform(0.3, 1.0)))))
        return result

    def filled(self, side: int, capital: float) -> Drawn:
        """A square of ``side`` pixels full of text of this height: one block about its middle, as a patch of a larger picture."""
        random = self.random
        image = self.background(side, side)
        for _ in range(4):
            count = max(1, min(int(random.integers(1, 7)), round(1.4 * side / (2.0 * capital))))
            block = self.block(capital, count, 2.5 * side)
            # The longer a line the farther it may reach out, but never all of it.
            reach = [0.5 * max(side, length) - 0.25 * min(side, length) for length in (block.width, block.height)]
            centre = tuple(side / 2 + float(random.uniform(-r, r)) for r in reach)
            lines, ink = self.paint(image, block, self.view(block, centre))  # type: ignore[arg-type]
            if ink.mean() > 0.01:
                break
        return Drawn(self.lit(image), lines, ink)


class TextPatches:
    """Batches of patches of text for generators.

    Of a batch ``plain`` of the patches are photographs without text, so that what surrounds letters is drawn well too, and
    ``rough`` have a low-resolution side that was blurred, noisy or compressed (:func:`rough.roughened`); the high-resolution side
    stays sharp. Half of the patches of text are shown upright, the others mirrored or in quarter turns.
    """

    def __init__(self, cache: Path, side: int, batch: int, seed: int, held_out: bool = False, plain: float = 0.12, rough: float = 0.3) -> None:
        """``cache`` is what 'prepare' wrote; its general photographs are the backgrounds."""
        check_side(side)
        photographs = Pictures(cache, "general", held_out)
        self.artist = Artist(photographs, fonts.faces(held_out), seed)
        self.photographs = GeneralPatches(photographs, side, 1, seed + 1)
        self.side, self.batch, self.plain, self.rough = side, batch, plain, 0.0 if held_out else rough
        self.random = np.random.default_rng(seed + 2)

    def _patch(self) -> np.ndarray:
        if self.random.random() < self.plain:
            return self.photographs.one()
        capital = 4.0 * math.exp(float(self.random.uniform(*np.log(HEIGHTS))))
        patch = self.artist.filled(self.side, capital).image
        if self.random.random() < 0.5:
            patch = np.rot90(patch[:, ::-1] if self.random.integers(2) else patch, int(self.random.integers(4)))
        return patch

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, side/4, side/4], high f32[n, 3, side, side]) in 0..1."""
        low, high = pair(to_batch([self._patch() for _ in range(self.batch)]))
        chosen = np.flatnonzero(self.random.random(self.batch) < self.rough)
        if len(chosen):
            samples = (low[chosen].permute(0, 2, 3, 1) * 255.0).round().byte().numpy()
            changed = roughened(samples, self.random)
            low[chosen] = torch.from_numpy(changed).permute(0, 3, 1, 2).float() / 255.0
        return low, high


def pairs(cache: Path, count: int, held_out: bool, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """``count`` pairs (low uint8[96, 96, 3], high uint8[384, 384, 3]) of pictures full of text, heights as in training, low ones clean."""
    artist = Artist(Pictures(cache, "general", held_out), fonts.faces(held_out), seed)
    for _ in range(count):
        high = artist.filled(384, 4.0 * math.exp(float(artist.random.uniform(*np.log(HEIGHTS))))).image
        yield resize.resize_u8(high, 0.25), high
