"""The optimizers of a stacked network as one step that a CUDA graph can hold: Muon for the kernels, Adam for the first kernel and the
biases, and the average of the weights. Nothing is read back to the host, and what changes from step to step is in tensors."""

from __future__ import annotations

from typing import Any

import torch

from ..nets.stacked import Stacked
from .optimizers import orthogonalised

#: Momentum of Muon, and Adam's two; as the optimizers of train-generator.
MOMENTUM, BETAS, EPSILON = 0.95, (0.9, 0.99), 1e-8


class StackedOptimizer:
    """Moves the weights of ``network`` by its gradients. ``factor`` f32[] is the rate as a part of the highest ones."""

    def __init__(self, network: Stacked, muon_rate: float, rate: float, decay: float) -> None:
        """``decay`` of the averaged weights per step, 0..1."""
        self.network, self.muon_rate, self.rate, self.decay = network, muon_rate, rate, decay
        device = network.head_kernel.device
        self.kernels = [network.body_kernels, network.tail_kernel]
        self.others = [network.head_kernel, network.head_bias, network.body_biases, network.tail_bias]
        self.momentum = [torch.zeros_like(kernel) for kernel in self.kernels]
        self.first, self.second = ([torch.zeros_like(value) for value in self.others] for _ in range(2))
        self.factor, self.count = torch.ones((), device=device), torch.zeros((), device=device)
        self.average = network.named()

    @torch.no_grad()
    def step(self, scale: float = 1.0) -> None:
        """One step. The gradients are ``scale`` times the true ones; what overflowed in them counts as 0."""
        self.count += 1
        self._muon(scale)
        self._adam(scale)
        # Early on the average must follow fast, or it would carry the random start for long.
        decay = ((self.count + 1.0) / (self.count + 10.0)).clamp_max(self.decay)
        for name, value in self.network.named_parameters():
            self.average[name].lerp_(value.detach(), 1.0 - decay)

    def _muon(self, scale: float) -> None:
        for kernel, momentum in zip(self.kernels, self.momentum):
            gradient = torch.nan_to_num(kernel.grad, 0.0, 0.0, 0.0) / scale
            momentum.lerp_(gradient, 1.0 - MOMENTUM)
            update = gradient.lerp(momentum, MOMENTUM)
            # Matrices of outputs x (inputs * 9), one for each convolution.
            matrices = update.reshape(-1, kernel.shape[-4], kernel.shape[-3] * 9)
            rows, columns = matrices.shape[-2:]
            length = self.factor * (self.muon_rate * max(1.0, rows / columns) ** 0.5)
            kernel.sub_(orthogonalised(matrices).reshape(kernel.shape) * length)

    def _adam(self, scale: float) -> None:
        gradients = [torch.nan_to_num(value.grad, 0.0, 0.0, 0.0) / scale for value in self.others]
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        clip = (1.0 / (norm + 1e-6)).clamp_max(1.0)
        one, two = BETAS
        rise, fall = 1.0 - one**self.count, 1.0 - two**self.count
        for value, gradient, first, second in zip(self.others, gradients, self.first, self.second):
            gradient = gradient * clip
            first.lerp_(gradient, 1.0 - one)
            second.lerp_(gradient.square(), 1.0 - two)
            value.sub_(first / rise / ((second / fall).sqrt() + EPSILON) * (self.factor * self.rate))

    def state(self) -> dict[str, Any]:
        """Tensors on the host, for a checkpoint."""
        lists = {"momentum": self.momentum, "first": self.first, "second": self.second}
        return {name: [value.cpu().clone() for value in values] for name, values in lists.items()} | {"count": self.count.cpu().clone()}

    def restore(self, state: dict[str, Any]) -> None:
        """What :meth:`state` gave."""
        for name in ("momentum", "first", "second"):
            for value, before in zip(getattr(self, name), state[name]):
                value.copy_(before)
        self.count.copy_(state["count"])
