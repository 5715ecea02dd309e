"""A generator of luma whose inner kernels lie in one tensor, to be trained on a GPU: an optimizer then handles all of them in a few large
operations, where one for each of a dozen small kernels would leave the GPU waiting for the next."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import nn

from .compact import SCALE, Generator, flattened


def _convolved(value: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.conv2d(value, kernel.to(value.dtype).contiguous(memory_format=torch.channels_last), bias.to(value.dtype), padding=1)


class Stacked(nn.Module):
    """What a :class:`Generator` of luma computes, without expansion. ``shape`` is the flattened generator's."""

    def __init__(self, generator: Generator) -> None:
        """Weights are copied from ``generator``. ValueError if it is of RGB or has nothing between the first and the last convolution."""
        super().__init__()
        if generator.shape.planes != 1:
            raise ValueError(f"a network of {generator.shape.planes} planes cannot be trained here, which has luma alone: take train-generator")
        if generator.shape.convolutions < 1:
            raise ValueError("a network needs at least one convolution between the first and the last")
        flat = flattened(generator)
        self.shape = dataclasses.replace(flat.shape, expansion=0)
        self.head_kernel, self.head_bias = (nn.Parameter(value.detach().clone()) for value in (flat.head.whole, flat.head.bias))
        self.body_kernels = nn.Parameter(torch.stack([layer.whole.detach() for layer in flat.body]))
        self.body_biases = nn.Parameter(torch.stack([layer.bias.detach() for layer in flat.body]))
        self.tail_kernel, self.tail_bias = (nn.Parameter(value.detach().clone()) for value in (flat.tail.whole, flat.tail.bias))

    def features(self, x: torch.Tensor, dtype: torch.dtype = torch.float32) -> Iterator[torch.Tensor]:
        """What each layer but the last makes of f32[n, 1, h, w], one after the other: [n, channels, h, w] of ``dtype``, 0 or more."""
        y = x.to(dtype, memory_format=torch.channels_last)
        for kernel, bias in self.layers()[:-1]:
            y = F.relu(_convolved(y, kernel, bias)).contiguous(memory_format=torch.channels_last)
            yield y

    def forward(self, x: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """f32[n, 1, h, w] in 0..1 -> f32[n, 1, 4h, 4w], about 0..1, not clamped; features are of ``dtype``."""
        layers = self.features(x, dtype)
        first = next(layers)
        # The others are let go one by one: without gradients only the last is needed.
        (last,) = deque(layers, maxlen=1)
        detail = _convolved(first + last if self.shape.skip else last, self.tail_kernel, self.tail_bias)
        # The input has more bits than the features and is added in its own.
        return F.pixel_shuffle(detail.float() + x, SCALE)

    def layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """As :meth:`.compact.Generator.layers`."""
        return [(self.head_kernel, self.head_bias), *zip(self.body_kernels, self.body_biases), (self.tail_kernel, self.tail_bias)]

    def named(self) -> dict[str, torch.Tensor]:
        """Name -> copy of the values of each parameter."""
        return {name: value.detach().clone() for name, value in self.named_parameters()}

    @staticmethod
    def generator_state(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The ``state_dict`` of a :class:`Generator` without expansion that has the ``values`` of :meth:`named`, on the host."""
        host = {name: value.detach().float().cpu() for name, value in values.items()}
        state = {}
        for layer in ("head", "tail"):
            state |= {f"{layer}.whole": host[f"{layer}_kernel"].contiguous(), f"{layer}.bias": host[f"{layer}_bias"].contiguous()}
        for index, (kernel, bias) in enumerate(zip(host["body_kernels"], host["body_biases"])):
            # Copies: a view would write the whole stack into the checkpoint.
            state |= {f"body.{index}.whole": kernel.contiguous().clone(), f"body.{index}.bias": bias.clone()}
        return state
