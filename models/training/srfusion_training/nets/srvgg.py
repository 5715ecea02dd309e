"""SRVGGNetCompact, the compact generator of Real-ESRGAN."""

from __future__ import annotations

import torch
from torch import nn

from .compact import SCALE


class Compact(nn.Module):
    """SRVGGNetCompact of Real-ESRGAN: 3x3 convolutions with an activation after each but the last, PixelShuffle, and the input
    enlarged by nearest neighbour added. Parameters are named as in its public checkpoints.

    ``activation`` is "prelu" (one slope a channel), "relu" or "leakyrelu" (slope 0.1).
    """

    def __init__(self, channels: int = 64, convolutions: int = 16, activation: str = "prelu") -> None:
        super().__init__()
        self.channels, self.convolutions, self.activation = channels, convolutions, activation
        layers: list[nn.Module] = []
        for index in range(convolutions + 1):
            layers.append(nn.Conv2d(channels if index else 3, channels, 3, padding=1))
            kinds = {"prelu": lambda: nn.PReLU(channels), "relu": nn.ReLU, "leakyrelu": lambda: nn.LeakyReLU(0.1)}
            layers.append(kinds[activation]())
        layers.append(nn.Conv2d(channels, 3 * SCALE**2, 3, padding=1))
        self.body = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] RGB in 0..1 -> f32[n, 3, 4h, 4w]."""
        y = x
        for layer in self.body:
            y = layer(y)
        return nn.functional.pixel_shuffle(y, SCALE) + nn.functional.interpolate(x, scale_factor=float(SCALE), mode="nearest")
