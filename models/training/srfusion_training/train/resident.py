"""Training of generators of luma where their data lies: ``train-resident``.

On a GPU a step, the draw of its patches included, is captured once as a CUDA graph and replayed: networks of this size are otherwise
bound by the time that the host takes to start some hundred small kernels. Each network has a stream of its own, so that several are
trained at once where one would leave the GPU half idle. On the CPU the same steps run one by one, in 32 bits or, where it multiplies
bfloat16 itself (AMX, AVX-512 BF16), several times as fast in those.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call

from ..data import colour
from ..data.degrade import SCALE
from ..data.resident import Resident, Source, teacher
from ..nets.compact import Generator, GeneratorShape
from ..nets.quantised import Quantised
from ..nets.regions import Regions
from ..nets.stacked import Stacked
from . import curves
from .alive import alive, revive
from .checkpoints import averaged_network, load_checkpoint, load_start, make_network, shape_of, write_checkpoint
from .generator import held_out_psnr
from .schedule import trapezoid
from .stacked import StackedOptimizer

#: By which the sum of errors is multiplied before it goes back through 16-bit floats: an error's own gradient, 1, then leaves room both to
#: the largest number, 65504, for sums over a patch, and to the smallest.
LOSS_SCALE = 2.0**-8
#: High-resolution pixels at a patch's border that count :data:`BORDER_WEIGHT` in the loss: what lies there sees little of its
#: surroundings, whose enlargement is therefore not what the network will be asked for.
BORDER, BORDER_WEIGHT = 16, 0.3
#: Steps that are given to the GPU ahead of time.
AHEAD = 4
#: Steps before the capture, in which libraries choose their algorithms and take their memory.
WARM_STEPS = 3
#: Part of a layer's channels below which it is said how few of them are alive.
NARROW = 0.7
#: What features are on the CPU, by the name of it in --precision.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
#: Arguments that a checkpoint keeps as text.
RECIPE = ("subject", "batch", "side", "degrade", "teacher_share", "rate", "muon_rate", "decay", "hold", "steps", "minutes", "keep", "start", "precision", "revive", "quantise_aware", "imitate", "imitate_limits", "between")


@dataclasses.dataclass(frozen=True)
class Data:
    """What the networks of one command share: sources with how many patches of a batch come from each, pairs that are not trained
    on, (low, high) by the name of their kind, what is to be imitated in place of the truth, if anything, and the networks of --between."""

    sources: list[tuple[Source, int]]
    held: dict[str, tuple[torch.Tensor, torch.Tensor]]
    imitated: Stacked | Regions | None = None
    partners: Sequence[Stacked] = ()
    taught: int = 0  #: patches of a batch, the last ones, that come from 'prepare-teacher', which has given them their truth

    @property
    def batch(self) -> int:
        """Patches in a step."""
        return sum(count for _, count in self.sources)


def parts_of(batch: int, degrade: dict[str, float], teacher_share: float) -> dict[str, int]:
    """Kind ("clean", "teacher" or a recipe) -> its patches in a batch; what the shares leave is clean. ValueError if they are no shares
    or leave less than nothing."""
    shares = {**degrade, "teacher": teacher_share}
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"the share of '{name}' is a part of the batch, 0..1, not {share:g}")
    if sum(shares.values()) > 1.0 + 1e-9:
        raise ValueError(f"the shares of --degrade and --teacher-share come to {sum(shares.values()):g}: at most 1, the rest of a batch is clean")
    counts = {name: round(batch * share) for name, share in shares.items()}
    rest = batch - sum(counts.values())
    if rest < 0:
        largest = max(counts, key=lambda name: counts[name])
        counts[largest] += rest
    return {name: count for name, count in {"clean": max(rest, 0), **counts}.items() if count}


def load(args: argparse.Namespace, device: torch.device) -> Data:
    """Put the cached pictures on the device."""
    parts = parts_of(args.batch, dict(args.degrade), args.teacher_share)
    recipes = [name for name in parts if name not in ("clean", "teacher")]
    sources, held = [], {}
    train, watch = (Resident(args.cache, args.subject, device, recipes, held_out) for held_out in (False, True))
    for name, count in parts.items():
        if name == "teacher":
            sources.append((teacher(args.cache, args.subject, device, args.side, upright=train.upright), count))
        else:
            of = [part.clean(args.side) if name == "clean" else part.degraded(name, args.side) for part in (train, watch)]
            sources.append((of[0], count))
            held[name] = of[1].draw(args.watch, torch.Generator(device).manual_seed(3))
        print(f"{name}: {count} of {args.batch} patches, from {sources[-1][0].places} places", flush=True)
    if not held:
        # A teacher's pieces are never held out: something has to be, to watch.
        held["clean"] = watch.clean(args.side).draw(args.watch, torch.Generator(device).manual_seed(3))
    imitated: Stacked | Regions | None = None
    if args.imitate:
        networks = [luma_network(file, "imitated") for file in args.imitate]
        imitated = (networks[0] if len(networks) == 1 else Regions(*networks, args.imitate_limits)).to(device).requires_grad_(False)
        held = {kind: (low, torch.cat([imitated(part) for part in low.split(64)])) for kind, (low, _) in held.items()}
    partners = [luma_network(file, "taken for a partner").to(device).requires_grad_(False) for file in args.between]
    return Data(sources, held, imitated, partners, parts.get("teacher", 0))


def compact_shape(origin: dict[str, Any], file: Path | None, use: str) -> GeneratorShape:
    """The shape of what ``file`` holds; ``use`` says in the error what it is for. ValueError if it is no compact network."""
    architecture, shape = shape_of(origin)
    if not isinstance(shape, GeneratorShape):
        raise ValueError(f"{file}: holds a network of the architecture '{architecture}', not 'compact', which alone is {use} here")
    return shape


def luma_network(file: Path, use: str) -> Stacked:
    """A compact network of luma with its averaged weights. ValueError if the file holds another kind."""
    origin = load_start(file)
    compact_shape(origin, file, use)
    return Stacked(averaged_network(origin)).eval()


class Job:
    """One network that is trained: its step, its average, and the average that was best on the held-out patches."""

    def __init__(self, name: str, network: Stacked, data: Data, args: argparse.Namespace, device: torch.device, seed: int = 0, ranges: dict[str, list[float]] | None = None) -> None:
        """``args``: those of train-resident; ``network`` is moved to the device; ``ranges`` of :class:`Quantised`, where they are known."""
        self.name, self.data, self.args, self.device = name, data, args, device
        self.file, self.curve = (args.checkpoints / f"{name}.{suffix}" for suffix in ("pt", "jsonl"))
        self.network = network.to(device)
        self.optimizer = StackedOptimizer(self.network, args.muon_rate, args.rate, args.decay)
        #: Of the features while it trains. A GPU's 16-bit floats have three more bits of mantissa than bfloat16, and LOSS_SCALE gives them the range.
        self.features = torch.float16 if device.type == "cuda" else PRECISIONS[args.precision]
        #: The network with the rounding of eight bits, where it is trained for them: in 32 bits, of which sixteen are too few to tell them apart.
        self.rounded = Quantised(self.network, ranges) if args.quantise_aware else None
        self.generator = torch.Generator(device).manual_seed(seed)
        self.done, self.elapsed, self.before, self.looked, self.seen = 0, 0.0, 0.0, -1, 0
        self.best: dict[str, Any] = {"psnr": -math.inf, "steps": 0, "values": self.network.named(), "ranges": {}}
        #: Of the steps since the last look: the sum of the losses that are numbers, and how many are.
        self.loss, self.numbers, self.since = torch.zeros((), device=device), torch.zeros((), device=device), 0
        self.weight = torch.full((1, 1, SCALE * args.side, SCALE * args.side), BORDER_WEIGHT, device=device)
        self.weight[..., BORDER:-BORDER, BORDER:-BORDER] = 1.0
        self.stream: torch.cuda.Stream | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.events: list[torch.cuda.Event] = []

    def resume(self, before: dict[str, Any]) -> None:
        """Go on from a checkpoint that :meth:`save` wrote."""
        if "resident" not in before:
            raise ValueError(f"{self.file}: is not of train-resident, which cannot go on from it; start --from it under another --name, or give --restart")
        kept, device = before["resident"], self.device
        self.done, self.seen = before["steps"], before["patches"]
        self.looked = self.done
        self.elapsed = self.before = before["seconds"]
        shape = GeneratorShape(**before["shape"])

        def values(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            generator = Generator(shape)
            generator.load_state_dict(state)
            return Stacked(generator).to(device).named()

        self.optimizer.restore(kept["optimizer"])
        with torch.no_grad():
            for name, value in values(kept["average"]).items():
                self.optimizer.average[name].copy_(value)
        self.best = {"psnr": kept["best-psnr"], "steps": kept["best-steps"], "values": values(kept["best"]), "ranges": kept.get("best-ranges", {})}

    def _on_stream(self) -> contextlib.AbstractContextManager[Any]:
        return torch.cuda.stream(self.stream) if self.stream is not None else contextlib.nullcontext()

    def prepare(self, capture: bool = True) -> None:
        """Take a stream and, if ``capture``, make the graph, after :data:`WARM_STEPS` steps; nothing on the CPU."""
        if self.device.type != "cuda":
            return
        self.stream = torch.cuda.Stream(self.device)
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        if not capture:
            return
        for _ in range(WARM_STEPS):
            self.launch(trapezoid(self.progress(), self.args.hold))
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        try:
            graph.register_generator_state(self.generator)
            with torch.cuda.graph(graph, stream=self.stream):
                self._step()
            self.graph = graph
        except RuntimeError as error:
            print(f"{self.name}: the step cannot be captured and goes on operation by operation, slower: {error}", flush=True)
            self.generator = torch.Generator(self.device).manual_seed(self.args.seed + 1)
        torch.cuda.synchronize(self.device)

    def _step(self) -> None:
        for value in self.network.parameters():
            value.grad = None
        lows, highs = zip(*(source.draw(count, self.generator) for source, count in self.data.sources))
        draws = torch.rand(2, self.data.batch, generator=self.generator, device=self.device)
        low, high = colour.vary_levels_by(torch.cat(lows), torch.cat(highs), draws)
        if self.data.imitated is not None:
            own = low.shape[0] - self.data.taught
            with torch.no_grad():
                high = torch.cat([self.data.imitated(low[:own], self.features), high[own:]])
        generated, high = self._drawn(low, high)
        error = (generated - high).abs() * self.weight
        (error.sum() * LOSS_SCALE).backward()
        self.optimizer.step(LOSS_SCALE * error.numel())
        loss = error.detach().mean()
        self.loss.add_(torch.nan_to_num(loss, 0.0, 0.0, 0.0))
        self.numbers.add_(loss.isfinite())

    def _drawn(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is drawn of a batch and what should have been. With partners every second patch is drawn with weights somewhere between one of theirs and
        the network's, and should be as far between their pictures: so that interpolation of weights (``detail``) stays one of pictures."""
        if self.rounded is not None:
            return self.rounded(low), high
        if not self.data.partners:
            return self.network(low, self.features), high
        drawn, wanted = [self.network(low[0::2], self.features)], [high[0::2]]
        amounts = torch.rand(len(self.data.partners), generator=self.generator, device=self.device)
        for number, (partner, amount) in enumerate(zip(self.data.partners, amounts)):
            some = slice(1 + 2 * number, None, 2 * len(self.data.partners))
            between = {name: value.lerp(own, amount) for (name, value), own in zip(partner.named_parameters(), self.network.parameters())}
            drawn.append(functional_call(self.network, between, (low[some], self.features)))
            with torch.no_grad():
                wanted.append(partner(low[some]).lerp(high[some], amount))
        return torch.cat(drawn), torch.cat(wanted)

    def launch(self, factor: float) -> None:
        """One step at ``factor`` of the rates; on a GPU it is only begun."""
        with self._on_stream():
            self.optimizer.factor.fill_(factor)
            if self.graph is not None:
                self.graph.replay()
            else:
                self._step()
            if self.stream is not None:
                self.events.append(torch.cuda.Event())
                self.events[-1].record()
        self.done += 1
        self.since += 1
        self.seen += self.data.batch

    def ready(self) -> bool:
        """Whether another step may be begun."""
        while self.events and self.events[0].query():
            self.events.pop(0)
        return len(self.events) < AHEAD

    def progress(self) -> float:
        """The part of the run that is done, 0..."""
        return self.done / self.args.steps if self.args.steps else self.elapsed / (self.args.minutes * 60.0)

    def _averaged(self, low: torch.Tensor) -> torch.Tensor:
        if self.rounded is None:
            return functional_call(self.network, self.optimizer.average, (low,))
        self.rounded.eval()
        drawn = functional_call(self.rounded, {f"network.{name}": value for name, value in self.optimizer.average.items()}, (low,))
        self.rounded.train()
        return drawn

    def ranges(self) -> dict[str, list[float]]:
        """Of the activations, where the network is trained for eight bits."""
        return {} if self.rounded is None else self.rounded.known()

    @torch.no_grad()
    def look(self) -> dict[str, Any]:
        """Measure the average on the held-out patches, keep it if it is the best so far, add a point to the curve and return it. ValueError if most losses
        since the last look are no numbers."""
        with self._on_stream():
            measured, numbers = {}, int(self.numbers)
            if self.since and numbers <= self.since // 2:
                raise ValueError(f"{self.name}: of the last {self.since} steps {self.since - numbers} have a loss that is no number; lower --muon-rate and --rate")
            for kind, (low, high) in self.data.held.items():
                measured[kind] = held_out_psnr(self._averaged, list(zip(low.split(64), high.split(64))))  # type: ignore[arg-type]
            psnr = sum(measured.values()) / len(measured)
            dead = int((~self.alive()).sum())
            if psnr > self.best["psnr"]:
                self.best = {"psnr": psnr, "steps": self.done, "values": {name: value.clone() for name, value in self.optimizer.average.items()}, "ranges": self.ranges()}
            loss = float(self.loss) / numbers if numbers else math.nan
            self.loss.zero_()
            self.numbers.zero_()
        self.since, self.looked = 0, self.done
        point = {
            "steps": self.done,
            "minutes": round(self.elapsed / 60.0, 3),
            **({"loss": round(loss, 6)} if numbers else {}),
            "rate": self.args.rate * trapezoid(min(self.progress(), 1.0), self.args.hold),
            "dead-channels": dead,
            "held-out-psnr": round(psnr, 4),
            **({f"held-out-psnr-{kind}": round(value, 4) for kind, value in measured.items()} if len(measured) > 1 else {}),
        }
        with open(self.curve, "a", encoding="utf-8") as log:
            log.write(json.dumps(point) + "\n")
        return point

    def alive(self) -> torch.Tensor:
        """bool[layers, channels]: which channels of the network are ever above zero on the held-out patches."""
        return alive(self.network, torch.cat([low for low, _ in self.data.held.values()]))

    def save(self) -> None:
        """Write the checkpoint in one rename, and draw the curve."""
        with self._on_stream():
            network, average, best = (
                Stacked.generator_state(values) for values in (self.network.named(), self.optimizer.average, self.best["values"])
            )
            state = {
                "architecture": "compact",
                "shape": dataclasses.asdict(self.network.shape),
                "subject": self.args.subject,
                "seed": self.args.seed,
                "steps": self.done,
                "seconds": self.elapsed,
                "patches": self.seen,
                "loss": "l1",
                "recipe": {key: str(getattr(self.args, key)) for key in sorted(RECIPE)},
                "ranges": self.best["ranges"] if self.args.keep == "best" else self.ranges(),
                "network": network,
                "average": best if self.args.keep == "best" else average,
                "objective": {},
                "optimizers": [],
                "resident": {
                    "optimizer": self.optimizer.state(),
                    "average": average,
                    "best": best,
                    "best-psnr": self.best["psnr"],
                    "best-steps": self.best["steps"],
                    "best-ranges": self.best["ranges"],
                    "ranges": self.ranges(),
                },
            }
        write_checkpoint(self.file, state)
        if self.curve.exists():
            curves.draw(self.curve, self.curve.with_suffix(".png"))

    def finish(self) -> None:
        """The last look and checkpoint."""
        if self.looked != self.done:
            self.look()
        self.save()
        kept = f"best at step {self.best['steps']}, {self.best['psnr']:.3f} dB" if self.args.keep == "best" else "the last"
        print(f"{self.file}: {self.done} steps, {self.elapsed / 60.0:.2f} minutes; kept: {kept}", flush=True)
        layers = self.alive().sum(dim=1).tolist()
        if min(layers) < NARROW * self.network.shape.channels:
            print(f"{self.file}: channels that are ever above zero, layer by layer: {', '.join(map(str, layers))} of {self.network.shape.channels}. The others do nothing: start --from this with --revive", flush=True)
        # What a captured step holds is given back.
        self.graph = None


def make_job(
    name: str, start: Path | None, shape: tuple[int, int] | None, data: Data, args: argparse.Namespace, device: torch.device, seed: int
) -> Job:
    """The job of one name: from its checkpoint if there is one, else from ``start``, else random of ``shape`` (channels, convolutions)."""
    file = args.checkpoints / f"{name}.pt"
    before = load_checkpoint(file) if file.exists() and not args.restart else None
    torch.manual_seed(seed)
    if before is not None or start is not None:
        origin = before or load_start(start)  # type: ignore[arg-type]
        found = compact_shape(origin, file if before else start, "trained")
        if shape is not None and shape != (found.channels, found.convolutions):
            raise ValueError(f"{file if before else start}: has {found.channels} channels and {found.convolutions} convolutions, not {shape[0]} and {shape[1]}; leave them out, or take another --name")
        network = averaged_network(origin)
        if before is not None:
            network.load_state_dict(before["network"])
    else:
        network = make_network("compact", GeneratorShape(*(shape or (32, 12)), planes=1, skip=False))
    stacked = Stacked(network)
    for file, partner in zip(args.between, data.partners):
        if partner.shape != stacked.shape:
            raise ValueError(f"{file}: is of {partner.shape}, the network of {stacked.shape}: weights lie between networks of one shape alone")
    if args.revive and before is None and start is not None:
        low = torch.cat([low for low, _ in data.held.values()]).to("cpu")
        print(f"{name}: {revive(stacked, low, torch.Generator().manual_seed(seed))} channels start anew", flush=True)
    ranges = before.get("resident", {}).get("ranges") if before else origin.get("ranges") if start else None
    job = Job(name, stacked, data, args, device, seed + 1000 * (before["steps"] if before else 0), ranges)  # type: ignore[arg-type]
    if before is not None:
        job.resume(before)
    else:
        job.curve.unlink(missing_ok=True)
        job.look()  # what it starts from may remain the best
    return job


def run(jobs: Sequence[Job], args: argparse.Namespace) -> None:
    """Train all at once, each until ``--steps`` or ``--minutes`` are done; an interrupted run is saved."""
    began = saved = time.monotonic()
    active = list(jobs)
    try:
        while active:
            idle = True
            for job in list(active):
                job.elapsed = job.elapsed if job.progress() >= 1.0 else job.before + time.monotonic() - began
                if job.progress() >= 1.0:
                    job.finish()
                    active.remove(job)
                    continue
                if job.ready():
                    job.launch(trapezoid(job.progress(), args.hold))
                    idle = False
                    if job.done % args.every == 0:
                        print(f"{job.name} {json.dumps(job.look())}", flush=True)
            if time.monotonic() - saved > args.save_minutes * 60.0:
                for job in active:
                    job.save()
                saved = time.monotonic()
            if idle:
                time.sleep(0.0002)
    except KeyboardInterrupt:
        for job in active:
            job.save()
        raise


def train(args: argparse.Namespace) -> int:
    """Train the network of ``--name`` and those of ``--also``."""
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Orthogonalising bears ten bits of mantissa; making pictures smaller does not, and convolutions of the step have 16 bits anyway.
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, False, True
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    asked = (args.channels, args.convolutions)
    if (asked[0] is None) != (asked[1] is None):
        raise ValueError("--channels and --convolutions come together")
    wanted = [(args.name or args.subject, args.start, asked if asked[0] is not None else None), *args.also]
    names = [name for name, _, _ in wanted]
    if len(set(names)) < len(names):
        raise ValueError(f"the names {', '.join(names)} must differ: each is a checkpoint of its own")
    data = load(args, device)
    jobs = [make_job(name, start, shape, data, args, device, args.seed + 10 * index) for index, (name, start, shape) in enumerate(wanted)]
    for job in jobs:
        if job.progress() < 1.0:
            job.prepare(args.graph)
    run(jobs, args)
    return 0
