"""The subjects that generators are trained on. A new one is a line in :data:`SUBJECTS`; nothing else knows their names.

A subject either fills its pictures ("scene": patches from anywhere with detail) or is an object in them ("object": patches cut over
a box, at the heights that cameras see it). Its pictures lie in ``train/NAME``; the boxes of objects are in ``NAMEs.csv``.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import torch

from . import pool
from .patches import FacePatches, GeneralPatches
from .pictures import Pictures


@dataclasses.dataclass(frozen=True)
class Subject:
    """How patches of a subject are drawn."""

    name: str
    kind: str  #: "scene" or "object"

    def patches(self, cache: Path, side: int, batch: int, seed: int, held_out: bool = False, degraded: bool = False) -> Any:
        """Batches of (low, high) patches of ``side`` high-resolution pixels from ``cache``; ``degraded``: low ones from
        'prepare-camera'."""
        found = Pictures(cache, self.name, held_out)
        if degraded:
            kind = pool.CameraGeneralPatches if self.kind == "scene" else pool.CameraFacePatches
            return kind(found, side, batch, seed, pool.Pool(cache, self.name))
        return (GeneralPatches if self.kind == "scene" else FacePatches)(found, side, batch, seed)


SUBJECTS = {subject.name: subject for subject in (Subject("general", "scene"), Subject("face", "object"))}
#: The name of all subjects together, drawn by turns at random.
MIXED = "mixed"


class Mixed:
    """Batches of several sources by turns drawn at random, equally often."""

    def __init__(self, sources: list[Any], seed: int) -> None:
        self.sources, self.random = sources, random.Random(seed)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low, high) as the source that was drawn gives them."""
        return self.random.choice(self.sources).draw()


def patches(name: str, cache: Path, side: int, batch: int, seed: int, held_out: bool = False, degraded: bool = False) -> Any:
    """The batches of one subject, or of all by turns where ``name`` is :data:`MIXED`."""
    if name == MIXED:
        return Mixed([s.patches(cache, side, batch, seed, held_out, degraded) for s in SUBJECTS.values()], seed)
    if name not in SUBJECTS:
        raise ValueError(f"there is no subject '{name}'; there are {', '.join(SUBJECTS)} and {MIXED}")
    return SUBJECTS[name].patches(cache, side, batch, seed, held_out, degraded)
