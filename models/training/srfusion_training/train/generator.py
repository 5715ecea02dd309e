"""Train a generator on patches of the cache; resumable, with averaged weights.

The general generator is trained from random weights on photographs, the face generator from the general one
(``--from``) on portraits.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import time
from typing import Any

import torch
from tqdm import tqdm

from ..data import subjects
from ..losses import objective
from ..nets.compact import Generator, GeneratorShape, flattened
from ..nets.rrdb import RRDB, RRDBShape
from . import curves
from .checkpoints import load_checkpoint, make_network, shape_of
from .optimizers import Muon


def learning_rate(progress: float, peak: float, warm: float = 0.02, floor: float = 0.01) -> float:
    """Linear rise over the first ``warm`` of the run, then a half cosine from ``peak`` to ``floor * peak``.

    ``progress`` is the part of the run that is done, 0..1.
    """
    if progress < warm:
        return peak * (0.05 + 0.95 * progress / warm)
    along = min((progress - warm) / (1.0 - warm), 1.0)
    return peak * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * along)))


@torch.no_grad()
def average_into(average: Generator, network: Generator, decay: float) -> None:
    """Move every weight of ``average`` towards ``network``'s by ``1 - decay``."""
    for kept, value in zip(average.parameters(), network.parameters()):
        kept.lerp_(value, 1.0 - decay)


@torch.no_grad()
def held_out_psnr(network: Generator, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Mean over patches of the PSNR in dB over RGB, 4 px border left out, of patches that are not trained on."""
    values: list[torch.Tensor] = []
    for low, high in batches:
        error = (network(low).clamp(0.0, 1.0) - high)[..., 4:-4, 4:-4].square().mean(dim=(1, 2, 3))
        values.append(-10.0 * torch.log10(error.clamp_min(1e-8)))
    return float(torch.cat(values).mean())


def make_optimizers(network: Generator, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Adam alone (always for RRDB), or Adam for the head and the biases and Muon for every other kernel."""
    if args.optimizer == "adam" or isinstance(network, RRDB):
        return [torch.optim.Adam(network.parameters(), lr=args.rate, betas=(0.9, 0.99))]
    kernels = [layer.whole for layer in [*network.body, network.tail]]
    others = [value for value in network.parameters() if not any(value is kernel for kernel in kernels)]
    return [torch.optim.Adam(others, lr=args.rate, betas=(0.9, 0.99)), Muon(kernels, lr=args.muon_rate)]


def train(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoint of this name if there is one."""
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = args.name or args.subject
    file = args.checkpoints / f"{name}.pt"
    curve = args.checkpoints / f"{name}.jsonl"
    args.checkpoints.mkdir(parents=True, exist_ok=True)

    done, elapsed, before = 0, 0.0, None
    if file.exists() and not args.restart:
        before = load_checkpoint(file)
        done, elapsed = before["steps"], before["seconds"]
    torch.manual_seed(args.seed + done)
    architecture, shape = args.architecture, GeneratorShape(args.channels or 32, args.convolutions, args.expansion)
    if architecture == "rrdb":
        shape = RRDBShape(args.channels or 64, args.blocks, args.growth)
    if before is not None:
        architecture, shape = shape_of(before)
    elif args.start is not None:
        origin = load_checkpoint(args.start)
        architecture, shape = shape_of(origin)
    network, average = make_network(architecture, shape), make_network(architecture, shape)
    if before is not None:
        network.load_state_dict(before["network"])
        average.load_state_dict(before["average"])
    else:
        if args.start is not None:
            network.load_state_dict(origin["average"])
        if args.optimizer == "muon" and architecture == "compact":
            # Muon works on the kernels themselves.
            network = flattened(network)
            shape, average = network.shape, Generator(network.shape)
        average.load_state_dict(network.state_dict())
        curve.unlink(missing_ok=True)
    network.to(device, memory_format=torch.channels_last)
    average.to(device, memory_format=torch.channels_last)
    optimizers = make_optimizers(network, args)
    if before is not None:
        if len(before["optimizers"]) != len(optimizers):
            raise ValueError(f"{file} was trained with another --optimizer")
        for optimizer, state in zip(optimizers, before["optimizers"]):
            optimizer.load_state_dict(state)
    peaks = [group["lr"] for optimizer in make_optimizers(network, args) for group in optimizer.param_groups]

    def make(seed: int, watch: bool = False) -> Any:
        return subjects.patches(args.subject, args.cache, args.side, args.batch, seed, watch, args.degrade != "none")

    patches, watched = make(args.seed + done), make(7, watch=True)
    held_out = [tuple(part.to(device) for part in watched.draw()) for _ in range(4)]
    goal = objective.Objective(args, device)
    if before is not None:
        goal.restore(before.get("objective", {}))

    def progress() -> float:
        return done / args.steps if args.steps else elapsed / (args.minutes * 60.0)

    def save() -> None:
        state = {
            "architecture": architecture,
            "shape": dataclasses.asdict(shape),
            "subject": args.subject,
            "steps": done,
            "seconds": elapsed,
            "patches": patches_seen,
            "loss": args.loss,
            "network": network.state_dict(),
            "average": average.state_dict(),
            "objective": goal.state(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        temporary = file.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, file)

    def look() -> None:
        point = {
            "steps": done,
            "minutes": round(elapsed / 60.0, 2),
            "loss": round(running, 6),
            **({name: round(value, 5) for name, value in goal.parts.items()} if len(goal.parts) > 1 else {}),
            "rate": learning_rate(progress(), args.rate),
            "held-out-psnr": round(held_out_psnr(average, held_out), 4),
        }
        with open(curve, "a", encoding="utf-8") as log:
            log.write(json.dumps(point) + "\n")
        bar.write(json.dumps(point))
        curves.draw(curve, curve.with_suffix(".png"))

    patches_seen = before["patches"] if before is not None else 0
    running = float("nan")
    bar = tqdm(total=args.steps, initial=done, desc=name, unit="step", mininterval=5.0)
    while progress() < 1.0:
        began = time.monotonic()
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        for group, peak in zip(groups, peaks):
            group["lr"] = learning_rate(progress(), peak)
        low, high = patches.draw()
        low = low.to(device, memory_format=torch.channels_last)
        high = high.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            generated = network(low)
        # The losses take differences of close values: always in 32 bits.
        generated = generated.float()
        loss = goal(generated, high)
        network.zero_grad(set_to_none=True)
        loss.backward()
        # Muon's step has one length whatever its gradient's.
        torch.nn.utils.clip_grad_norm_([value for group in optimizers[0].param_groups for value in group["params"]], 1.0)
        for optimizer in optimizers:
            optimizer.step()
        goal.update(generated, high)
        # Early on the average must follow fast, or it would carry the random start for long.
        average_into(average, network, min(args.decay, (1.0 + done) / (10.0 + done)))
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"{name}: the loss is {value} at step {done}; lower --rate")
        running = value if math.isnan(running) else 0.99 * running + 0.01 * value
        done += 1
        patches_seen += low.shape[0]
        elapsed += time.monotonic() - began
        bar.update()
        if done % args.every == 0:
            save()
            look()
    if done % args.every:
        save()
        look()
    bar.close()
    print(f"{file}: {done} steps, {elapsed / 60.0:.1f} minutes")
    return 0
