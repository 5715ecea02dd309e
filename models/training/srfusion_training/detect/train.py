"""`train-detector`: train a detector on pictures that are composed meanwhile (crowds, text), resumable, by the clock.

A run lasts `--minutes` of training; the learning rate follows a cosine over that time, so a slower machine trains for
fewer steps but always finishes. `--steps` gives its length in steps instead. An interrupted run goes on from its last checkpoint with the same command.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from ..data.folders import default_data
from ..losses.detection import DetectorLoss
from ..nets.face_detector import FaceDetector, parameter_count
from ..train.checkpoints import write_checkpoint
from . import detectors
from .feeder import Feeder
from .sources import SOURCES


def to_tensor(images: list[np.ndarray], device: str = "cpu") -> torch.Tensor:
    """uint8 [h, w, 3] pictures -> float32 [b, 3, h, w], 0..1, channels last in memory."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return batch.to(device=device, dtype=torch.float32, memory_format=torch.channels_last) / 255.0


class Average:
    """Exponential moving average of a model, normalisation statistics included."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.998):
        self.model = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards `model`; in the first steps faster, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values()):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def held_out_samples(cache: Path, side: int, count: int, subject: str = "face") -> list:
    """The same `count` pictures of held-out people (fonts) over held-out photographs every time."""
    scenes = SOURCES[subject].make(cache, side, 4711, True)
    return [scenes.sample() for _ in range(count)]


@torch.no_grad()
def predict(model: FaceDetector, samples: list, device: str = "cpu") -> list[np.ndarray]:
    """`predictions` [15, n] of every sample, in evaluation mode."""
    model.eval()
    rows: list[np.ndarray] = []
    for start in range(0, len(samples), 16):
        rows.extend(model(to_tensor([s.image for s in samples[start:start + 16]], device)).float().cpu().numpy())
    return rows


def score(predictions: list[np.ndarray], samples: list, threshold: float) -> dict[str, float]:
    """Recall at IoU 0.5, false boxes a picture and faces a picture of `predictions` at `threshold`."""
    found = faces = false = 0
    for rows, sample in zip(predictions, samples):
        hits, wrong = detectors.match(detectors.decode_rows(rows, threshold).boxes, sample.boxes, sample.ignore, 0.5)
        found += int(hits.sum())
        faces += len(sample.boxes)
        false += int(wrong.sum())
    return {"recall": found / max(1, faces), "false": false / len(samples), "faces": faces / len(samples)}


def validate(model: FaceDetector, samples: list, threshold: float = 0.5, device: str = "cpu") -> dict[str, float]:
    """`score` of a model over held-out mosaics."""
    return score(predict(model, samples, device), samples, threshold)


def run(args: argparse.Namespace) -> int:
    """Train until the time or the steps are used up; returns the exit status."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    source = SOURCES[args.subject]
    args.points = source.points if args.points is None else args.points
    source.prepare(args.data or default_data(), args.cache)
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = args.checkpoints / "detector.pt"
    log = args.checkpoints / "detector.jsonl"
    model = FaceDetector(args.channels, args.points)
    step, spent = 0, 0.0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else None
    if state is None and args.start_from:
        model.load_state_dict(torch.load(args.start_from, map_location="cpu", weights_only=True)["average"])
    model.to(args.device, memory_format=torch.channels_last)
    average = Average(model)
    plain = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}], lr=args.rate)
    if state is not None:
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
        print(f"going on at step {step}, {spent / 60:.1f} minutes", flush=True)
    print(f"{parameter_count(model)} parameters", flush=True)

    loss_of = DetectorLoss()
    held = held_out_samples(args.cache, args.side, 96, args.subject)
    feeder = Feeder(args.cache, args.side, args.seed + step, args.feeders, subject=args.subject)

    def progress() -> float:
        return step / args.steps if args.steps else spent / (args.minutes * 60)

    last_save = clock = time.monotonic()
    sums = np.zeros(5)
    counted = 0

    def save() -> None:
        write_checkpoint(checkpoint, {"model": model.state_dict(), "average": average.model.state_dict(), "optimiser": optimiser.state_dict(),
                           "step": step, "spent": spent, "channels": args.channels, "points": args.points, "subject": args.subject})

    try:
        while progress() < 1 and not (args.max_steps and step >= args.max_steps):
            samples = feeder.batch(args.batch)
            rate = args.rate * min(1.0, (step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress())))
            for group in optimiser.param_groups:
                group["lr"] = rate
            model.train()
            images = to_tensor([s.image for s in samples], args.device)
            with torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=args.precision == "bf16"):
                raws = model.raw(images)
            losses = loss_of(raws, samples)  # in 32 bits
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            step += 1
            average.update(model, step)
            now = time.monotonic()
            spent += now - clock
            clock = now
            sums += (float(losses.total.detach()), losses.score, losses.box, losses.points, losses.iou)
            counted += 1
            if step % 50 == 0:
                mean = sums / counted
                print(f"step {step}  {spent / 60:6.1f} min  rate {rate:.5f}  loss {mean[0]:.3f}  score {mean[1]:.3f}  box {mean[2]:.3f}  "
                      f"points {mean[3]:.4f}  iou {mean[4]:.3f}  fresh {feeder.fresh / max(1, counted * args.batch):.2f}", flush=True)
                sums[:] = 0
                counted = feeder.fresh = 0
            if now - last_save > args.save_minutes * 60:
                result = validate(average.model, held, device=args.device)
                print(f"step {step}  held out: recall {result['recall']:.3f}, false {result['false']:.2f} a picture at 0.5", flush=True)
                with open(log, "a") as file:
                    file.write(json.dumps({"step": step, "minutes": spent / 60, **result}) + "\n")
                save()
                last_save = clock = time.monotonic()
    finally:
        feeder.close()
        save()
    result = validate(average.model, held, device=args.device)
    print(f"done at step {step}: recall {result['recall']:.3f}, false {result['false']:.2f} a picture at 0.5", flush=True)
    return 0
