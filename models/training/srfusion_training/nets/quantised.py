"""A compact generator run as its eight-bit copy will run it, so that training gets used to the rounding.

Weights are rounded to int8 with one scale an output channel, activations to uint8 with one scale a tensor, as in
:mod:`srfusion_training.export.int8`; gradients pass the rounding as if it were not there, and stop where a value saturates. The ranges
of activations follow what batches hold while training; they are written into the exported file, and taken from there when it is
quantised.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .compact import SCALE, Generator
from .stacked import Stacked

#: How slowly ranges follow.
MOMENTUM = 0.98


class Quantised(nn.Module):
    """``network`` without its skip, with rounding. In training mode ranges follow the batches, in place, so that a captured step moves them too."""

    def __init__(self, network: Generator | Stacked, ranges: dict[str, list[float]] | None = None) -> None:
        """``ranges``: activation -> [least, greatest], as :meth:`known` gives them; ValueError for a network with a skip."""
        super().__init__()
        if network.shape.skip:
            raise ValueError("training with eight bits is for networks without a skip (--colour y)")
        self.network = network
        self.ranges: dict[str, torch.Tensor] = {name: torch.tensor(value) for name, value in (ranges or {}).items()}

    def known(self) -> dict[str, list[float]]:
        """The ranges by the names that the exported graph has."""
        return {name: [float(value) for value in pair] for name, pair in self.ranges.items()}

    def _activation(self, y: torch.Tensor, name: str) -> torch.Tensor:
        if self.training or name not in self.ranges:
            now = torch.stack([y.detach().min().clamp_max(0.0), y.detach().max().clamp_min(1e-6)]).float()
            if name in self.ranges:
                self.ranges[name] = self.ranges[name].to(now.device)
                self.ranges[name].lerp_(now, 1.0 - MOMENTUM)
            else:
                self.ranges[name] = now
        # Tensors, not numbers: a GPU need not be waited for.
        low, high = self.ranges[name].to(y.device).unbind()
        scale = (high - low) / 255.0
        return torch.fake_quantize_per_tensor_affine(y, scale, (-low / scale).round().clamp(0, 255).to(torch.int32), 0, 255)

    @staticmethod
    def _weight(kernel: torch.Tensor) -> torch.Tensor:
        scale = kernel.detach().abs().amax(dim=(1, 2, 3)).clamp_min(1e-8) / 127.0
        zeros = torch.zeros(kernel.shape[0], dtype=torch.int32, device=kernel.device)
        return torch.fake_quantize_per_channel_affine(kernel, scale, zeros, 0, -127, 127)

    def _convolved(self, y: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return F.conv2d(y, self._weight(kernel).contiguous(memory_format=torch.channels_last), bias, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, planes, h, w] of 8-bit samples over 255 -> f32[n, planes, 4h, 4w], neither rounded nor clamped."""
        *inner, (last, shift) = self.network.layers()
        y = x.contiguous(memory_format=torch.channels_last)
        for index, (kernel, bias) in enumerate(inner):
            name = f"body.{index - 1}.relu" if index else "features"
            y = self._activation(F.relu(self._convolved(y, kernel, bias)), name)
        detail = self._convolved(y, last, shift)
        return F.pixel_shuffle(self._activation(detail, "tail") + x.repeat_interleave(SCALE**2, dim=1), SCALE)
