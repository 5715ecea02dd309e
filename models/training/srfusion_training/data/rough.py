"""Low-resolution patches made rough while training draws them: a little blur, noise, and JPEG or H.264. Milder than the recipe
"camera" of :mod:`srfusion_training.data.degrade`, and without a pool on disk: what is drawn anew each time has no cached versions."""

from __future__ import annotations

import math

import numpy as np

from . import coding, degrade

#: Of the patches of a call, how often they go through H.264 together; starting an encoder takes as long as drawing several patches.
CODED = 0.25
#: Rate factors and qualities, both ends included.
CRF, QUALITY = (18, 32), (40, 95)
#: Standard deviation of the blur in low-resolution pixels, and of the noise in levels.
BLUR, NOISE = (0.3, 0.9), (0.0, 7.0)
#: By how much the rate factor rises where things are twice as large: about a halving of the rate. Measured later, letters of 16 px at 34
#: are as hard to read as those of 8 px at 28, which is six.
COARSER = 7


def _side_by_side(patches: np.ndarray) -> np.ndarray:
    """uint8[n, h, w, 3] -> one picture with sides that are even, the patches in rows."""
    count, height, width = patches.shape[:3]
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    picture = np.full((down * height, across * width, 3), 128, np.uint8)
    for index, patch in enumerate(patches):
        row, column = divmod(index, across)
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = patch
    return np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), mode="edge")


def through_h264(patches: np.ndarray, crf: int) -> np.ndarray:
    """uint8[n, h, w, 3], patches set side by side in one frame through H.264 and back."""
    count, height, width = patches.shape[:3]
    across = math.ceil(math.sqrt(count))
    picture = coding.coded(_side_by_side(patches)[None], crf, "veryfast")[0]
    places = (divmod(index, across) for index in range(count))
    return np.stack([picture[r * height : (r + 1) * height, c * width : (c + 1) * width] for r, c in places])


def roughened(patches: np.ndarray, random: np.random.Generator, coded: float = CODED, harm: float = 1.0) -> np.ndarray:
    """uint8[n, h, w, 3] -> the same shape, each patch changed by at least one of: blur, noise, JPEG; or all of them
    by H.264, with the probability ``coded``. ``harm`` (1 and more): for things so many times as large, of which as much
    shall be left to be seen: blur grows as they do, noise as the root, the rate factor by :data:`COARSER` for each doubling."""
    result = []
    coarser = round(COARSER * math.log2(harm))
    together = random.random() < coded
    for patch in patches:
        soft, noisy = random.random() < 0.45, random.random() < 0.45
        if soft:
            sigma = harm * float(random.uniform(*BLUR))
            patch = degrade.blur(patch, degrade.gaussian_kernel(sigma, float(random.uniform(BLUR[0], sigma)), float(random.uniform(0, math.pi))))
        if noisy:
            patch = degrade.noise(patch, math.sqrt(harm) * float(random.uniform(*NOISE)), random)
        if not together and (random.random() < 0.5 or not (soft or noisy)):
            patch = degrade.jpeg(patch, int(random.integers(QUALITY[0], QUALITY[1] + 1)))
        result.append(patch)
    stacked = np.stack(result)
    return through_h264(stacked, int(random.integers(CRF[0], CRF[1] + 1)) + coarser) if together else stacked
