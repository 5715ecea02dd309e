"""What three generators of luma draw, each in its own region of the input: smooth places, texture and strong edges.

Networks that invent detail do it well in texture, badly in smooth places, where it comes out as a mesh, and on strong edges, where it moves from frame to frame. What is drawn here
takes each region from a network that is good at it. As a target it teaches one network all three (``train-resident --imitate``): what ships is as quick as any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .compact import SCALE
from .stacked import Stacked

#: Steepness at which texture begins and reigns alone, and at which edges begin and reign alone.
LIMITS = (0.04, 0.10, 0.18, 0.40)


def steepness(low: torch.Tensor) -> torch.Tensor:
    """f32[n, 1, h, w] of f32[n, 1, h, w] in 0..1: the larger difference, 0..1, between a pixel's two neighbours along and across. What is beyond the
    border counts as the border itself."""
    padded = F.pad(low, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.maximum(across.abs(), down.abs())


class Regions(nn.Module):
    """Three networks as one; it is not trained."""

    def __init__(self, smooth: Stacked, texture: Stacked, edges: Stacked, limits: Sequence[float] = LIMITS) -> None:
        """Each network takes what :class:`.stacked.Stacked` takes. ValueError if ``limits`` do not rise from 0 to 1."""
        super().__init__()
        first, second, third, fourth = limits
        if not 0.0 <= first < second <= third < fourth <= 1.0:
            raise ValueError(f"the limits of steepness rise from 0 to 1, each pair apart: expected such as {' '.join(map(str, LIMITS))}, found {' '.join(f'{limit:g}' for limit in limits)}")
        self.smooth, self.texture, self.edges = smooth, texture, edges
        self.to_texture, self.to_edges = (first, second), (third, fourth)
        self.requires_grad_(False)

    @staticmethod
    def _share(steep: torch.Tensor, between: tuple[float, float]) -> torch.Tensor:
        """f32[n, 1, 4h, 4w] in 0..1: 0 up to the first limit, 1 from the second on."""
        begin, end = between
        ramp = ((steep - begin) / (end - begin)).clamp(0.0, 1.0)
        return F.interpolate(ramp, scale_factor=SCALE, mode="bilinear", align_corners=False)

    @torch.no_grad()
    def forward(self, low: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """f32[n, 1, h, w] in 0..1 -> f32[n, 1, 4h, 4w], about 0..1, not clamped; features are of ``dtype``."""
        steep = steepness(low)
        drawn = torch.lerp(self.smooth(low, dtype), self.texture(low, dtype), self._share(steep, self.to_texture))
        return torch.lerp(drawn, self.edges(low, dtype), self._share(steep, self.to_edges))
