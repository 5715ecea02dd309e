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


def luma_l1(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Half the mean absolute difference of the three colours, half that of luma (BT.601, scaled to weights of sum 1).

    The eye and the reported PSNR both look at luma; the half on the colours keeps these right.
    """
    difference = generated - true
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=true.dtype, device=true.device) / 219.0
    luma = (difference * weights.view(1, 3, 1, 1)).sum(1)
    return 0.5 * difference.abs().mean() + 0.5 * luma.abs().mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "mse": mse,
    "luma-l1": luma_l1,
}
