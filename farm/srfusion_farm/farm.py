"""The driver: which work of which film is ready, handed to Ray, until every film is done or has failed.

A film goes through three steps: `plan`, its segments side by side, `join`. All that is kept between them is files beside the output, so that
a driver that is started again goes on with what is there.
"""

import time
from collections import deque
from dataclasses import dataclass, field

import ray
from ray.exceptions import RayError, RayTaskError

from . import command as commands
from .films import Film

# Times that Ray starts a task again whose machine or process was lost.
RETRIES = 8
# Times that a step is tried whose command failed: a full disk, a machine that is broken.
TRIES = 3
# Work that is handed to Ray beyond what runs, so that no machine waits for the driver.
AHEAD = 2


@dataclass
class Settings:
    """How films are made."""

    command: str = "srfusion"
    options: list = field(default_factory=list)
    cpus: float = 1
    gpus: float = 0


@dataclass
class Job:
    """A film under way."""

    film: Film
    # Numbers of the segments that are not made.
    waiting: set = field(default_factory=set)
    # Whether segments cannot be made by themselves.
    in_one_piece: bool = False
    failure: str = ""
    summary: dict = field(default_factory=dict)


@dataclass
class Step:
    """A piece of work: what is done, for which film, and how often it has failed."""

    kind: str
    job: Job
    number: int = -1
    tries: int = 0


def remote(kind, settings):
    """The task of Ray for a step; planning and joining are work of the disk more than of processors."""
    heavy = kind in ("segment", "whole")
    function = {"plan": commands.plan, "segment": commands.segment, "join": commands.whole, "whole": commands.whole}[kind]
    task = ray.remote(function)
    return task.options(num_cpus=settings.cpus if heavy else min(1, settings.cpus), num_gpus=settings.gpus if heavy or kind == "join" else 0,
                        max_retries=RETRIES, name=f"srfusion {kind}")


def slots(settings):
    """Steps that the cluster may run side by side."""
    resources = ray.cluster_resources()
    count = resources.get("CPU", 1) / max(settings.cpus, 1e-9)
    if settings.gpus:
        count = min(count, resources.get("GPU", 0) / settings.gpus)
    return max(1, int(count))


def run(films, settings, tell=lambda event: None):
    """Makes every film; gives the jobs, those that failed with their reason. `tell` is handed a dictionary for everything that happens."""
    jobs = [Job(film) for film in films]
    ready = deque()
    for job in jobs:
        if job.film.output.exists():
            tell({"event": "skipped", "input": str(job.film.source), "output": str(job.film.output)})
        else:
            ready.append(Step("plan", job))
    tasks = {kind: remote(kind, settings) for kind in ("plan", "segment", "join", "whole")}
    running = {}
    started = time.monotonic()
    while ready or running:
        while ready and len(running) < AHEAD * slots(settings):
            step = ready.popleft()
            if step.job.failure or (step.kind == "segment" and step.job.in_one_piece):
                continue
            arguments = [settings.command, step.job.film, settings.options]
            if step.kind == "segment":
                arguments.append(step.number)
            running[tasks[step.kind].remote(*arguments)] = step
        if not running:
            break
        # Not for ever: machines come and go.
        done, _ = ray.wait(list(running), num_returns=1, timeout=5)
        for reference in done:
            step = running.pop(reference)
            for following in end(step, reference, tell, started):
                # A film under way before one that is not begun: its space is given back the sooner.
                ready.appendleft(following) if following.kind != "plan" else ready.append(following)
    return jobs


def end(step, reference, tell, started):
    """Takes what came of a step; gives the steps that may be done now."""
    job = step.job
    try:
        result = ray.get(reference)
    except (RayTaskError, RayError) as error:
        return failed(step, reason(error), tell)
    if step.kind == "plan":
        missing, everything = result
        tell({"event": "planned", "input": str(job.film.source), "segments": len(everything), "missing": len(missing)})
        if not everything:
            job.in_one_piece = True
            return [Step("whole", job)]
        if not missing:
            return [Step("join", job)]
        job.waiting = set(missing)
        # In order, as they are put before all others one by one.
        return [Step("segment", job, number) for number in reversed(missing)]
    if step.kind == "segment":
        job.waiting.discard(step.number)
        tell({"event": "segment", "input": str(job.film.source), "segments_left": len(job.waiting), "seconds": time.monotonic() - started} | result_of(result))
        return [] if job.waiting or job.in_one_piece else [Step("join", job)]
    job.summary = result
    tell(result | {"event": "done"})
    return []


def result_of(result):
    """What is told of a segment."""
    return {name: result[name] for name in ("number", "frames", "reused", "frames_per_second", "provider")}


def failed(step, text, tell):
    """What is done after a failure: the step again, the film in one piece, or nothing more."""
    job = step.job
    tell({"event": "failure", "input": str(job.film.source), "step": step.kind, "number": step.number, "tries": step.tries + 1, "error": text})
    if step.kind == "segment" and ("cannot be made by itself" in text or "cannot be cut" in text):
        # Others of this film may run; the command waits for them, and compares what they have made.
        first = not job.in_one_piece
        job.in_one_piece = True
        return [Step("whole", job)] if first else []
    if step.tries + 1 < TRIES:
        return [Step(step.kind, job, step.number, step.tries + 1)]
    job.failure = job.failure or text
    return []


def reason(error):
    """Ray's error as people want it: what the command said, or what became of the machine."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, commands.Failed):
        return str(cause)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
