"""Patches drawn from the cached pictures: places with detail, faces, flips, light; batches of (low, high) pairs."""

from __future__ import annotations

import numpy as np
import torch

from . import resize
from .pictures import Picture, Pictures

#: Side of the blocks over which gradient energy is summed, in high-resolution pixels.
BLOCK = 16


def gradient_energy(image: np.ndarray) -> np.ndarray:
    """f64[h / BLOCK + 1, w / BLOCK + 1]: running sums (integral image) over blocks of the mean absolute difference of green
    to the right and to below, in grey levels. Green stands for luma here."""
    green = image[..., 1].astype(np.float32)
    energy = np.abs(np.diff(green, axis=0))[:, :-1] + np.abs(np.diff(green, axis=1))[:-1]
    rows, columns = (energy.shape[0] + 1) // BLOCK, (energy.shape[1] + 1) // BLOCK
    energy = np.pad(energy, ((0, 1), (0, 1)), mode="edge")[: rows * BLOCK, : columns * BLOCK]
    blocks = energy.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))
    return np.pad(blocks.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _augmented(patch: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One of the eight flips and quarter turns of uint8[s, s, 3]."""
    return augmented_pair(patch, patch, random)[0]


def augmented_pair(low: np.ndarray, high: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same flip and quarter turn of two square patches uint8[s, s, 3]."""
    if random.integers(2):
        low, high = low[:, ::-1], high[:, ::-1]
    turns = int(random.integers(4))
    return np.rot90(low, turns), np.rot90(high, turns)


def to_batch(patches: list[np.ndarray]) -> torch.Tensor:
    """uint8[h, w, 3] patches of one size -> f32[n, 3, h, w] in 0..255."""
    return torch.from_numpy(np.stack([np.ascontiguousarray(patch) for patch in patches])).permute(0, 3, 1, 2).float()


def pair(high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """f32[n, 3, h, w] in 0..255 -> (low f32[n, 3, h/4, w/4], high), both in 0..1, low rounded to 8 bits as a frame is."""
    low = resize.down4(high).round_().clamp_(0.0, 255.0)
    return low.div_(255.0), high / 255.0


def check_side(side: int) -> None:
    """ValueError if a patch of ``side`` high-resolution pixels has no whole low-resolution side."""
    if side < 4 or side % 4:
        raise ValueError(f"the side of a patch is a multiple of 4, not {side}")


def starts_over(low: float, high: float, side: int) -> tuple[float, float]:
    """Between which two places a patch of ``side`` may begin along one axis, for :func:`start_over`; they can lie outside of the picture."""
    first, last = sorted((high - side, low))
    return first, last


def start_over(low: float, high: float, side: int, length: int, random: np.random.Generator) -> int:
    """Where a patch of ``side`` begins along one axis of ``length`` so that it shows an object that reaches from ``low`` to ``high``.

    An object that fits lies inside whole, anywhere; of a larger one the patch lies inside. Both as far as the picture allows.
    """
    first, last = starts_over(low, high, side)
    start = int(np.floor(random.uniform(first, last)))
    return min(max(start, 0), length - side)


class GeneralPatches:
    """Batches of patches from the photographs.

    A picture is drawn evenly, its size in proportion to ``1 / scale`` (smaller is sharper), the place as the better of
    two by gradient energy, drawn again while the mean gradient is below ``flat`` grey levels, at most ``tries`` times;
    in ``even`` of the patches any place: a network that invents texture must have seen where there is none.
    """

    def __init__(
        self, pictures: Pictures, side: int, batch: int, seed: int, flat: float = 5.0, tries: int = 4, even: float = 0.0
    ) -> None:
        """``side`` of the high-resolution patch in pixels, a multiple of 4; ``even`` 0..1."""
        check_side(side)
        if not 0.0 <= even <= 1.0:
            raise ValueError(f"the part of patches from any place is 0 to 1, not {even}")
        self.source, self.side, self.batch, self.flat, self.tries, self.even = pictures, side, batch, flat, tries, even
        self.random = np.random.default_rng(seed)
        self.usable = [p for p in pictures.pictures if min(p.height, p.width) >= side + BLOCK]
        if not self.usable:
            raise ValueError(f"no cached picture is larger than a patch of {side} px")
        weight = np.array([p.weight / p.scale for p in self.usable])
        self.cumulative = np.cumsum(weight / weight.sum())
        self.energy = [gradient_energy(pictures.view(p)) for p in self.usable]

    def _place(self) -> tuple[float, int, int, int]:
        """(mean gradient, picture, row, column) of one candidate."""
        which = min(int(np.searchsorted(self.cumulative, self.random.random())), len(self.usable) - 1)
        sums, blocks = self.energy[which], -(-self.side // BLOCK)
        row = int(self.random.integers(sums.shape[0] - blocks))
        column = int(self.random.integers(sums.shape[1] - blocks))
        total = sums[row + blocks, column + blocks] - sums[row, column + blocks] - sums[row + blocks, column] + sums[row, column]
        return total / blocks**2, which, row * BLOCK, column * BLOCK

    def _chosen(self) -> tuple[Picture, int, int]:
        """(picture, row, column) where a patch begins."""
        best = self._place()
        if not self.even or self.random.random() >= self.even:
            best = max(best, self._place())
            for _ in range(self.tries):
                if best[0] >= self.flat:
                    break
                best = max(best, self._place())
        _, which, row, column = best
        return self.usable[which], row, column

    def _patch(self) -> np.ndarray:
        picture, row, column = self._chosen()
        # The grid of blocks is for the energy only: places fall between as well.
        row = min(row + int(self.random.integers(BLOCK)), picture.height - self.side)
        column = min(column + int(self.random.integers(BLOCK)), picture.width - self.side)
        return _augmented(self.source.view(picture)[row : row + self.side, column : column + self.side], self.random)

    def one(self) -> np.ndarray:
        """One patch, uint8[side, side, 3]."""
        return self._patch()

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, side/4, side/4], high f32[n, 3, side, side]) in 0..1."""
        return pair(to_batch([self._patch() for _ in range(self.batch)]))


def jitter(high: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Vary light and colour of f32[n, 3, h, w] in 0..255, each picture on its own; the result is rounded and in 0..255.

    Seven in ten pictures are changed: exposure by a factor 0.45..1.15 (surveillance is dark more often than studio
    portraits), gamma 0.75..1.35, contrast 0.7..1.1 about the mean, each channel by a factor 0.85..1.15.
    """
    chosen = torch.from_numpy(random.random(high.shape[0]) < 0.7)
    count = int(chosen.sum())

    def draw(low: float, top: float, channels: int = 1) -> torch.Tensor:
        return torch.from_numpy(random.uniform(low, top, (count, channels, 1, 1)).astype(np.float32))

    changed = high[chosen].div_(255.0).pow_(draw(0.75, 1.35))
    mean = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed.sub_(mean).mul_(draw(0.7, 1.1)).add_(mean)
    changed.mul_(draw(0.45, 1.15) * draw(0.85, 1.15, 3) * 255.0).round_().clamp_(0.0, 255.0)
    result = high.clone()
    result[chosen] = changed
    return result


class FacePatches:
    """Batches of patches from pictures of objects, cut over the object (:func:`start_over`).

    One batch has one patch side: large where faces are large, small where the whole portrait is small, with the number of
    patches raised so that a batch has about the same number of pixels. Patches of both kinds are drawn equally often.
    """

    def __init__(self, pictures: Pictures, side: int, batch: int, seed: int, small_side: int = 80) -> None:
        """``side`` and ``small_side`` of the high-resolution patch in pixels, multiples of 4."""
        check_side(side)
        self.source = pictures
        self.random = np.random.default_rng(seed)
        small_side = min(small_side, side)
        self.kinds: list[tuple[int, int, list[Picture], np.ndarray]] = []
        for patch, low, top in ((small_side, 0, side), (side, side, 1 << 30)):
            usable = [p for p in pictures.pictures if p.box and max(patch, low) <= min(p.height, p.width) < top]
            if usable:
                weight = np.array([p.weight for p in usable])
                self.kinds.append((patch, max(1, batch * side**2 // patch**2), usable, np.cumsum(weight / weight.sum())))
        if not self.kinds:
            raise ValueError(f"no cached portrait is larger than a patch of {small_side} px")

    def _patch(self, side: int, picture: Picture) -> np.ndarray:
        """A patch over the object, mirrored or not."""
        x0, y0, x1, y1 = picture.box  # type: ignore[misc]
        x = start_over(x0, x1, side, picture.width, self.random)
        y = start_over(y0, y1, side, picture.height, self.random)
        patch = self.source.view(picture)[y : y + side, x : x + side]
        return patch[:, ::-1] if self.random.integers(2) else patch

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, s/4, s/4], high f32[n, 3, s, s]) in 0..1."""
        side, batch, usable, cumulative = self.kinds[int(self.random.integers(len(self.kinds)))]
        chosen = np.minimum(np.searchsorted(cumulative, self.random.random(batch)), len(usable) - 1)
        high = to_batch([self._patch(side, usable[int(which)]) for which in chosen])
        return pair(jitter(high, self.random))
