"""Channels of a network that are never above zero, and a new start for them.

A ReLU whose input is below zero everywhere gives nothing and gets no gradient: it stays so, and so do its descendants. A run can lose most
of a layer that way within its first steps and still learn, as a narrower and shallower network. general-x4-quality's first version had
layers with 15, 3, 1 and 5 channels alive of 64, and nothing in its curve told.
"""

from __future__ import annotations

import math

import torch

from ..nets.stacked import Stacked


@torch.no_grad()
def alive(network: Stacked, low: torch.Tensor) -> torch.Tensor:
    """bool[convolutions + 1, channels]: whether each channel of each layer is above zero anywhere in the patches f32[n, 1, h, w]."""
    seen = torch.zeros(network.shape.convolutions + 1, network.shape.channels, dtype=torch.bool, device=low.device)
    for part in low.split(32):
        for layer, features in enumerate(network.features(part)):
            seen[layer] |= (features > 0).any(dim=3).any(dim=2).any(dim=0)
    return seen


@torch.no_grad()
def revive(network: Stacked, low: torch.Tensor, generator: torch.Generator) -> int:
    """Give each dead channel random kernels on the way in and zeros on the way out, and return how many there were.

    What the network makes of ``low`` stays what it was; ``generator`` is of the host.
    """
    dead = ~alive(network, low)
    kernels = [network.head_kernel, *network.body_kernels, network.tail_kernel]
    biases = [network.head_bias, *network.body_biases]
    for layer, lost in enumerate(dead):
        kernel, count = kernels[layer], int(lost.sum())
        # As strong as a new network's: He's deviation. What comes in is never negative, so that a kernel of negative sum could be dead again
        # wherever the picture is even: those made here have none, and are above zero on one side of whatever edge they answer to.
        new = torch.randn(count, *kernel.shape[1:], generator=generator) * math.sqrt(2.0 / kernel[0].numel())
        kernel[lost] = (new - new.mean(dim=(1, 2, 3), keepdim=True)).to(kernel)
        biases[layer][lost] = 0.0
        # Those of the next layer that start anew may listen: they are not heard themselves.
        kernels[layer + 1][:, lost] = 0.0
    return int(dead.sum())
