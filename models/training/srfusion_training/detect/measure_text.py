"""How well a text detector finds words: recall by the height of letters on drawn pictures of held-out fonts and photographs.

A word is *found* when a box of its own overlaps it by IoU 0.5, and *covered* when 70 % of its area lies in boxes: what counts for a
mask. A box is *false* when less than half of it lies on words, seen or not; a box that joins two words or cuts one is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from .detectors import Detections, letterboxed, match
from .text_scenes import TextScenes

#: Classes of letter heights in pixels of the input, [from, to).
CLASSES = ((6.5, 8.0), (8.0, 10.0), (10.0, 12.0), (12.0, 16.0), (16.0, 24.0), (24.0, 48.0))
#: Heights that recall is told for as one number.
WANTED = (8.0, 24.0)
IOU, COVERED, ON_TEXT = 0.5, 0.7, 0.5

Detector = Callable[[np.ndarray, float], Detections]
Scene = tuple[np.ndarray, list[tuple[Any, bool]]]


def scenes(cache: Path, count: int, side: int = 640, seed: int = 4712, held_out: bool = True) -> list[Scene]:
    """``count`` pictures of held-out fonts over held-out photographs (or of the others), as :meth:`TextScenes.scene` gives them."""
    artist = TextScenes(cache, side, seed, held_out)
    return [artist.scene() for _ in range(count)]


def on(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool[h, w]: the pixels inside any of [m, 4] boxes."""
    mask = np.zeros(shape[:2], bool)
    for x0, y0, x1, y1 in np.asarray(boxes).reshape(-1, 4):
        mask[max(int(y0 + 0.5), 0) : int(y1 + 0.5), max(int(x0 + 0.5), 0) : int(x1 + 0.5)] = True
    return mask


def _part(mask: np.ndarray, box: np.ndarray) -> float:
    """The part of a box, as far as it is inside, where ``mask`` is true."""
    x0, y0, x1, y1 = (max(int(v + 0.5), 0) for v in box)
    there = mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return float(there.mean()) if there.size else 0.0


def judge(found: list[Detections], pictures: list[Scene], threshold: float) -> dict[str, Any]:
    """Recall and false boxes of detections (any scores, best first) that reach ``threshold``; ``by-height`` has (found, covered, all)."""
    heights: list[float] = []
    hits: list[bool] = []
    covered: list[bool] = []
    false = plain_false = plain = 0
    for detections, (picture, words) in zip(found, pictures):
        boxes = detections.boxes[detections.scores >= threshold]
        true = np.array([line.box for line, counts in words if counts], np.float32).reshape(-1, 4)
        ignore = np.array([line.box for line, counts in words if not counts], np.float32).reshape(-1, 4)
        own, _ = match(boxes, true, ignore, IOU)
        shown, text = on(boxes, picture.shape), on(np.concatenate([true, ignore]), picture.shape)
        hits += own.tolist()
        covered += [_part(shown, box) >= COVERED for box in true]
        heights += [line.height for line, counts in words if counts]
        wrong = sum(_part(text, box) < ON_TEXT for box in boxes)
        false += wrong
        if not words:
            plain, plain_false = plain + 1, plain_false + wrong
    height, hit, cover = np.array(heights), np.array(hits, bool), np.array(covered, bool)

    def row(low: float, high: float) -> tuple[int, int, int]:
        chosen = (height >= low) & (height < high)
        return int(hit[chosen].sum()), int(cover[chosen].sum()), int(chosen.sum())

    return {
        "threshold": threshold,
        "false": false / len(pictures),
        "false-without-text": plain_false / max(plain, 1),
        "wanted": row(*WANTED),
        "by-height": {f"{low:g}-{high:g}": row(low, high) for low, high in CLASSES},
    }


def measure(detector: Detector, pictures: list[Scene], budget: float = 0.1) -> list[dict[str, Any]]:
    """:func:`judge` at every multiple of 0.05 from 0.2 on, up to the first with at most ``budget`` false boxes a picture, which is
    the last of the list unless there is none."""
    found = [detector(picture, 0.2) for picture, _ in pictures]
    rows = []
    for step in range(4, 20):
        rows.append(judge(found, pictures, step / 20))
        if rows[-1]["false"] <= budget:
            break
    return rows


def tell(rows: list[dict[str, Any]], say: Callable[[str], None] = print) -> None:
    """Print what :func:`measure` gives."""
    for row in rows:
        hit, cover, words = row["wanted"]
        say(
            f"threshold {row['threshold']:.2f}: false {row['false']:.3f} a picture ({row['false-without-text']:.3f} without text), letters of "
            f"{WANTED[0]:g} to {WANTED[1]:g} px: found {hit / max(words, 1):.3f}, covered {cover / max(words, 1):.3f} of {words} words"
        )
    last = rows[-1]
    say(f"by height of capitals at {last['threshold']:.2f}, found / covered / words:")
    say("  " + "   ".join(f"{name} px {hit / max(words, 1):.3f} / {cover / max(words, 1):.3f} / {words}" for name, (hit, cover, words) in last["by-height"].items()))


def draw(detector: Detector, files: list[Path], threshold: float, longest: int, folder: Path) -> None:
    """Write pictures as fed, with boxes and scores, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        fed, _ = letterboxed(np.asarray(Image.open(file).convert("RGB")), longest)
        found = detector(fed, threshold)
        image = Image.fromarray(fed)
        pen = ImageDraw.Draw(image)
        for box, score in zip(found.boxes, found.scores):
            pen.rectangle([float(v) for v in box], outline="lime")
            pen.text((float(box[0]), float(box[1]) - 11), f"{score:.2f}", fill="yellow")
        image.save(folder / f"{file.stem}.png")
