"""Bicubic resizing as MATLAB's ``imresize`` does it, the one that super-resolution's test sets were made with.

Kernel: Keys' cubic with a = -0.5, widened by 1/scale when a picture is made smaller (antialiasing), weights normalised to
sum 1, pixel centres aligned (``u = x / scale + 0.5 * (1 - 1 / scale)``), borders mirrored with the edge sample repeated.
Rows first, then columns. Nothing is rounded in between; :func:`resize_u8` rounds once at the end.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel, a = -0.5, of distances ``x`` in samples; zero from 2 on."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))


@functools.lru_cache(maxsize=256)
def matrix(length: int, scale: float, size: int | None = None) -> np.ndarray:
    """f32[size, length]: the weights that turn ``length`` samples into ``size`` (default ceil(length x scale))."""
    if size is None:
        size = math.ceil(length * scale - 1e-9)
    stretch = min(scale, 1.0)
    width = 4.0 / stretch
    centre = (np.arange(size) + 1.0) / scale + 0.5 * (1.0 - 1.0 / scale) - 1.0
    left = np.floor(centre - width / 2.0).astype(np.int64)
    taps = left[:, None] + np.arange(math.ceil(width) + 2)[None, :]
    weight = cubic((centre[:, None] - taps) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    source = taps % (2 * length)
    source = np.where(source < length, source, 2 * length - 1 - source)
    dense = np.zeros((size, length), dtype=np.float64)
    np.add.at(dense, (np.arange(size)[:, None], source), weight)
    result = dense.astype(np.float32)
    result.setflags(write=False)
    return result


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """f32[h, w, c] or f32[h, w] of any range -> the same range (with the kernel's overshoot), sides times ``scale``."""
    rows = matrix(image.shape[0], scale)
    columns = matrix(image.shape[1], scale)
    picture = image.astype(np.float32, copy=False)
    if picture.ndim == 2:
        return rows @ picture @ columns.T
    # Plane by plane: a product with the three channels innermost would be many times slower.
    planes = rows @ np.ascontiguousarray(picture.transpose(2, 0, 1)) @ columns.T
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def to_u8(image: np.ndarray) -> np.ndarray:
    """Samples in 0..255 as floats -> uint8, rounded half up and saturated."""
    return np.clip(np.floor(image + 0.5), 0.0, 255.0).astype(np.uint8)


def resize_u8(image: np.ndarray, scale: float) -> np.ndarray:
    """uint8[h, w, c] or uint8[h, w] -> uint8, sides times ``scale``."""
    return to_u8(resize(image, scale))


@functools.lru_cache(maxsize=16)
def _down4(length: int) -> torch.Tensor:
    return torch.from_numpy(matrix(length, 0.25).copy())


def down4(batch: torch.Tensor) -> torch.Tensor:
    """f32[n, c, h, w] with sides divisible by 4 -> f32[n, c, h/4, w/4], the range kept (with overshoot)."""
    height, width = batch.shape[-2:]
    return _down4(height) @ batch @ _down4(width).T


def mod4(image: np.ndarray) -> np.ndarray:
    """[h, w, ...] cut at the right and bottom to sides divisible by 4."""
    return image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4]
