"""The subjects that generators are trained on. A new one is a line in :data:`SUBJECTS`; nothing else knows their names.

A subject fills its pictures (:class:`Scene`: patches from anywhere with detail), is an object in them (:class:`Object`: patches cut
over a box, at the heights that cameras see it), or is drawn while training (:class:`Rendered`). The pictures of the first two lie in
``train/NAME``; the boxes of objects are in ``NAMEs.csv``.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import pool, samples, text
from .patches import FacePatches, GeneralPatches
from .pictures import Pictures
from .teachers import TeacherPatches, WithTeacher


#: Pairs (low uint8[s, s, 3], high uint8[4s, 4s, 3]) of whole pieces.
Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Subject:
    """How patches of a subject are drawn."""

    name: str

    def patches(
        self, cache: Path, side: int, batch: int, seed: int, held_out: bool = False, degraded: str = "", share: float = 0.0,
        degraded_share: float = 1.0, even: float = 0.0,
    ) -> Any:
        """Batches of (low, high) patches of ``side`` high-resolution pixels from ``cache``; ``degraded``: low ones from
        'prepare-camera' by the recipe of this name, in ``degraded_share`` of the batches; ``share`` of them from the pieces of 'prepare-teacher', where they are not held out.
        ``even`` of those of scenes begin anywhere, the others where there is detail."""
        own = self._own(cache, side, batch, seed, held_out, degraded, even)
        if degraded and degraded_share < 1.0:
            clean = self._own(cache, side, batch, seed + 2, held_out, "", even)
            own = Mixed([own, clean], seed, [degraded_share, 1.0 - degraded_share])
        if held_out or not share:
            return own
        return WithTeacher(own, TeacherPatches(cache, self.name, seed + 1, recipe=degraded), share)

    def pairs(self, data: Path, cache: Path, count: int, held_out: bool, seed: int) -> Pairs:
        """Up to ``count`` pairs to calibrate on or to judge by; of what is held out of training, or of the rest."""
        raise NotImplementedError

    def _own(self, cache: Path, side: int, batch: int, seed: int, held_out: bool, degraded: str, even: float = 0.0) -> Any:
        raise NotImplementedError


class Scene(Subject):
    """A subject that fills its pictures."""

    def pairs(self, data: Path, cache: Path, count: int, held_out: bool, seed: int) -> Pairs:
        """Pieces of the pictures of the data folder; ``cache`` is not needed."""
        return samples.pairs(data, self.name, "scene", count, held_out, seed=seed)

    def _own(self, cache: Path, side: int, batch: int, seed: int, held_out: bool, degraded: str, even: float = 0.0) -> Any:
        found = Pictures(cache, self.name, held_out)
        if degraded:
            return pool.CameraGeneralPatches(found, side, batch, seed, pool.Pool(cache, self.name, degraded), even=even)
        return GeneralPatches(found, side, batch, seed, even=even)


class Object(Subject):
    """A subject with a box in each of its pictures."""

    def pairs(self, data: Path, cache: Path, count: int, held_out: bool, seed: int) -> Pairs:
        """Pieces of the pictures of the data folder; ``cache`` is not needed."""
        return samples.pairs(data, self.name, "object", count, held_out, seed=seed)

    def _own(self, cache: Path, side: int, batch: int, seed: int, held_out: bool, degraded: str, even: float = 0.0) -> Any:
        found = Pictures(cache, self.name, held_out)
        if degraded:
            return pool.CameraFacePatches(found, side, batch, seed, pool.Pool(cache, self.name, degraded))
        return FacePatches(found, side, batch, seed)


@dataclasses.dataclass(frozen=True)
class Rendered(Subject):
    """A subject that is drawn over the cached photographs. ``make(cache, side, batch, seed, held_out)`` makes its patches, rough
    and clean low-resolution sides mixed as it sees fit; ``whole(cache, count, held_out, seed)`` its pairs."""

    make: Callable[[Path, int, int, int, bool], Any]
    whole: Callable[[Path, int, bool, int], Pairs]

    def pairs(self, data: Path, cache: Path, count: int, held_out: bool, seed: int) -> Pairs:
        """Drawn anew, over the photographs of ``cache``; ``data`` is not needed."""
        return self.whole(cache, count, held_out, seed)

    def _own(self, cache: Path, side: int, batch: int, seed: int, held_out: bool, degraded: str, even: float = 0.0) -> Any:
        if degraded:
            raise ValueError(f"the subject '{self.name}' is drawn while training and made rough there: leave out --degrade")
        return self.make(cache, side, batch, seed, held_out)


SUBJECTS = {
    subject.name: subject
    for subject in (Scene("general"), Object("face"), Rendered("text", text.TextPatches, text.pairs))
}
#: Those that have pictures of their own, which the commands "prepare..." read.
PICTURED = {name: subject for name, subject in SUBJECTS.items() if not isinstance(subject, Rendered)}
#: The name of all subjects that have pictures of their own together, drawn by turns at random.
MIXED = "mixed"


class Mixed:
    """Batches of several sources by turns drawn at random, equally often or by ``weights``."""

    def __init__(self, sources: list[Any], seed: int, weights: list[float] | None = None) -> None:
        self.sources, self.random, self.weights = sources, random.Random(seed), weights

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low, high) as the source that was drawn gives them."""
        return self.random.choices(self.sources, self.weights)[0].draw()


def patches(
    name: str, cache: Path, side: int, batch: int, seed: int, held_out: bool = False, degraded: str = "", share: float = 0.0,
    degraded_share: float = 1.0, even: float = 0.0,
) -> Any:
    """The batches of one subject, or of all by turns where ``name`` is :data:`MIXED`; see :meth:`Subject.patches`."""
    if name == MIXED:
        return Mixed([s.patches(cache, side, batch, seed, held_out, degraded, share, degraded_share, even) for s in PICTURED.values()], seed)
    if name not in SUBJECTS:
        raise ValueError(f"there is no subject '{name}'; there are {', '.join(SUBJECTS)} and {MIXED}")
    return SUBJECTS[name].patches(cache, side, batch, seed, held_out, degraded, share, degraded_share, even)


class _Stream(torch.utils.data.IterableDataset):
    """Batches without end, each worker with a seed of its own."""

    def __init__(self, make: Callable[[int], Any], seed: int) -> None:
        self.make, self.seed = make, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        source = self.make(self.seed + (0 if worker is None else 1000 * (1 + worker.id)))
        while True:
            yield source.draw()


class Loader:
    """Batches drawn by ``workers`` processes ahead of time, so that a GPU does not wait for them; by nobody else where it is 0.

    ``make`` makes a source (with ``draw()``) from a seed, in each process for itself.
    """

    def __init__(self, make: Callable[[int], Any], seed: int, workers: int, pinned: bool) -> None:
        self.source = make(seed) if workers == 0 else None
        if workers:
            loader = torch.utils.data.DataLoader(
                _Stream(make, seed), batch_size=None, num_workers=workers, prefetch_factor=4, pin_memory=pinned, persistent_workers=True
            )
            self.batches = iter(loader)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next (low, high)."""
        return self.source.draw() if self.source is not None else next(self.batches)
