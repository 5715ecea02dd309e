"""Pairs of luma patches drawn where the network is trained: all pictures lie in the memory of the device, and so does the choice.

Drawing patches on the CPU starves a GPU. Here every cached picture, every degraded version that ``prepare-camera`` wrote and every
piece that ``prepare-teacher`` wrote is put on the device once, as luma of 8 bits (BT.601, studio swing), one after the other in one
tensor. A batch is then a draw of random numbers and two gathers, without a word to the host, so that it can be part of a captured
step. A pixel takes one byte; a picture whose light a recipe changed is there once more for each change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from . import colour, resize
from .degrade import SCALE, Degraded, light_of
from .patches import BLOCK, gradient_energy, starts_over
from .pictures import Picture, Pictures
from .pool import Pool
from .teachers import TeacherPatches

#: High-resolution pixels around a clean patch that its low side depends on.
MARGIN = 6
#: Mean gradient in grey levels from which a place counts as detailed: of pictures, and of degraded ones at low resolution.
FLAT, FLAT_LOW = 5.0, 3.0
#: Part of the flatter places that is used all the same: flat areas are seen too.
SHARE_FLAT = 0.04


class Planes:
    """Luma pictures of several sizes, one after the other in ``data``, uint8[samples] on a device."""

    def __init__(self, sizes: Sequence[tuple[int, int]], device: torch.device) -> None:
        """``sizes``: (height, width) of each picture; :meth:`put` fills it."""
        counts = [height * width for height, width in sizes]
        self.widths = [width for _, width in sizes]
        self.offsets = [int(offset) for offset in np.concatenate([[0], np.cumsum(counts)[:-1]])] if counts else []
        self.data = torch.empty(sum(counts), dtype=torch.uint8, device=device)

    def put(self, index: int, picture: np.ndarray) -> None:
        """The luma of uint8[h, w, 3]."""
        plane = colour.luma_u8(torch.from_numpy(np.array(picture)).to(self.data.device)).reshape(-1)
        self.data[self.offsets[index] : self.offsets[index] + plane.numel()] = plane


@dataclasses.dataclass(frozen=True)
class Entry:
    """A picture, or a pair of pictures, that patches are cut from. Rows and columns of places are high-resolution pixels where the low side is
    made of the high one, else low-resolution pixels."""

    high: int  #: first sample of the high side in its tensor
    high_width: int
    rows: int  #: the last row and column that a patch may begin at
    columns: int
    weight: float  #: how often a place of it is drawn, relative
    ranges: np.ndarray  #: f32[k, 4]: first and last row, first and last column between which a patch of each place begins
    low: int = 0  #: the same as for the high side; of pairs alone
    low_width: int = 0


def detailed(view: np.ndarray, side: int, flat: float, random: np.random.Generator) -> np.ndarray:
    """f32[k, 4] as :attr:`Entry.ranges`: the places of uint8[h, w, 3] where patches of ``side`` have a mean gradient of ``flat`` grey
    levels or more, and :data:`SHARE_FLAT` of the others; none where the picture is smaller than a patch."""
    if min(view.shape[:2]) < side:
        return np.zeros((0, 4), np.float32)
    sums, n = gradient_energy(view), max(1, side // BLOCK)
    mean = (sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]) / n**2
    rows, columns = np.nonzero((mean >= flat) | (random.random(mean.shape) < SHARE_FLAT))
    # The grid of blocks is for the energy only: places fall between as well.
    top, left = rows * BLOCK, columns * BLOCK
    return np.stack([top, top + BLOCK, left, left + BLOCK], axis=1).astype(np.float32)


def over(box: Sequence[float], side: int) -> np.ndarray:
    """f32[1, 4] as :attr:`Entry.ranges`: where a patch of ``side`` shows the object of ``box`` x0, y0, x1, y1, see
    :func:`patches.start_over`."""
    x0, y0, x1, y1 = box
    return np.array([[*starts_over(y0, y1, side), *starts_over(x0, x1, side)]], np.float32)


class Source:
    """Draws pairs of patches of one kind."""

    def __init__(self, entries: Sequence[Entry], high: torch.Tensor, low: torch.Tensor | None, side: int, upright: bool, what: str) -> None:
        """``side`` of a patch in low-resolution pixels. ``high`` and ``low`` uint8[samples]; without ``low`` the low side is made of the
        high one. ``upright``: mirrored alone, never turned. ValueError if there is no place; ``what`` names the pictures in it."""
        entries = [entry for entry in entries if len(entry.ranges)]
        if not entries:
            raise ValueError(f"{what}: none is as large as a patch of {side} low-resolution px and has detail; take a smaller --side or prepare more")
        self.high, self.low, self.side, self.upright, self.device = high, low, side, upright, high.device
        counts = np.array([len(entry.ranges) for entry in entries])
        weight = np.array([entry.weight for entry in entries]) * counts
        self.cumulative = torch.from_numpy(np.cumsum(weight / weight.sum())).to(self.device)
        self.ranges = torch.from_numpy(np.concatenate([entry.ranges for entry in entries])).to(self.device)
        table = [
            (entry.high, entry.high_width, entry.low, entry.low_width, entry.rows, entry.columns, first, count)
            for entry, first, count in zip(entries, np.cumsum(counts) - counts, counts)
        ]
        #: i64[entries, 8]: as above, and the first of the entry's ranges and their number.
        self.table = torch.tensor(np.array(table, np.int64), device=self.device)
        # One row of the kit's matrix, so that both make the same low side.
        taps = 4 * SCALE
        self.kernel = torch.from_numpy(resize.matrix(4 * taps, 1 / SCALE)[SCALE, taps - MARGIN : 2 * taps - MARGIN].copy()).to(self.device)

    @property
    def places(self) -> int:
        """Number of places."""
        return self.ranges.shape[0]

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[count, 1, side, side], high f32[count, 1, 4 side, 4 side]) in 0..1, each flipped and turned on its own. ``generator`` is
        of the source's device."""
        draws = torch.rand(7, count, generator=generator, device=self.device)
        entry = torch.searchsorted(self.cumulative, draws[0].double()).clamp_max(self.cumulative.shape[0] - 1)
        rows, columns, first, number = self.table[entry, 4:].unbind(1)
        place = first + torch.minimum((draws[1] * number).long(), number - 1)
        y0, y1, x0, x1 = self.ranges[place].unbind(1)
        y = torch.minimum((y0 + draws[2] * (y1 - y0)).floor().long().clamp_min(0), rows)
        x = torch.minimum((x0 + draws[3] * (x1 - x0)).floor().long().clamp_min(0), columns)
        flip, mirror, turn = draws[4:] < 0.5
        if self.upright:
            flip, turn = torch.zeros_like(flip), torch.zeros_like(turn)
        return self.cut(entry, y, x, flip, mirror, turn)

    def cut(
        self, entry: torch.Tensor, y: torch.Tensor, x: torch.Tensor, flip: torch.Tensor, mirror: torch.Tensor, turn: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs at rows ``y`` and columns ``x`` i64[n] of the entries i64[n], as :meth:`draw` gives them. ``flip`` (up and down), ``mirror``
        (left and right) and ``turn`` (rows and columns change places, before the two) are bool[n]."""
        high, high_width, low, low_width = self.table[entry, :4].unbind(1)
        way = flip, mirror, turn
        if self.low is None:
            whole = self._gather(self.high, high + y * high_width + x, high_width, SCALE * self.side + 2 * MARGIN, way)
            rows, columns = self.kernel.view(1, 1, -1, 1), self.kernel.view(1, 1, 1, -1)
            smaller = F.conv2d(F.conv2d(whole, rows, stride=(SCALE, 1)), columns, stride=(1, SCALE))
            # Rounded to 8 bits, as a frame is.
            return smaller.round().clamp(0.0, 255.0) / 255.0, whole[..., MARGIN:-MARGIN, MARGIN:-MARGIN] / 255.0
        small = self._gather(self.low, low + y * low_width + x, low_width, self.side, way)
        large = self._gather(self.high, high + SCALE * (y * high_width + x), high_width, SCALE * self.side, way)
        return small / 255.0, large / 255.0

    def _gather(
        self, samples: torch.Tensor, start: torch.Tensor, width: torch.Tensor, size: int, way: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """f32[n, 1, size, size] in 0..255 of the squares that begin at ``start``, flipped and turned."""
        flip, mirror, turn = way
        along = torch.arange(size, device=self.device)
        down = torch.where(flip[:, None], size - 1 - along, along)[:, :, None]
        across = torch.where(mirror[:, None], size - 1 - along, along)[:, None, :]
        turned = turn[:, None, None]
        row, column = torch.where(turned, across, down), torch.where(turned, down, across)
        where = start[:, None, None] + row * width[:, None, None] + column
        return samples[where].float()[:, None]


class Resident:
    """The cached pictures of one subject on a device, for training or held out, with the degraded versions by some recipes."""

    def __init__(self, cache: Path, subject: str, device: torch.device, recipes: Sequence[str] = (), held_out: bool = False) -> None:
        self.found = Pictures(cache, subject, held_out)
        self.device, self.subject = device, subject
        self.side_of_split = "held-out" if held_out else "training"
        self.pools = {recipe: Pool(cache, subject, recipe) for recipe in recipes}
        self.upright = any(picture.box for picture in self.found.pictures)
        # The high side of a version whose light was changed is the picture with that change, which needs its colours.
        wanted = [(picture, None) for picture in self.found.pictures]
        lit = {
            (picture.offset, tuple(entry.light)): (picture, entry)
            for picture in self.found.pictures for pool in self.pools.values() for entry in pool.of.get(picture.offset, []) if entry.light is not None
        }  # fmt: skip
        wanted += list(lit.values())
        self.index = {(picture.offset, entry and tuple(entry.light)): number for number, (picture, entry) in enumerate(wanted)}
        self.planes = Planes([(picture.height, picture.width) for picture, _ in wanted], device)
        for number, (picture, entry) in enumerate(tqdm(wanted, desc=f"{subject}, {self.side_of_split}", unit="picture", mininterval=5.0)):
            light, view = entry and light_of(entry), self.found.view(picture)
            self.planes.put(number, view if light is None else light.apply(view))

    def _weight(self, picture: Picture) -> float:
        """As the patches of :mod:`.patches` weigh a picture; an object has one place, a scene's places each have this weight."""
        return picture.weight if picture.box else picture.weight / picture.scale

    def clean(self, side: int) -> Source:
        """Pairs whose low side is the high one made smaller; ``side`` in low-resolution pixels."""
        size, random, entries = SCALE * side + 2 * MARGIN, np.random.default_rng(5), []
        for picture in self.found.pictures:
            if min(picture.height, picture.width) < size:
                continue
            number = self.index[picture.offset, None]
            ranges = over(picture.box, SCALE * side) - MARGIN if picture.box else detailed(self.found.view(picture), size, FLAT, random)
            entries.append(
                Entry(
                    self.planes.offsets[number], picture.width, picture.height - size, picture.width - size, self._weight(picture), ranges,
                )
            )  # fmt: skip
        return Source(entries, self.planes.data, None, side, self.upright, f"the {self.side_of_split} pictures of '{self.subject}'")

    def degraded(self, recipe: str, side: int) -> Source:
        """Pairs whose low side 'prepare-camera' made by ``recipe``, one of those that were named; ``side`` in low-resolution pixels."""
        pool, random = self.pools[recipe], np.random.default_rng(6)
        versions: list[tuple[Picture, Degraded, int]] = []
        for picture in self.found.pictures:
            large = [entry for entry in pool.of.get(picture.offset, []) if min(entry.height, entry.width) >= side]
            versions += [(picture, entry, len(large)) for entry in large]
        low = Planes([(entry.height, entry.width) for _, entry, _ in versions], self.device)
        entries = []
        for number, (picture, entry, among) in enumerate(versions):
            view = pool.samples[entry.offset : entry.offset + entry.height * entry.width * 3].reshape(entry.height, entry.width, 3)
            low.put(number, view)
            if picture.box:
                ranges = over([(edge - start) / SCALE for edge, start in zip(picture.box, (entry.x, entry.y) * 2)], side)
            else:
                ranges = detailed(view, side, FLAT_LOW, random)
            high = self.planes.offsets[self.index[picture.offset, entry.light and tuple(entry.light)]]
            entries.append(
                Entry(
                    high + entry.y * picture.width + entry.x, picture.width, entry.height - side, entry.width - side,
                    self._weight(picture) / among, ranges, low.offsets[number], entry.width,
                )
            )  # fmt: skip
        return Source(
            entries, self.planes.data, low.data, side, self.upright, f"the {self.side_of_split} pictures of '{self.subject}' degraded by '{recipe}'"
        )


def teacher(cache: Path, subject: str, device: torch.device, side: int, recipe: str = "", upright: bool = False) -> Source:
    """Pairs of the pieces that 'prepare-teacher' wrote: degraded by ``recipe`` where there are any, else clean. ``side`` in low-resolution
    pixels. ValueError if a piece without its border is smaller than a patch."""
    pieces = TeacherPatches(cache, subject, 0, recipe=recipe)
    whole, margin, random = pieces.piece, pieces.margin, np.random.default_rng(7)
    room = whole - 2 * margin
    if room < side:
        raise ValueError(f"a teacher's piece of {whole} low-resolution px has {room} without its border, a patch has {side}: run 'prepare-teacher --side {side + 2 * margin}' or more into an empty place")
    low, high = (Planes([(size, size)] * pieces.count, device) for size in (whole, SCALE * whole))
    entries = []
    for number in tqdm(range(pieces.count), desc=f"{subject}, teacher", unit="piece", mininterval=5.0):
        row = pieces.samples[number]
        small = row[: whole * whole * 3].reshape(whole, whole, 3)
        low.put(number, small)
        high.put(number, row[whole * whole * 3 :].reshape(SCALE * whole, SCALE * whole, 3))
        inner = small[margin : whole - margin, margin : whole - margin]
        entries.append(
            Entry(
                high.offsets[number] + SCALE * margin * (SCALE * whole + 1), SCALE * whole, room - side, room - side, 1.0,
                detailed(inner, side, FLAT, random), low.offsets[number] + margin * (whole + 1), whole,
            )
        )  # fmt: skip
    return Source(entries, high.data, low.data, side, upright, f"the teacher's pieces of '{subject}'")
