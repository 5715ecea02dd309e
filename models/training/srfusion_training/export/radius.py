"""The receptive radius of a generator's file, measured by changing one pixel."""

from __future__ import annotations

import numpy as np
import onnx

from .session import SCALE, session


def receptive_radius(model: onnx.ModelProto, side: int = 65, seed: int = 0, felt: float = 0.0) -> int:
    """Low-resolution pixels over which a change of the middle pixel is felt, measured on noise of ``side`` x ``side``.

    The pixel is set to black, white and two colours; every output sample that changes by more than ``felt`` counts.
    """
    run, middle = session(model), side // 2
    planes = run.get_inputs()[0].shape[1]
    image = np.random.default_rng(seed).random((1, planes, side, side), dtype=np.float32)
    (before,) = run.run(["output"], {"input": image})
    radius = 0
    for colour in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
        changed = image.copy()
        changed[0, :, middle, middle] = colour[:planes]
        (after,) = run.run(["output"], {"input": changed})
        rows, columns = np.nonzero((np.abs(before - after) > felt).any(axis=(0, 1)))
        if rows.size:
            reach = np.concatenate([np.abs(rows // SCALE - middle), np.abs(columns // SCALE - middle)])
            radius = max(radius, int(reach.max()))
    if radius >= middle:
        raise ValueError(f"the change reaches the border of a picture of {side} px; measure on a larger one")
    return radius


def measured_scale(model: onnx.ModelProto) -> float:
    """How many times wider the output of a generator is than its input."""
    run = session(model)
    picture = np.zeros((1, run.get_inputs()[0].shape[1], 16, 24), np.float32)
    return run.run(None, {run.get_inputs()[0].name: picture})[0].shape[-1] / 24


#: An output that changes by less than this, an eighth of a grey level, is taken as not changed when the radius is measured.
FELT = 0.125 / 255.0
#: Sides of the pictures on which the radius is tried to be measured.
RADIUS_SIDES = (65, 129, 193, 257)


def measured_radius(model: onnx.ModelProto, sides: tuple[int, ...] = RADIUS_SIDES, felt: float = FELT) -> int:
    """Receptive radius on the smallest of ``sides`` that is large enough; a change below ``felt`` does not count.

    ESRGAN's network reaches hundreds of pixels in theory, and its influence fades long before.
    """
    for side in sides:
        try:
            return receptive_radius(model, side, felt=felt)
        except ValueError:
            if side == sides[-1]:
                raise
    raise ValueError("there is no side to measure on")
