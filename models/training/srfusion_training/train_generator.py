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
import random
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from . import curves, data, degrade, losses, objective
from .networks import Generator, GeneratorShape, flattened
from .optimizers import Muon
from .rrdb import RRDB, RRDBShape


def default_checkpoints() -> Path:
    """``SRFUSION_TRAIN_CHECKPOINTS``, else ``train-checkpoints`` beside the repository."""
    return Path(os.environ.get("SRFUSION_TRAIN_CHECKPOINTS") or data.repository_folder().parent / "train-checkpoints")


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


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint written by :func:`run`; holds tensors and plain values only."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    return torch.load(path, map_location="cpu", weights_only=True)


def make_network(architecture: str, shape: GeneratorShape | RRDBShape) -> Generator | RRDB:
    """A network with random weights; ``architecture`` is "compact" or "rrdb"."""
    return Generator(shape) if architecture == "compact" else RRDB(shape)  # type: ignore[arg-type]


def shape_of(checkpoint: dict[str, Any]) -> tuple[str, GeneratorShape | RRDBShape]:
    """Architecture and shape of a checkpoint; one without the name of an architecture is compact."""
    architecture = checkpoint.get("architecture", "compact")
    return architecture, (GeneratorShape if architecture == "compact" else RRDBShape)(**checkpoint["shape"])


class Mixed:
    """Batches of photographs and batches of portraits by turns drawn at random, equally often."""

    def __init__(self, general: Any, face: Any, seed: int) -> None:
        self.sources, self.random = (general, face), random.Random(seed)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low, high) as the source that was drawn gives them."""
        return self.random.choice(self.sources).draw()


def averaged_network(checkpoint: dict[str, Any]) -> Generator | RRDB:
    """The network of a checkpoint with the averaged weights."""
    network = make_network(*shape_of(checkpoint))
    network.load_state_dict(checkpoint["average"])
    return network.eval()


def make_optimizers(network: Generator, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Adam alone (always for RRDB), or Adam for the head and the biases and Muon for every other kernel."""
    if args.optimizer == "adam" or isinstance(network, RRDB):
        return [torch.optim.Adam(network.parameters(), lr=args.rate, betas=(0.9, 0.99))]
    kernels = [layer.whole for layer in [*network.body, network.tail]]
    others = [value for value in network.parameters() if not any(value is kernel for kernel in kernels)]
    return [torch.optim.Adam(others, lr=args.rate, betas=(0.9, 0.99)), Muon(kernels, lr=args.muon_rate)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train-generator``."""
    parser.add_argument("--subject", choices=("general", "face", "mixed"), required=True, help="what to train on")
    parser.add_argument("--name", help="name of the checkpoint; default: the subject")
    parser.add_argument("--cache", type=Path, default=data.default_cache(), help="what 'prepare' wrote")
    parser.add_argument("--checkpoints", type=Path, default=default_checkpoints(), help="folder of the checkpoints")
    parser.add_argument("--from", dest="start", type=Path, help="checkpoint whose averaged weights to start from")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run in steps")
    length.add_argument("--minutes", type=float, help="length of the run in minutes of training, earlier sessions counted")
    parser.add_argument(
        "--degrade", choices=("none", *degrade.RECIPES), default="none", help="low-resolution side: as it is, or from 'prepare-camera'"
    )
    parser.add_argument("--batch", type=int, default=16, help="patches in a step")
    parser.add_argument("--side", type=int, default=192, help="side of a high-resolution patch in pixels")
    parser.add_argument("--optimizer", choices=("muon", "adam"), default="muon")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate of Adam; 5e-4 where it trains all")
    parser.add_argument("--muon-rate", type=float, default=0.012, help="highest learning rate of Muon, for the kernels")
    parser.add_argument("--loss", choices=sorted(losses.LOSSES), default="luma-l1")
    parser.add_argument("--decay", type=float, default=0.998, help="of the averaged weights, per step")
    parser.add_argument("--architecture", choices=("compact", "rrdb"), default="compact")
    parser.add_argument("--channels", type=int, help="default: 32, and 64 for rrdb")
    parser.add_argument("--blocks", type=int, default=23, help="of rrdb")
    parser.add_argument("--growth", type=int, default=32, help="channels that a convolution of rrdb adds")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="of activations; bf16 is meant for a GPU, weights stay fp32"
    )
    parser.add_argument("--convolutions", type=int, default=8, help="3x3 convolutions between the first and the last")
    parser.add_argument("--expansion", type=int, default=128, help="channels inside a block while Adam trains")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints and looks at held-out patches")
    parser.add_argument("--seed", type=int, default=1)
    objective.add_arguments(parser)
    parser.add_argument("--restart", action="store_true", help="ignore a checkpoint of this name")


def run(args: argparse.Namespace) -> int:
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
        def of(subject: str) -> Any:
            if args.degrade == "none":
                return data.PATCHES[subject](data.Pictures(args.cache, subject, watch), args.side, args.batch, seed)
            return degrade.patches(args.cache, subject, args.side, args.batch, seed, watch)

        return Mixed(of("general"), of("face"), seed) if args.subject == "mixed" else of(args.subject)

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
