"""Luma and chroma of BT.601, studio swing: what PSNR-Y is measured on and what luma networks take."""

from __future__ import annotations

import numpy as np
import torch

#: Of R, G and B in 0..255 in a luma of 16..235.
WEIGHTS = (65.481 / 255.0, 128.553 / 255.0, 24.966 / 255.0)
OFFSET = 16.0


def luma(image: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] RGB -> f64[h, w], BT.601 studio swing, 16..235, not rounded."""
    return OFFSET + image.astype(np.float64) @ np.array(WEIGHTS)


def luma_planes(batch: torch.Tensor) -> torch.Tensor:
    """f32[n, 3, h, w] RGB in 0..1 -> f32[n, 1, h, w], BT.601 studio swing over 255, so 16/255..235/255."""
    weights = torch.tensor(WEIGHTS, dtype=batch.dtype, device=batch.device).view(1, 3, 1, 1)
    return (batch * weights).sum(1, keepdim=True) + OFFSET / 255.0


def luma_u8(image: torch.Tensor) -> torch.Tensor:
    """uint8[h, w, 3] RGB -> uint8[h, w], BT.601 studio swing, 16..235, rounded half up, on the picture's device."""
    # Not a product of matrices: those may be done in ten bits of mantissa on a GPU.
    weights = torch.tensor(WEIGHTS, device=image.device)
    return ((image.float() * weights).sum(-1) + (OFFSET + 0.5)).floor().to(torch.uint8)


def with_luma(image: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] RGB and luma f[h, w] in 16..235 -> f64[h, w, 3], the picture with this luma and its own chroma, in about
    0..255. Adding one value to all three colours changes luma alone, because the weights of the colours sum to 219 / 255."""
    return image.astype(np.float64) + ((plane - luma(image)) * (255.0 / 219.0))[..., None]


def vary_levels(low: torch.Tensor, high: torch.Tensor, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Luma patches in some of the ranges that video has: a quarter stretched to 0..255 (full range), one in ten darkened.

    f32[n, 1, h, w] over 255, both changed alike; low ones are rounded to 8 bits again.
    """
    kind = random.random(low.shape[0])
    gain, shift = np.ones(low.shape[0], np.float32), np.zeros(low.shape[0], np.float32)
    full, dark = kind < 0.25, kind > 0.9
    gain[full], shift[full] = 255.0 / 219.0, -OFFSET / 219.0
    gain[dark] = random.uniform(0.5, 1.0, int(dark.sum())).astype(np.float32)
    shift[dark] = OFFSET / 255.0 * (1.0 - gain[dark])
    g, s = (torch.from_numpy(value).to(low.device) for value in (gain, shift))
    return _levelled(low, high, g, s)


def vary_levels_by(low: torch.Tensor, high: torch.Tensor, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`vary_levels`, by ``draws`` f32[2, n] in 0..1 on the patches' device: nothing goes to the host, so that the steps of a
    GPU can be captured."""
    kind, amount = draws
    full, dark, depth = kind < 0.25, kind > 0.9, 0.5 + 0.5 * amount
    # Constants are made on the device: a number in torch.where would be copied from the host.
    gain = torch.where(full, torch.full_like(depth, 255.0 / 219.0), torch.where(dark, depth, torch.ones_like(depth)))
    shift = torch.where(full, torch.full_like(depth, -OFFSET / 219.0), torch.where(dark, OFFSET / 255.0 * (1.0 - depth), torch.zeros_like(depth)))
    return _levelled(low, high, gain, shift)


def _levelled(low: torch.Tensor, high: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both times ``gain`` f32[n] plus ``shift`` f32[n]; low ones rounded to 8 bits again."""
    g, s = (value[:, None, None, None] for value in (gain, shift))
    return ((low * g + s) * 255.0).round().clamp(0.0, 255.0) / 255.0, high * g + s
