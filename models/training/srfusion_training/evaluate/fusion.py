"""The engine's fusion in Python, for measurements: the weight ``w`` of (2) and the fused picture of (1) and (3).

    I = w I_face + (1 - w) I_general                                                    (1), (3)
    w = max over faces of  box * G,  G ~ N(0, diag((s W)^2, (s H)^2))                   (2)

with the face's box W x H widened by ``padding`` of its sides on each side, s = ``sigma``, and G cut at three standard deviations
and normalised again, as in ``src/mask.rs``. Boxes are x0, y0, x1, y1 in low-resolution pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SCALE = 4
#: Standard deviations at which the Gaussian is cut.
CUT = 3.0

_erf = np.vectorize(math.erf, otypes=[np.float64])


def cut_normal_cdf(t: np.ndarray) -> np.ndarray:
    """Distribution function of the standard normal distribution cut at +-CUT."""
    low, high = (0.5 * (1.0 + math.erf(end / math.sqrt(2.0))) for end in (-CUT, CUT))
    return np.clip((0.5 * (1.0 + _erf(t / math.sqrt(2.0))) - low) / (high - low), 0.0, 1.0)


def curve(low: float, high: float, sigma: float, length: int) -> np.ndarray:
    """f64[4 length]: ``low..high`` convolved with a Gaussian of ``sigma``, all in low-resolution pixels, at the centres of
    output pixels."""
    u = (np.arange(length * SCALE) + 0.5) / SCALE
    if sigma <= 0.0:
        return ((low <= u) & (u < high)).astype(np.float64)
    return np.maximum(cut_normal_cdf((u - low) / sigma) - cut_normal_cdf((u - high) / sigma), 0.0)


def mask(boxes: Sequence[Sequence[float]], height: int, width: int, padding: float, sigma: float) -> np.ndarray:
    """f64[4 height, 4 width]: w of a low-resolution picture of ``height`` x ``width`` with these faces."""
    result = np.zeros((height * SCALE, width * SCALE))
    for x0, y0, x1, y1 in boxes:
        wide, tall = x1 - x0, y1 - y0
        if wide > 0.0 and tall > 0.0:
            across = curve(x0 - padding * wide, x1 + padding * wide, sigma * wide, width)
            along = curve(y0 - padding * tall, y1 + padding * tall, sigma * tall, height)
            np.maximum(result, along[:, None] * across[None], out=result)
    return result


def fuse(general: np.ndarray, face: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(1) for pictures f[h, w, 3] or planes f[h, w] and w f64[h, w]; not rounded."""
    weight = weight[..., None] if general.ndim == 3 else weight
    return weight * face + (1.0 - weight) * general


def area(padding: float, sigma: float) -> float:
    """Area of the support of w, where the face network must run, in areas of the face's box (context not counted)."""
    return (1.0 + 2.0 * padding + 2.0 * CUT * sigma) ** 2
