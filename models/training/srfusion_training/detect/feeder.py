"""Samples made by processes of their own while the trainer works."""

from __future__ import annotations

import multiprocessing
import os
import queue
from pathlib import Path

import cv2
import numpy as np

from .mosaics import FLIPPED_POINTS
from .sample import Sample
from .sources import SOURCES

# Seconds that a sample which is ready may take through the pipe, which holds less than one: without them a quick trainer takes one a batch.
ARRIVAL = 0.01


def _feed(subject: str, cache: str, side: int, seed: int, out, stop) -> None:
    """Body of a feeding process: samples into `out` until `stop` is set or the trainer is gone."""
    cv2.setNumThreads(1)
    trainer = os.getppid()
    out.cancel_join_thread()  # at the end nobody reads what is still in the pipe
    scenes = SOURCES[subject].make(Path(cache), side, seed, False)
    while not stop.is_set() and os.getppid() == trainer:
        sample = scenes.sample()
        while not stop.is_set() and os.getppid() == trainer:
            try:
                out.put((sample.image, sample.boxes, sample.points, sample.ignore), timeout=1.0)
                break
            except queue.Full:
                continue


class Feeder:
    """Samples made by processes of their own, with a memory of recent ones for when the trainer is faster.

    `batch(n)` takes up to n fresh samples that are ready and fills up from the last `keep` ones, mirrored at random where the subject allows,
    so the trainer never waits once the memory has begun to fill.
    """

    def __init__(self, cache: Path, side: int, seed: int, processes: int = 1, keep: int = 2500, subject: str = "face"):
        self.mirrors = SOURCES[subject].mirrors
        context = multiprocessing.get_context("spawn")
        self.rng = np.random.default_rng(seed)
        self.queue = context.Queue(maxsize=96)
        self.stop_flag = context.Event()
        self.keep = keep
        self.memory: list[Sample] = []
        self.next = 0
        self.fresh = 0
        self.processes = [context.Process(target=_feed, args=(subject, str(cache), side, seed * 100 + 1 + i, self.queue, self.stop_flag), daemon=True) for i in range(processes)]
        for process in self.processes:
            process.start()

    def _remember(self, sample: Sample) -> None:
        if len(self.memory) < self.keep:
            self.memory.append(sample)
        else:
            self.memory[self.next] = sample
            self.next = (self.next + 1) % self.keep

    def batch(self, count: int, warm_up: int = 256) -> list[Sample]:
        """`count` samples."""
        picked: list[Sample] = []
        while len(picked) < count:
            waiting = len(self.memory) < warm_up
            try:
                sample = Sample(*(self.queue.get(timeout=60 if waiting else ARRIVAL)))
            except queue.Empty:
                if waiting:
                    raise RuntimeError("no sample arrived within a minute: the feeding process has ended") from None
                break
            self._remember(sample)
            self.fresh += 1
            picked.append(sample)
        while len(picked) < count:
            sample = self.memory[self.rng.integers(len(self.memory))]
            picked.append(mirrored(sample) if self.mirrors and self.rng.random() < 0.5 else sample)
        return picked

    def close(self) -> None:
        """End the feeding processes."""
        self.stop_flag.set()
        for process in self.processes:
            process.join(timeout=3)
            if process.is_alive():
                process.terminate()


def mirrored(sample: Sample) -> Sample:
    """The same sample seen in a mirror; left and right points change names."""
    side = sample.image.shape[1]

    def boxes(b: np.ndarray) -> np.ndarray:
        return np.stack([side - b[:, 2], b[:, 1], side - b[:, 0], b[:, 3]], 1).astype(np.float32)

    points = sample.points[:, list(FLIPPED_POINTS)].copy()
    points[..., 0] = side - points[..., 0]
    return Sample(np.ascontiguousarray(sample.image[:, ::-1]), boxes(sample.boxes), points, boxes(sample.ignore))
