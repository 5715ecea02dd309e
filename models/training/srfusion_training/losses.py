"""Pixel losses; all take f32[n, 3, h, w] in about 0..1 and give a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch


def l1(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return (generated - true).abs().mean()


def mse(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean squared difference."""
    return (generated - true).square().mean()


def charbonnier(generated: torch.Tensor, true: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Mean of sqrt(d^2 + epsilon^2): L1 with a smooth bottom of about a quarter of a grey level."""
    return ((generated - true).square() + epsilon**2).sqrt().mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "mse": mse,
}
