"""Learning rates over a run."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "constant", "linear", "halving")
#: Parts of the run after which the rate is halved: ESRGAN's 50, 100, 200 and 300 of 400 thousand steps.
HALVINGS = (0.125, 0.25, 0.5, 0.75)
#: Part of the run over which the rate rises; steps of it where the rate is constant and the run has no known end.
WARM, WARM_STEPS = 0.02, 300


def trapezoid(progress: float, hold: float = 0.5) -> float:
    """The rate as a part of the highest, 0..1: a linear rise over :data:`WARM` of the run, the highest until ``hold`` (0..1) of it is
    done, then a linear fall to nothing. ``progress`` in 0..1."""
    if progress < WARM:
        return max(progress / WARM, 0.02)
    return 1.0 if progress < hold else max((1.0 - progress) / (1.0 - hold), 0.0)


def rate_factor(schedule: str, progress: float, steps: int = 0, floor: float = 0.01) -> float:
    """The rate as a part of the highest, 0..1, when ``progress`` (0..1) of the run and ``steps`` are done.

    "cosine": a linear rise, then a half cosine down to ``floor``. "constant": a rise and no fall, so that a run can go on for ever and
    be finished at any time by one that starts from it with "linear", which falls to nothing and has no rise. "halving": as ESRGAN's.
    """
    if schedule == "constant":
        return min(1.0, 0.05 + 0.95 * steps / WARM_STEPS)
    if schedule == "linear":
        return max(0.0, 1.0 - progress)
    if schedule == "halving":
        return 0.5 ** sum(progress >= part for part in HALVINGS)
    if progress < WARM:
        return 0.05 + 0.95 * progress / WARM
    along = min((progress - WARM) / (1.0 - WARM), 1.0)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * along))
