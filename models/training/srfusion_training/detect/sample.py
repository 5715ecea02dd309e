"""A training picture of a detector, and its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Sample:
    """One picture and its truth."""

    image: np.ndarray  # uint8 [side, side, 3], RGB
    boxes: np.ndarray  # float32 [m, 4], objects to be found
    points: np.ndarray  # float32 [m, 5, 2]; [m, 0, 2] for objects without landmarks
    ignore: np.ndarray  # float32 [k, 4], objects that count neither way: mostly hidden, or too small to see
