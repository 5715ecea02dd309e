"""How long generators take beside one another on this machine, run by turns so that what else the machine does hits all alike."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ..export import generator, int8
from ..export.session import session
from ..nets.compact import Generator, GeneratorShape, collapse


def random_generator(shape: GeneratorShape, eight_bits: bool, name: str) -> Any:
    """The graph of a network of this shape with random weights, calibrated on noise where it has eight bits: time does not depend
    on the weights."""
    torch.manual_seed(0)
    model = generator.to_onnx(collapse(Generator(shape).eval()), name)
    if not eight_bits:
        return model
    random = np.random.default_rng(0)
    return int8.quantised(model, [random.random((1, shape.planes, 48, 48), dtype=np.float32) for _ in range(3)])


def times(models: dict[str, Any], width: int, height: int, threads: int, rounds: int) -> dict[str, np.ndarray]:
    """Name -> f64[rounds], seconds of each run on noise of ``width`` x ``height``; every round runs all, in order, after one that
    does not count. ``models`` are graphs or files."""
    random = np.random.default_rng(0)
    jobs = {}
    for name, model in models.items():
        run = session(model, threads)
        entry = run.get_inputs()[0]
        noise = random.integers(0, 256, (1, entry.shape[1], height, width), dtype=np.uint8)
        jobs[name] = (run, {entry.name: noise if entry.type == "tensor(uint8)" else (noise / 255.0).astype(np.float32)})
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, (run, feed) in jobs.items():
            began = time.perf_counter()
            run.run(None, feed)
            if turn:
                taken[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in taken.items()}


def summary(taken: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Name -> least and median milliseconds, and the ratio to the first: of the least ones, and the median of the rounds'."""
    first = next(iter(taken.values()))
    return {
        name: {
            "least-ms": float(values.min() * 1e3),
            "median-ms": float(np.median(values) * 1e3),
            "ratio-of-least": float(values.min() / first.min()),
            "median-ratio": float(np.median(values / first)),
        }
        for name, values in taken.items()
    }
