"""Two sightings of one patch, as neighbouring frames of a video show it: moved by a part of a low-resolution pixel, with other noise.

A network that invents texture by chance draws another one in each. What a camera sees between two frames is made here from the
high-resolution patch alone, so that any cache will do.
"""

from __future__ import annotations

import torch

from . import resize
from .degrade import SCALE

#: Greatest standard deviation of the noise in grey levels of 255; each patch has its own, and both sightings the same.
NOISE = 2.0


def sightings(high: torch.Tensor, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
    """f32[n, c, h, w] over 255, sides divisible by 4 -> two sightings f32[n, c, h/4 - 1, w/4 - 1] of 8-bit samples over 255, and
    the shift (rows, columns), 0 to 3 high-resolution pixels each, of the second: its pixel (0, 0) lies there in the first, enlarged."""
    shift = tuple(torch.randint(SCALE, (2,), generator=generator).tolist())
    height, width = (side - SCALE for side in high.shape[2:])
    deviation = torch.rand((high.shape[0], 1, 1, 1), generator=generator) * (NOISE / 255.0)

    def sighting(y: int, x: int) -> torch.Tensor:
        low = resize.down4(high[..., y : y + height, x : x + width].cpu())
        low = low + torch.randn(low.shape, generator=generator) * deviation
        return ((low * 255.0).round().clamp(0.0, 255.0) / 255.0).to(high.device)

    return sighting(0, 0), sighting(*shift), shift
