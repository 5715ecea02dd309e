"""Patches that were drawn before, drawn once more: for subjects whose drawing takes longer than a step of training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import numpy as np
import torch

#: Patches that are remembered; 40,000 of 128 px are 2 GB.
MOST = 40_000


Item = TypeVar("Item")


class Memory(Generic[Item]):
    """What was drawn last, at most ``most`` of it; the oldest is forgotten first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.items: list[Item] = []
        self.next = 0  #: the oldest, once there are ``most``

    def __len__(self) -> int:
        return len(self.items)

    def add(self, items: Iterable[Item]) -> None:
        """Remember these."""
        for item in items:
            if len(self.items) < self.most:
                self.items.append(item)
            else:
                self.items[self.next] = item
                self.next = (self.next + 1) % self.most

    def some(self, count: int, random: np.random.Generator) -> list[Item]:
        """``count`` of them, any as often as another, some perhaps twice; there must be one."""
        return [self.items[index] for index in random.integers(len(self.items), size=count)]


class Again:
    """Batches of ``source``, of which only ``fresh`` (0..1) are drawn by it; the others are put together from patches that it drew
    before, at most ``most`` of them, half of these mirrored or in quarter turns. The oldest are forgotten first."""

    def __init__(self, source: Any, fresh: float, seed: int, most: int = MOST) -> None:
        if not 0.0 < fresh <= 1.0:
            raise ValueError(f"expected a share of 0 < fresh <= 1, found {fresh}")
        self.source, self.fresh = source, fresh
        self.random = np.random.default_rng(seed)
        self.kept: Memory[tuple[torch.Tensor, torch.Tensor]] = Memory(most)  #: (low, high) uint8[3, ...]

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low, high) f32[n, 3, ...] in 0..1, as the source gives them. The first are all drawn."""
        if not len(self.kept) or self.random.random() < self.fresh:
            low, high = self.source.draw()
            self._keep(low, high)
            return low, high
        count = min(self.batch, len(self.kept))
        chosen = [self._turned(*pair) for pair in self.kept.some(count, self.random)]
        low, high = (torch.stack(side).float().div_(255.0) for side in zip(*chosen))
        return low, high

    def _keep(self, low: torch.Tensor, high: torch.Tensor) -> None:
        self.batch = len(low)
        self.kept.add(zip(*((side * 255.0).round().byte() for side in (low, high))))

    def _turned(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.random.random() < 0.5:
            return low, high
        turns, mirrored = int(self.random.integers(4)), bool(self.random.integers(2))
        return tuple(torch.rot90(side.flip(2) if mirrored else side, turns, (1, 2)) for side in (low, high))  # type: ignore[return-value]
