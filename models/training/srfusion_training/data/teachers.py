"""Targets from a teacher: a larger x4 network (ONNX) enlarges pieces of the cached pictures once, and patches are cut from what it made.

A photograph at its own size has no larger truth; the teacher gives one, so that every sharp picture is also a low-resolution input.
``prepare-teacher`` appends to ``<subject>-teacher.bin`` (for each piece the low-resolution samples uint8[s, s, 3], then what the
teacher made of them uint8[4s, 4s, 3]) and goes on where it was stopped; ``<subject>-teacher.json`` says the side and the teacher.
Pieces can also be of what ``prepare-camera`` degraded (``<subject>-<recipe>-teacher``): then the teacher shows how such pictures
may look.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import resize
from .patches import augmented_pair, gradient_energy, to_batch
from .pictures import Pictures
from .pool import Pool

SCALE = 4
#: Places looked at for each piece, of which the one with most detail is taken.
PLACES = 4
#: uint8[h, w, 3] -> f64[4h, 4w, 3] in about 0..255.
Teacher = Callable[[np.ndarray], np.ndarray]


def _record(side: int) -> int:
    return side * side * 3 * (1 + SCALE**2)


def paths(cache: Path, subject: str, recipe: str = "") -> tuple[Path, Path]:
    """The index and the samples of the pieces of ``subject``, clean or degraded by ``recipe``."""
    name = f"{subject}-{recipe}-teacher" if recipe else f"{subject}-teacher"
    return cache / f"{name}.json", cache / f"{name}.bin"


def _clean(pictures: Pictures, side: int, random: np.random.Generator) -> Callable[[], np.ndarray]:
    """Draws pieces of the cached pictures themselves: where there is detail, or over the object."""
    usable = [picture for picture in pictures.pictures if min(picture.height, picture.width) >= side]
    if not usable:
        raise ValueError(f"no cached picture is as large as a piece of {side} px")

    def draw() -> np.ndarray:
        picture = usable[int(random.integers(len(usable)))]
        view = pictures.view(picture)
        if picture.box is None:
            return _detailed(view, side, random)
        x0, y0, x1, y1 = picture.box
        centre = int((y0 + y1) / 2) - side // 2, int((x0 + x1) / 2) - side // 2
        y, x = (min(max(at, 0), length - side) for at, length in zip(centre, view.shape[:2]))
        return np.ascontiguousarray(view[y : y + side, x : x + side])

    return draw


def _degraded(pictures: Pictures, pool: Pool, side: int, random: np.random.Generator) -> Callable[[], np.ndarray]:
    """Draws pieces of the degraded versions of the cached pictures."""
    entries = [entry for picture in pictures.pictures for entry in pool.of.get(picture.offset, []) if min(entry.height, entry.width) >= side]
    if not entries:
        raise ValueError(f"no degraded picture is as large as a piece of {side} px")

    def draw() -> np.ndarray:
        entry = entries[int(random.integers(len(entries)))]
        view = pool.samples[entry.offset : entry.offset + entry.height * entry.width * 3].reshape(entry.height, entry.width, 3)
        return _detailed(view, side, random)

    return draw


def _detailed(view: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """Of some random pieces of uint8[h, w, 3] the one with most gradient."""
    places = [tuple(int(random.integers(length - side + 1)) for length in view.shape[:2]) for _ in range(PLACES)]
    pieces = [np.ascontiguousarray(view[y : y + side, x : x + side]) for y, x in places]
    return max(pieces, key=lambda piece: gradient_energy(piece)[-1, -1])


def prepare(
    cache: Path, subject: str, teacher: Teacher, digest: str, count: int, side: int, seed: int, recipe: str = ""
) -> int:
    """Bring the pieces of ``subject`` (degraded by ``recipe``, if given) to ``count``; returns how many were made now.

    ``digest`` identifies the teacher; ValueError if the pieces that are there are of another teacher or side. Pictures that are
    held out are left alone. Pieces of an object are cut over its box.
    """
    index, samples = paths(cache, subject, recipe)
    wanted = {"side": side, "teacher": digest}
    if index.exists():
        found = json.loads(index.read_text())
        if found != wanted:
            raise ValueError(f"{samples}: holds pieces of {found}, not of {wanted}; remove it to begin again")
    pictures = Pictures(cache, subject)
    have = samples.stat().st_size // _record(side) if samples.exists() else 0
    index.write_text(json.dumps(wanted))
    random = np.random.default_rng(seed + have)
    draw = _degraded(pictures, Pool(cache, subject, recipe), side, random) if recipe else _clean(pictures, side, random)
    made = 0
    with open(samples, "ab") as file:
        file.truncate(have * _record(side))  # what a stopped run had half written
        for _ in tqdm(range(have, count), desc=f"{subject}, teacher", unit="piece", mininterval=5.0):
            low = draw()
            file.write(low.tobytes())
            file.write(resize.to_u8(teacher(low)).tobytes())
            made += 1
    return made


class TeacherPatches:
    """Patches cut from the pieces, flipped and turned."""

    def __init__(self, cache: Path, subject: str, seed: int, margin: int = 4, recipe: str = "") -> None:
        """``recipe``: pieces degraded by it where there are any, else clean ones. ``margin``: low-resolution pixels at a piece's border that are not used, because the teacher saw nothing beyond."""
        index, samples = paths(cache, subject, recipe)
        if not index.exists():
            index, samples = paths(cache, subject)
        if not index.exists():
            raise FileNotFoundError(f"{index}: not there; run the command 'prepare-teacher' first")
        self.piece, self.margin = json.loads(index.read_text())["side"], margin
        self.count = samples.stat().st_size // _record(self.piece)
        if not self.count:
            raise ValueError(f"{samples}: holds no piece; run 'prepare-teacher' again")
        self.samples = np.memmap(samples, dtype=np.uint8, mode="r")[: self.count * _record(self.piece)].reshape(self.count, -1)
        self.random = np.random.default_rng(seed)

    def draw(self, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[count, 3, side/4, side/4], high f32[count, 3, side, side]) in 0..1; ``side`` in high-resolution pixels."""
        low_side, whole = side // SCALE, self.piece
        if low_side > whole - 2 * self.margin:
            raise ValueError(
                f"a patch of {side} px is larger than a teacher's piece of {SCALE * (whole - 2 * self.margin)} px; prepare larger ones"
            )
        pairs = []
        for which in self.random.integers(self.count, size=count):
            row = self.samples[int(which)]
            low = row[: whole * whole * 3].reshape(whole, whole, 3)
            high = row[whole * whole * 3 :].reshape(SCALE * whole, SCALE * whole, 3)
            y, x = (int(value) for value in self.random.integers(self.margin, whole - self.margin - low_side + 1, size=2))
            low = low[y : y + low_side, x : x + low_side]
            high = high[SCALE * y : SCALE * y + side, SCALE * x : SCALE * x + side]
            pairs.append(augmented_pair(low, high, self.random))
        return to_batch([low for low, _ in pairs]).div_(255.0), to_batch([high for _, high in pairs]).div_(255.0)


class WithTeacher:
    """Batches of which a part comes from a teacher's pieces; the pictures' own batches are made smaller by it."""

    def __init__(self, pictures: object, teacher: TeacherPatches, share: float) -> None:
        """``share`` of a teacher's patches in a batch, 0..1."""
        self.pictures, self.teacher, self.share = pictures, teacher, share

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low, high) as the pictures give them, the last ``share`` of them replaced."""
        low, high = self.pictures.draw()  # type: ignore[attr-defined]
        count = round(low.shape[0] * self.share)
        if not count:
            return low, high
        more = self.teacher.draw(count, high.shape[-1])
        return torch.cat([low[: low.shape[0] - count], more[0]]), torch.cat([high[: high.shape[0] - count], more[1]])
