"""Well-known super-resolution networks in small sizes, written from their papers: for trying that files of these shapes run.

Each says in :data:`SHAPES` what it takes: the channels, the values of black and white, and whether it is given the picture or its bicubic
enlargement. Weights are random and small, so that the output stays near the input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from .rrdb import RRDB, RRDBShape


class SRCNN(nn.Module):
    """Dong et al., "Image super-resolution using deep convolutional networks" (2014): 9-1-5 on interpolated luma."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 9, padding=4), nn.ReLU(), nn.Conv2d(width, width // 2, 1), nn.ReLU(), nn.Conv2d(width // 2, 1, 5, padding=2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 1, h, w] -> the same shape."""
        return self.layers(x)


class VDSR(nn.Module):
    """Kim et al., "Accurate image super-resolution using very deep convolutional networks" (2016): 3x3 layers, the input added."""

    def __init__(self, width: int = 8, depth: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 1, h, w] -> the same shape."""
        return x + self.layers(x)


def _enlarging(width: int, activation: Callable[[], nn.Module] | None) -> nn.Sequential:
    """Twice PixelShuffle by two behind a convolution."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), *([activation()] if activation else [])]
    return nn.Sequential(*layers)


class EDSR(nn.Module):
    """Lim et al., "Enhanced deep residual networks for single image super-resolution" (2017): 0..255, the data's mean taken off."""

    MEAN = (114.4, 111.5, 103.0)

    def __init__(self, width: int = 8, blocks: int = 2) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(self.MEAN).view(1, 3, 1, 1))
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)) for _ in range(blocks)
        )
        self.after, self.up, self.tail = nn.Conv2d(width, width, 3, padding=1), _enlarging(width, None), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] -> f32[n, 3, 4h, 4w]."""
        features = y = self.head(x - self.mean)
        for block in self.blocks:
            y = y + 0.1 * block(y)
        return self.tail(self.up(features + self.after(y))) + self.mean


class SRResNet(nn.Module):
    """Ledig et al., SRGAN (2017): batch normalisation, PReLU, 9x9 at both ends, tanh; -1..1 out, and in here as well."""

    def __init__(self, width: int = 8, blocks: int = 2) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.PReLU(), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
            )
            for _ in range(blocks)
        )
        self.after = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.up, self.tail = _enlarging(width, nn.PReLU), nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] -> f32[n, 3, 4h, 4w]."""
        features = y = self.head(x)
        for block in self.blocks:
            y = y + block(y)
        return torch.tanh(self.tail(self.up(features + self.after(y))))


class SPAN(nn.Module):
    """Wan et al., "Swift parameter-free attention network" (2024): features times sigmoid(features) - 0.5, all blocks seen at the end."""

    def __init__(self, width: int = 8, blocks: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3)) for _ in range(blocks))
        self.after, self.seen = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(3 * width, width, 1)
        self.tail = nn.Conv2d(width, 48, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] -> f32[n, 3, 4h, 4w]."""
        features = self.head(x)
        y, outputs = features, []
        for first, second, third in self.blocks:  # type: ignore[misc]
            made = third(F.silu(second(F.silu(first(y)))))
            y = (made + y) * (torch.sigmoid(made) - 0.5)
            outputs.append(y)
        return F.pixel_shuffle(self.tail(self.seen(torch.cat([features, self.after(y), outputs[0]], 1))), 4)


@dataclasses.dataclass(frozen=True)
class Shape:
    """A kind of network and what its file takes."""

    make: Callable[[], nn.Module]
    channels: str  #: "rgb" or "y"
    range: tuple[float, float]  #: values of sample 0 and sample 255
    interpolated: bool  #: whether it is given the bicubic enlargement, and gives its size


SHAPES = {
    "srcnn": Shape(SRCNN, "y", (0.0, 1.0), True),
    "vdsr": Shape(VDSR, "y", (0.0, 1.0), True),
    "edsr": Shape(EDSR, "rgb", (0.0, 255.0), False),
    "srgan": Shape(SRResNet, "rgb", (-1.0, 1.0), False),
    "esrgan": Shape(lambda: RRDB(RRDBShape(8, 1, 4)), "rgb", (0.0, 1.0), False),
    "span": Shape(SPAN, "rgb", (0.0, 1.0), False),
}
