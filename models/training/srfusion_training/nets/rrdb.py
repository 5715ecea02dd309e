"""ESRGAN's generator: residual in residual dense blocks (Wang et al., ECCV workshops 2018), in any size.

    x0 = first(x),  y = x0 + after(blocks(x0))
    out = last(lrelu(wide(lrelu(up2(N2(lrelu(up1(N2(y)))))))))

with N2 nearest-neighbour enlargement by 2, lrelu of slope 0.2, all convolutions 3x3. A dense block sees all its earlier outputs
and adds 0.2 of its last one to its input; three of them with the same residual around make a block. The receptive
radius at low resolution is 15 per block and some: much more context per tile than the compact network needs.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2
RESIDUAL = 0.2
#: Of the initial kernels, relative to He's: small, so that the many residuals start near the identity.
INITIAL = 0.1


@dataclasses.dataclass(frozen=True)
class RRDBShape:
    """What determines the architecture; the default is ESRGAN's own. Stored in checkpoints."""

    channels: int = 64
    blocks: int = 23
    growth: int = 32

    @property
    def radius(self) -> int:
        """Largest receptive radius in low-resolution pixels: one per 3x3 convolution there (first, 15 a block, the one after
        the blocks) and what the four at two and four times the size add, rounded up."""
        return 2 + 15 * self.blocks + 2

    @property
    def multiply_adds(self) -> int:
        """Multiplications per low-resolution pixel."""
        c, g = self.channels, self.growth
        dense = sum((c + index * g) * (g if index < 4 else c) for index in range(5))
        return 9 * (3 * c + 3 * self.blocks * dense + c * c + 4 * c * c + 16 * (2 * c * c + 3 * c))


class DenseBlock(nn.Module):
    """Five convolutions, each of all that came before; 0.2 of the last is added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for index in range(5):
            layer = nn.Conv2d(channels + index * growth, growth if index < 4 else channels, 3, padding=1)
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(INITIAL)
            setattr(self, f"conv{index + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, channels, h, w] -> the same shape."""
        seen = x
        for index in range(1, 5):
            seen = torch.cat((seen, F.leaky_relu(getattr(self, f"conv{index}")(seen), SLOPE)), dim=1)
        return x + RESIDUAL * self.conv5(seen)


class Block(nn.Module):
    """Three dense blocks with a residual around them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, channels, h, w] -> the same shape."""
        return x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDB(nn.Module):
    """The generator; parameters are named as in the public checkpoints of newer date."""

    def __init__(self, shape: RRDBShape = RRDBShape()) -> None:
        super().__init__()
        self.shape = shape
        c = shape.channels
        self.conv_first = nn.Conv2d(3, c, 3, padding=1)
        self.body = nn.ModuleList(Block(c, shape.growth) for _ in range(shape.blocks))
        self.conv_body = nn.Conv2d(c, c, 3, padding=1)
        self.conv_up1 = nn.Conv2d(c, c, 3, padding=1)
        self.conv_up2 = nn.Conv2d(c, c, 3, padding=1)
        self.conv_hr = nn.Conv2d(c, c, 3, padding=1)
        self.conv_last = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] RGB in 0..1 -> f32[n, 3, 4h, 4w] RGB, about 0..1, not clamped."""
        features = self.conv_first(x)
        y = features
        for block in self.body:
            y = block(y)
        y = features + self.conv_body(y)
        for layer in (self.conv_up1, self.conv_up2):
            y = F.leaky_relu(layer(F.interpolate(y, scale_factor=2.0, mode="nearest")), SLOPE)
        return self.conv_last(F.leaky_relu(self.conv_hr(y), SLOPE))
