"""Discriminators for the relativistic average GAN: raw values, no sigmoid at the end."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class UNetDiscriminator(nn.Module):
    """One value a pixel, from a U-Net with spectral normalisation (Schoenfeld et al., CVPR 2020; as in Real-ESRGAN).

    Sides must be multiples of 8. ``width`` channels at full size, doubled at each of three halvings.
    """

    def __init__(self, width: int = 64, planes: int = 3) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width, 8 * width]
        self.first = nn.Conv2d(planes, width, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False)) for a, b in zip(sizes, sizes[1:])
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(b, a, 3, padding=1, bias=False)) for a, b in reversed(list(zip(sizes, sizes[1:])))
        )
        self.last = nn.Sequential(
            spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False)), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """f32[n, planes, h, w] -> f32[n, 1, h, w]."""
        return self.judged(picture)[0]

    def judged(self, picture: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The same, and the features at each size on the way down and up, for feature matching."""
        levels = [F.leaky_relu(self.first(picture), 0.2)]
        for layer in self.down:
            levels.append(F.leaky_relu(layer(levels[-1]), 0.2))
        features = list(levels)
        y = levels.pop()
        for layer in self.up:
            y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = F.leaky_relu(layer(y), 0.2) + levels.pop()
            features.append(y)
        return self.last(y), features


class VggDiscriminator(nn.Module):
    """One value a picture, from a chain of convolutions like VGG's, halving ``halvings`` times (as in ESRGAN).

    Normalised over groups rather than over the batch, so that a value depends on its own picture only; averaged over the
    remaining places rather than tied to one side, so that any side from ``2 ** halvings`` on works.
    """

    def __init__(self, width: int = 64, planes: int = 3, halvings: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(planes, width, 3, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for level in range(halvings):
            wider = min(width * 2 ** (level + 1), 8 * width)
            for inputs, outputs, kernel, stride in ((channels, channels, 4, 2), (channels, wider, 3, 1)):
                layers += [
                    nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False),
                    nn.GroupNorm(min(8, outputs), outputs),
                    nn.LeakyReLU(0.2),
                ]
            channels = wider
        self.features = nn.Sequential(*layers)
        self.judge = nn.Sequential(nn.Linear(channels, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """f32[n, planes, h, w] -> f32[n, 1]."""
        return self.judged(picture)[0]

    def judged(self, picture: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The same, and the features after each activation, for feature matching."""
        features, y = [], picture
        for layer in self.features:
            y = layer(y)
            if isinstance(layer, nn.LeakyReLU):
                features.append(y)
        return self.judge(y.mean(dim=(2, 3))), features


class PatchDiscriminator(nn.Module):
    """One value for each 4x4 pixels, from what lies within 22 pixels: a PatchGAN (Isola et al., CVPR 2017).

    It works on the pixels of 2x2 squares side by side: an eighth of the U-Net's work at the same width, which is what a processor can do.
    Nothing is normalised: with spectral normalisation it is too weak to see what a small generator does over and over.
    """

    def __init__(self, width: int = 64, planes: int = 3) -> None:
        super().__init__()
        self.halves = nn.PixelUnshuffle(2)
        self.first = nn.Conv2d(4 * planes, width, 3, padding=1)
        self.second = nn.Conv2d(4 * width, 2 * width, 1)
        self.rest = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(4))
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)
        for layer in (self.first, self.second, *self.rest):
            nn.init.kaiming_normal_(layer.weight, 0.2)
            nn.init.zeros_(layer.bias)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """f32[n, planes, h, w], sides multiples of 4 -> f32[n, 1, h / 4, w / 4]."""
        return self.judged(picture)[0]

    def judged(self, picture: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The same, and the features after each activation, for feature matching."""
        features = [F.leaky_relu(self.first(self.halves(picture)), 0.2)]
        features.append(F.leaky_relu(self.second(self.halves(features[-1])), 0.2))
        for layer in self.rest:
            features.append(F.leaky_relu(layer(features[-1]), 0.2))
        return self.last(features[-1]), features


DISCRIMINATORS = {"patch": PatchDiscriminator, "unet": UNetDiscriminator, "vgg": VggDiscriminator}
