"""Pairs of whole low- and high-resolution pieces of a data folder's pictures, for calibration and for judging a file; unlike patches
they need no cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import pictures, resize

#: Low-resolution heights between which the boxes of objects are scaled.
HEIGHTS = (16.0, 64.0)


def pairs(
    data: Path, subject: str, kind: str, count: int, held_out: bool, side: int = 96, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Up to ``count`` pairs (low uint8[s, s, 3], high uint8[4s, 4s, 3]), s at most ``side``, of the pictures of train/SUBJECT and
    train/SUBJECT2 that are held out of training, or of the others.

    Scenes are cut where they have most detail of a few places, from the sharper folder (the one ending in 2) at its own size where
    it is there, else at a third. Objects are scaled to a height of the box in :data:`HEIGHTS` and cut over it. ValueError if no
    picture is left.
    """
    random = np.random.default_rng(seed)
    sharp = data / "train" / f"{subject}2"
    folder = sharp if kind == "scene" and sharp.is_dir() else data / "train" / subject
    named = {path.relative_to(folder).as_posix(): path for path in pictures.picture_files(folder)}
    boxes = {}
    if kind == "object":
        boxes = {name: box for name, box in pictures.read_boxes(data, subject).items() if name.startswith(f"train/{subject}/")}
        boxes = {name.removeprefix(f"train/{subject}/"): box for name, box in boxes.items()}
        named = {name: path for name, path in named.items() if name in boxes}
    chosen = [name for name, out in pictures.split(named).items() if out == held_out]
    if not chosen:
        raise ValueError(f"{folder}: no picture is {'held out' if held_out else 'for training'}")
    for name in [chosen[index] for index in random.permutation(len(chosen))[:count]]:
        image = pictures.read_rgb(named[name])
        if kind == "object":
            x0, y0, x1, y1 = np.array(boxes[name]) * np.array([image.shape[1], image.shape[0]] * 2)
            scale = min(4.0 * float(np.exp(random.uniform(*np.log(HEIGHTS)))) / (y1 - y0), 1.0)
            image = resize.resize_u8(image, scale) if scale < 1.0 else image
            place = int((x0 + x1) / 2 * scale), int((y0 + y1) / 2 * scale)
        elif folder != sharp and max(image.shape) > 1000:
            image = resize.resize_u8(image, 0.33)
        size = min(4 * side, *(length // 4 * 4 for length in image.shape[:2]))
        if kind == "object":
            x, y = (min(max(at - size // 2, 0), length - size) for at, length in zip(place, image.shape[1::-1]))
        else:
            places = [tuple(int(random.integers(length - size + 1)) for length in image.shape[:2]) for _ in range(4)]
            y, x = max(places, key=lambda at: np.abs(np.diff(image[at[0] : at[0] + size, at[1] : at[1] + size, 1].astype(np.int16))).mean())
        high = np.ascontiguousarray(image[y : y + size, x : x + size])
        yield resize.resize_u8(high, 0.25), high
