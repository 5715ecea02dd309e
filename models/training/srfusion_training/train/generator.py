"""Train a generator on patches of the cache; resumable, with averaged weights.

The general generator is trained from random weights on photographs, the face generator from the general one
(``--from``) on portraits.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from typing import Any

import numpy as np
import torch

from ..data import colour, fonts, lines, subjects, text
from ..data.again import Again
from ..data.pictures import Pictures
from ..data.sightings import sightings
from ..losses import functions, objective, reading
from ..nets.compact import Generator, GeneratorShape, flattened
from ..nets.quantised import Quantised
from ..nets.rrdb import RRDB, RRDBShape
from . import curves, loop
from .checkpoints import load_checkpoint, load_start, make_network, shape_of, write_checkpoint
from .optimizers import Muon
from .schedule import rate_factor

#: Arguments that a checkpoint keeps as text, so that ``results`` can compare what rows were trained with.
RECIPE = {
    "subject", "batch", "side", "degrade", "degraded_share", "even", "fresh", "optimizer", "rate", "muon_rate", "schedule", "loss", "decay", "precision", "teacher_share",
    "pixel_weight", "perceptual", "perceptual_layer", "perceptual_weight", "face_feature", "layer", "weight", "power", "gan", "gan_weight",
    "gan_rate", "gan_width", "gan_start", "feature_matching", "grid", "steady", "steady_patches", "read", "read_pixels", "read_lines", "start",
}  # fmt: skip


@torch.no_grad()
def average_into(average: Generator, network: Generator, decay: float) -> None:
    """Move every weight of ``average`` towards ``network``'s by ``1 - decay``."""
    for kept, value in zip(average.parameters(), network.parameters()):
        kept.lerp_(value, 1.0 - decay)


@torch.no_grad()
def held_out_psnr(network: torch.nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Mean over patches of the PSNR in dB over RGB or luma (as the network is), 4 px border left out, of patches that are not trained on."""
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


def seconds_between(args: argparse.Namespace) -> float:
    """Seconds between two checkpoints, infinite where they come with the looks alone."""
    return args.save_minutes * 60.0 if args.save_minutes else math.inf


class Run:
    """One run of ``train-generator``: the network, its average, optimizers and objective, from its checkpoint if there is one."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.name = args.name or args.subject
        args.checkpoints.mkdir(parents=True, exist_ok=True)
        self.file, self.curve = (args.checkpoints / f"{self.name}.{suffix}" for suffix in ("pt", "jsonl"))
        before = load_checkpoint(self.file) if self.file.exists() and not args.restart else None
        self.done, self.elapsed, self.seen = (before[key] if before else 0 for key in ("steps", "seconds", "patches"))
        self.running = math.nan
        torch.manual_seed(args.seed + self.done)
        self._make_networks(before)
        self.optimizers = make_optimizers(self.network, args)
        self.peaks = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        self.planes = getattr(self.shape, "planes", 3)
        args.loss = args.loss or ("luma-l1" if self.planes == 3 else "l1")
        if self.planes == 1 and args.loss == "luma-l1":
            raise ValueError("--loss luma-l1 is for RGB; a luma network takes l1, charbonnier or mse")
        if args.steady and args.side < 64:
            raise ValueError(f"--steady leaves out a border: expected --side of at least 64, found {args.side}")
        self.goal = objective.Objective(args, self.device, self.planes)
        if before is not None:
            if len(before["optimizers"]) != len(self.optimizers):
                raise ValueError(f"{self.file} was trained with another --optimizer")
            for optimizer, state in zip(self.optimizers, before["optimizers"]):
                optimizer.load_state_dict(state)
            self.goal.restore(before.get("objective", {}))
        else:
            self.curve.unlink(missing_ok=True)
        self.patches = subjects.Loader(self._source, args.seed + self.done, args.workers, self.device.type == "cuda")
        self.levels = np.random.default_rng(args.seed + self.done)
        self.reading = reading.Reading([reading.load(file) for file in args.reader]).to(self.device) if args.read else None
        if args.read:
            self.lines = lines.RoughLines(text.Artist(Pictures(args.cache, "general"), fonts.faces(False), args.seed + self.done + 77), args.read_lines)
        watched = self._source(7, watch=True)
        self.held_out = [self._given(*watched.draw(), vary=False) for _ in range(4)]

    def _make_networks(self, before: dict[str, Any] | None) -> None:
        args, origin = self.args, before
        self.architecture = args.architecture
        if args.architecture == "rrdb":
            self.shape: GeneratorShape | RRDBShape = RRDBShape(args.channels or 64, args.blocks, args.growth)
        else:
            planes = 1 if args.colour == "y" else 3
            self.shape = GeneratorShape(args.channels or 32, args.convolutions, args.expansion, planes, planes == 3)
        if before is None and args.start is not None:
            origin = load_start(args.start)
        if origin is not None:
            self.architecture, self.shape = shape_of(origin)
        elif args.architecture == "rrdb" and args.colour == "y":
            raise ValueError("--architecture rrdb works on RGB: leave out --colour y")
        self.network = make_network(self.architecture, self.shape)
        if origin is not None:
            self.network.load_state_dict(origin["network" if before else "average"])
        if before is None and args.optimizer == "muon" and self.architecture == "compact":
            # Muon works on the kernels themselves.
            self.network = flattened(self.network)
            self.shape = self.network.shape
        self.average = make_network(self.architecture, self.shape)
        self.average.load_state_dict(before["average"] if before else self.network.state_dict())
        for network in (self.network, self.average):
            network.to(self.device, memory_format=torch.channels_last)
        #: What is run while training and while looking: the networks themselves, or with the rounding of eight bits.
        self.run, self.seen_run = self.network, self.average
        if args.quantise_aware:
            if args.precision != "fp32":
                raise ValueError("--quantise-aware rounds to eight bits, for which bf16 is too coarse: --precision fp32")
            self.run = Quantised(self.network, (before or {}).get("ranges")).train()
            self.seen_run = Quantised(self.average).eval()

    def _source(self, seed: int, watch: bool = False) -> Any:
        args = self.args
        source = subjects.patches(
            args.subject, args.cache, args.side, args.batch, seed, watch, "" if args.degrade == "none" else args.degrade, args.teacher_share,
            args.degraded_share, 0.0 if watch else args.even,
        )
        return source if watch or args.fresh == 1.0 else Again(source, args.fresh, seed)

    def _given(self, low: torch.Tensor, high: torch.Tensor, vary: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch as the network takes it: on its device, and luma of several ranges for a luma network."""
        low, high = (part.to(self.device, memory_format=torch.channels_last, non_blocking=True) for part in (low, high))
        if self.planes == 3:
            return low, high
        low, high = (colour.luma_planes(low) * 255.0).round() / 255.0, colour.luma_planes(high)
        return colour.vary_levels(low, high, self.levels) if vary else (low, high)

    def step(self) -> None:
        """One batch."""
        args, began = self.args, time.monotonic()
        factor = rate_factor(args.schedule, loop.progress(self), self.done)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, peak in zip(groups, self.peaks):
            group["lr"] = peak * factor
        self.goal.at(self.done, factor)
        low, high = self._given(*self.patches.draw(), vary=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            generated = self.run(low)
        # The losses take differences of close values: always in 32 bits.
        generated = generated.float()
        loss = self.goal(generated, high)
        if args.steady:
            unsteady = self._unsteadiness(high[: args.steady_patches])
            self.goal.parts["unsteadiness"] = unsteady.item()
            loss = loss + args.steady * unsteady
        if self.reading is not None:
            loss = loss + self._misread(self.reading)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        # Muon's step has one length whatever its gradient's.
        torch.nn.utils.clip_grad_norm_([value for group in self.optimizers[0].param_groups for value in group["params"]], 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.goal.update(generated, high)
        # Early on the average must follow fast, or it would carry the random start for long.
        average_into(self.average, self.network, min(args.decay, (1.0 + self.done) / (10.0 + self.done)))
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"{self.name}: the loss is {value} at step {self.done}; lower --rate")
        self.running = value if math.isnan(self.running) else 0.99 * self.running + 0.01 * value
        self.done += 1
        self.seen += low.shape[0]
        self.elapsed += time.monotonic() - began

    def _unsteadiness(self, high: torch.Tensor) -> torch.Tensor:
        """How differently the network draws two sightings of the same patches."""
        first, second, shift = sightings(high)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.precision == "bf16"):
            drawn = self.run(torch.cat([first, second]))
        return functions.unsteadiness(*drawn.float().chunk(2), shift)

    def _misread(self, judge: reading.Reading) -> torch.Tensor:
        """How badly rough lines are drawn: what is misread of them, and their pixels."""
        rough = self.lines.draw()
        low, high = self._given(*lines.as_batch(rough), vary=False)
        drawn = self.run(low).float()
        misread = judge(drawn, [line.box for line in rough], [line.text for line in rough], self.levels)
        pixels = functions.LOSSES[self.args.loss](drawn, high)
        if self.args.grid:
            # A recogniser does not mind a mesh that it does not see at the size at which it reads.
            pixels = pixels + self.args.grid * functions.grid(drawn, high)
        self.goal.parts |= {"misread": misread.item(), "lines": pixels.item()}
        return self.args.read * misread + self.args.read_pixels * pixels

    def save(self) -> None:
        """Write the checkpoint, in one rename."""
        state = {
            "architecture": self.architecture,
            "shape": dataclasses.asdict(self.shape),
            "subject": self.args.subject,
            "seed": self.args.seed,
            "steps": self.done,
            "seconds": self.elapsed,
            "patches": self.seen,
            "loss": self.args.loss,
            "recipe": {key: str(value) for key, value in sorted(vars(self.args).items()) if key in RECIPE},
            "ranges": self.run.known() if isinstance(self.run, Quantised) else {},
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "objective": self.goal.state(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        write_checkpoint(self.file, state)

    def look(self) -> str:
        """Measure the average on held-out patches and add a point to the curve; returns it as JSON."""
        if isinstance(self.run, Quantised) and isinstance(self.seen_run, Quantised):
            self.seen_run.ranges = {name: pair.clone() for name, pair in self.run.ranges.items()}
        parts = self.goal.parts if len(self.goal.parts) > 1 else {}
        point = {
            "steps": self.done,
            "minutes": round(self.elapsed / 60.0, 2),
            "loss": round(self.running, 6),
            **{name: round(value, 5) for name, value in parts.items()},
            "rate": self.args.rate * rate_factor(self.args.schedule, loop.progress(self), self.done),
            "held-out-psnr": round(held_out_psnr(self.seen_run, self.held_out), 4),
        }
        line = json.dumps(point)
        with open(self.curve, "a", encoding="utf-8") as log:
            log.write(line + "\n")
        curves.draw(self.curve, self.curve.with_suffix(".png"))
        return line


def train(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoint of this name if there is one."""
    torch.set_num_threads(args.threads)
    return loop.train(Run(args), seconds_between(args))
