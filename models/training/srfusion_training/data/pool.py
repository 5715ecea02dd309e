"""Patches whose low-resolution side was degraded beforehand: cut from what ``prepare-camera`` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from .degrade import SCALE, Degraded, light_of
from .patches import FacePatches, GeneralPatches, augmented_pair, start_over, to_batch
from .pictures import Picture, Pictures


class Pool:
    """The degraded versions of the cached pictures of one subject."""

    def __init__(self, cache: Path, subject: str, recipe: str = "camera") -> None:
        index = cache / f"{subject}-{recipe}.json"
        if not index.exists():
            raise FileNotFoundError(f"{index}: not there; run the command 'prepare-camera --recipe {recipe}' first")
        self.samples = np.memmap(cache / f"{subject}-{recipe}.bin", dtype=np.uint8, mode="r")
        self.of: dict[int, list[Degraded]] = {}
        for fields in json.loads(index.read_text()):
            entry = Degraded(**fields)
            self.of.setdefault(entry.of, []).append(entry)

    def known(self, picture: Picture) -> bool:
        """Whether there is a degraded version of this cached picture."""
        return picture.offset in self.of

    def pair(
        self, high: np.ndarray, picture: Picture, x: int, y: int, side: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A patch near column ``x`` and row ``y`` of a cached picture ``high``, and the same place of one of its versions.

        (low uint8[side/4, side/4, 3], high uint8[side, side, 3]). The place is moved to the version's grid and inside it.
        """
        choice = self.of[picture.offset]
        entry = choice[int(random.integers(len(choice)))]
        side //= SCALE
        if min(entry.height, entry.width) < side:
            raise ValueError(f"a degraded picture of {entry.width}x{entry.height} is smaller than a patch of {side} px")
        column = min(max((x - entry.x) // SCALE, 0), entry.width - side)
        row = min(max((y - entry.y) // SCALE, 0), entry.height - side)
        low = self.samples[entry.offset : entry.offset + entry.height * entry.width * 3]
        low = low.reshape(entry.height, entry.width, 3)[row : row + side, column : column + side]
        top, left = entry.y + row * SCALE, entry.x + column * SCALE
        high = high[top : top + side * SCALE, left : left + side * SCALE]
        light = light_of(entry)
        return low, high if light is None else light.apply(high)


def _batch(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    return to_batch([low for low, _ in pairs]).div_(255.0), to_batch([high for _, high in pairs]).div_(255.0)


def _fits(pool: Pool, pictures: Pictures, side: int) -> Pictures:
    """The pictures that have degraded versions, none of them smaller than a patch."""
    kept = [p for p in pictures.pictures if pool.known(p)]
    pictures.pictures = [
        p for p in kept if min(min(e.height, e.width) for e in pool.of[p.offset]) * SCALE >= side
    ]
    if not pictures.pictures:
        raise ValueError(f"no degraded picture is as large as a patch of {side} px; run 'prepare-camera' again")
    return pictures


class CameraGeneralPatches(GeneralPatches):
    """As :class:`GeneralPatches`, with low-resolution patches from the pool."""

    def __init__(self, pictures: Pictures, side: int, batch: int, seed: int, pool: Pool, **options: float) -> None:
        super().__init__(_fits(pool, pictures, side), side, batch, seed, **options)  # type: ignore[arg-type]
        self.pool = pool

    def _pair(self) -> tuple[np.ndarray, np.ndarray]:
        picture, row, column = self._chosen()
        low, high = self.pool.pair(self.source.view(picture), picture, column, row, self.side, self.random)
        return augmented_pair(low, high, self.random)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, side/4, side/4], high f32[n, 3, side, side]) in 0..1."""
        return _batch([self._pair() for _ in range(self.batch)])


class CameraFacePatches(FacePatches):
    """As :class:`FacePatches`, with low-resolution patches from the pool; light was varied when the pool was made."""

    def __init__(
        self, pictures: Pictures, side: int, batch: int, seed: int, pool: Pool, small_side: int = 80
    ) -> None:
        super().__init__(_fits(pool, pictures, small_side), side, batch, seed, small_side)
        self.pool = pool
        # Versions can be smaller than the picture by the room for movement.
        for index, (patch, count, usable, _) in enumerate(self.kinds):
            usable = [p for p in usable if min(min(e.height, e.width) for e in pool.of[p.offset]) * SCALE >= patch]
            if not usable:
                raise ValueError(f"no degraded portrait is as large as a patch of {patch} px")
            weight = np.array([p.weight for p in usable])
            self.kinds[index] = (patch, count, usable, np.cumsum(weight / weight.sum()))

    def _pair(self, side: int, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        x0, y0, x1, y1 = picture.box  # type: ignore[misc]
        x = start_over(x0, x1, side, picture.width, self.random)
        y = start_over(y0, y1, side, picture.height, self.random)
        low, high = self.pool.pair(self.source.view(picture), picture, x, y, side, self.random)
        return (low[:, ::-1], high[:, ::-1]) if self.random.integers(2) else (low, high)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, s/4, s/4], high f32[n, 3, s, s]) in 0..1."""
        side, batch, usable, cumulative = self.kinds[int(self.random.integers(len(self.kinds)))]
        chosen = np.minimum(np.searchsorted(cumulative, self.random.random(batch)), len(usable) - 1)
        return _batch([self._pair(side, usable[int(which)]) for which in chosen])
