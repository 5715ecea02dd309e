"""PSNR and SSIM of pictures, as the field reports them for x4."""

from __future__ import annotations

import numpy as np

from ..data.colour import luma

#: PSNR in dB and SSIM.


Score = tuple[float, float]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """dB between two luma planes, peak 255; infinite where they are equal."""
    error = np.mean((first - second) ** 2)
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))


def _blur(plane: np.ndarray) -> np.ndarray:
    """f64[h, w] -> f64[h - 10, w - 10], Gaussian of sigma 1.5 over 11x11."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2.0 * 1.5**2))
    taps /= taps.sum()
    rows = sum(tap * plane[index : plane.shape[0] - 10 + index] for index, tap in enumerate(taps))
    return sum(tap * rows[:, index : plane.shape[1] - 10 + index] for index, tap in enumerate(taps))


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Mean structural similarity of two luma planes of at least 11x11, peak 255 (Wang et al., 2004).

    Luma as :func:`luma` gives it, not rounded. Window: 11x11, Gaussian of sigma 1.5, weights of sum 1. With m, v and c the weighted
    mean, variance (E[x^2] - m^2, not corrected for the number of samples) and covariance, at each place::

        (2 m1 m2 + C1)(2 c + C2) / ((m1^2 + m2^2 + C1)(v1 + v2 + C2)),   C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2

    averaged over the places where the window lies inside the planes whole: (h - 10) x (w - 10). All in 64-bit floats.
    """
    c1, c2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
    m1, m2 = _blur(first), _blur(second)
    v1, v2 = _blur(first**2) - m1**2, _blur(second**2) - m2**2
    cross = _blur(first * second) - m1 * m2
    value = ((2 * m1 * m2 + c1) * (2 * cross + c2)) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2))
    return float(value.mean())


def score(generated: np.ndarray, true: np.ndarray) -> Score:
    """PSNR and SSIM of two uint8[h, w, 3] pictures, as they are."""
    if generated.shape != true.shape:
        raise ValueError(f"the generated picture is {generated.shape}, the true one {true.shape}")
    first, second = luma(generated), luma(true)
    return psnr(first, second), ssim(first, second)
