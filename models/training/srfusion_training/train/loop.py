"""Runs from their first step to their last, whatever is trained: looks, checkpoints, and the bar that shows how far they are."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Protocol

from tqdm import tqdm


class Run(Protocol):
    """What is trained, and how far it is."""

    args: argparse.Namespace  #: with ``steps`` or ``minutes``, and ``every``
    name: str
    file: Path  #: its checkpoint
    done: int  #: steps
    elapsed: float  #: seconds, earlier sessions counted

    def step(self) -> None:
        """One batch."""

    def look(self) -> str:
        """What is known of it now, as JSON."""

    def save(self) -> None:
        """Write the checkpoint, in one rename."""


def progress(run: Run) -> float:
    """The part of the run that is done."""
    return run.done / run.args.steps if run.args.steps else run.elapsed / (run.args.minutes * 60.0)


def train(run: Run, between: float = math.inf) -> int:
    """Train until ``--steps`` or ``--minutes`` are done. Checkpoints come with the looks, every ``--every`` steps, and ``between`` seconds apart at most."""
    saved, looked = time.monotonic(), run.done
    bar = tqdm(total=run.args.steps, initial=run.done, desc=run.name, unit="step", mininterval=5.0)
    while progress(run) < 1.0:
        run.step()
        bar.update()
        if run.done % run.args.every == 0:
            bar.write(run.look())
            looked = run.done
        if looked == run.done or time.monotonic() - saved > between:
            run.save()
            saved = time.monotonic()
    if looked != run.done:
        bar.write(run.look())
        run.save()
    bar.close()
    print(f"{run.file}: {run.done} steps, {run.elapsed / 60.0:.1f} minutes")
    return 0
