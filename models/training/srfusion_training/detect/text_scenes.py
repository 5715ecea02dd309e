"""Training pictures for the text detector: photographs without text, and the same with signs, labels, captions and screens drawn in.

Boxes are of **words**. A line of twelve words has twenty times the width of its height: a cell of the network does not see its ends,
and an error of two pixels in its height is a third of it. Words are between one and six times as wide as high, as objects are that a
shared head learns well; whoever needs lines puts boxes of one height beside one another together, which is easy, while taking lines
apart is not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..data import fonts, pictures, text
from ..data.rough import roughened
from .photographs import WITH_TEXT
from .sample import Sample

#: Heights of capital letters in pixels of the detector's input.
HEIGHTS = (5.5, 42.0)
#: Words below this height of capitals, or shorter than this, count neither way.
SMALLEST, SHORTEST = 6.5, 7.0
#: Levels of luma between the darkest and the lightest of a box, below which nobody sees a word.
FAINT = 26.0


def prepare(root: Path, cache: Path) -> None:
    """Cache the photographs of ``root`` as the command 'prepare' does, unless they are there."""
    if not (cache / "general.json").exists():
        pictures.prepare_scenes("general", root, cache, seed=1)


class TextScenes:
    """Pictures of ``side`` x ``side``, drawn one after another; ``cache`` is what 'prepare' wrote. With ``validation`` held-out fonts
    over held-out photographs, else the others."""

    def __init__(self, cache: Path, side: int = 320, seed: int = 0, validation: bool = False) -> None:
        photographs = pictures.Pictures(cache, "general", validation)
        photographs.pictures = [picture for picture in photographs.pictures if Path(picture.source).name not in WITH_TEXT]
        if not photographs.pictures:
            raise ValueError(f"{cache}: no photograph without text is {'held out' if validation else 'for training'}")
        self.side, self.artist = side, text.Artist(photographs, fonts.faces(validation), seed)
        self.random = self.artist.random

    def _thing(self, image: np.ndarray) -> None:
        """Something that is no text but has its edges: bars, grids, rings, strokes, an empty sign."""
        random, side = self.random, self.side
        height, width = (int(side * np.exp(random.uniform(np.log(0.05), np.log(0.6)))) for _ in range(2))
        picture = Image.new("L", (2 * width + 2, 2 * height + 2))
        pen = ImageDraw.Draw(picture)
        kind, step = int(random.integers(6)), int(random.integers(5, 40))
        heavy = max(1, int(step * random.uniform(0.15, 0.7)))
        if kind in (0, 1):  # upright bars, of one width or of many
            x = 0
            while x < picture.width:
                own = heavy if kind == 0 else int(random.integers(1, step))
                pen.rectangle([x, 0, x + own, picture.height], fill=255)
                x += own + (step if kind == 0 else int(random.integers(2, step)))
        elif kind == 2:  # a grid of windows
            for y in range(0, picture.height, step):
                for x in range(0, picture.width, step):
                    pen.rectangle([x, y, x + heavy, y + heavy], fill=int(random.integers(120, 256)))
        elif kind == 3:  # rings and discs
            for _ in range(int(random.integers(1, 9))):
                x, y, r = random.integers(picture.width), random.integers(picture.height), step
                pen.ellipse([x - r, y - r, x + r, y + r], outline=255, width=heavy, fill=int(random.choice([0, 255])))
        elif kind == 4:  # strokes without sense, longer and less regular than letters
            for _ in range(int(random.integers(2, 12))):
                points = [(int(random.integers(picture.width)), int(random.integers(picture.height))) for _ in range(int(random.integers(2, 5)))]
                pen.line(points, fill=255, width=heavy)
        else:  # an empty sign with a rim
            pen.rectangle([0, 0, picture.width - 1, picture.height - 1], outline=255, width=heavy)
        turned = picture.rotate(float(random.normal(0, 6)), expand=True) if random.random() < 0.6 else picture
        cover = np.asarray(turned.reduce(2), np.float32)[..., None] / 255.0
        height, width = (min(length, side) for length in cover.shape[:2])
        y, x = (int(random.integers(side - length + 1)) for length in (height, width))
        there = image[y : y + height, x : x + width]
        if random.random() < 0.4:
            there += 0.9 * (self.artist.colour() - there)
        there += cover[:height, :width] * float(random.uniform(0.5, 1.0)) * (self.artist.colour() - there)

    def _place(self, block: text.Block, taken: np.ndarray) -> np.ndarray | None:
        """Where a block goes, clear of what is ``taken`` (bool[side, side], marked); None if there is no room."""
        random, side = self.random, self.side
        margin = 1.3 * block.capital
        for _ in range(6):
            room = [max(0.0, (side - length) / 2 + 0.3 * block.capital) for length in (block.width, block.height)]
            centre = tuple(side / 2 + float(random.uniform(-r, r)) for r in room)
            h = self.artist.view(block, centre, upright=0.4)  # type: ignore[arg-type]
            corners = np.array([[x, y, 1.0] for x in (-margin, block.width + margin) for y in (-margin, block.height + margin)]) @ h.T
            corners = corners[:, :2] / corners[:, 2:]
            x0, y0 = np.clip(np.floor(corners.min(0)), 0, side).astype(int)
            x1, y1 = np.clip(np.ceil(corners.max(0)), 0, side).astype(int)
            if x1 > x0 and y1 > y0 and not taken[y0:y1, x0:x1].any():
                taken[y0:y1, x0:x1] = True
                return h
        return None

    def scene(self) -> tuple[np.ndarray, list[tuple[text.Line, bool]]]:
        """The next picture uint8[side, side, 3], and its words with whether they count; one picture in six has no text."""
        random, side, artist = self.random, self.side, self.artist
        image = artist.background(side, side) if random.random() < 0.4 else artist.photograph(side, side)
        for _ in range(int(random.integers(1, 5)) if random.random() < 0.45 else 0):
            self._thing(image)
        lines: list[text.Line] = []
        taken = np.zeros((side, side), bool)
        for _ in range(0 if random.random() < 1 / 6 else int(random.integers(1, 8))):
            capital = float(np.exp(random.uniform(*np.log(HEIGHTS))))
            most = max(1, int(0.9 * side / (2.0 * capital)))
            count = min(int(random.choice([1, 1, 1, 2, 3, 5, 8])), most)
            block = artist.block(capital, count, 0.92 * side, split=True)
            if not block.pieces or block.width > 1.2 * side:
                continue
            h = self._place(block, taken)
            if h is not None:
                lines += artist.paint(image, block, h)[0]
        picture = artist.lit(image)
        if random.random() < 0.6:
            picture = roughened(picture[None], random, coded=0.0)[0]
        grey = picture @ np.array([0.299, 0.587, 0.114])
        found = []
        for line in lines:
            x0, y0, x1, y1 = line.box
            seen = grey[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
            faint = float(np.percentile(seen, 98) - np.percentile(seen, 2)) < FAINT
            small = line.height < SMALLEST or max(x1 - x0, y1 - y0) < SHORTEST
            found.append((line, not (faint or small)))
        return picture, found

    def sample(self) -> Sample:
        """The next picture and its truth."""
        picture, words = self.scene()
        boxes, ignore = (np.array([line.box for line, counts in words if counts == wanted], np.float32).reshape(-1, 4) for wanted in (True, False))
        return Sample(picture, boxes, np.zeros((len(boxes), 0, 2), np.float32), ignore)
