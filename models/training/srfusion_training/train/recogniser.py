"""Train the recogniser whose reading is a loss for generators of text; resumable."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data import fonts, text, words
from ..data.again import Memory
from ..data.lines import Strip, strip_sample
from ..data.pictures import Pictures
from ..nets import recogniser
from . import loop
from .checkpoints import load_checkpoint, write_checkpoint
from .schedule import rate_factor

#: Lines of a step that are drawn anew, lines of a step, and lines that are remembered.
FRESH, BATCH, KEPT = 16, 32, 60_000
#: Lines in held-out fonts that are read at every look.
WATCHED = 200


@torch.no_grad()
def part_read(network: recogniser.Recogniser, strips: list[Strip]) -> float:
    """The part of the characters of ``strips`` that ``network`` reads right, 0..1."""
    said = recogniser.read(network.eval()(torch.stack([strip.samples for strip in strips])), [strip.width for strip in strips])
    wrong = sum(min(words.characters_wrong(strip.text, one), len(strip.text)) for strip, one in zip(strips, said))
    return 1.0 - wrong / sum(len(strip.text) for strip in strips)


class Run:
    """One run of ``train-recogniser``: network and optimizer, from its checkpoint if there is one."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        args.checkpoints.mkdir(parents=True, exist_ok=True)
        self.name = args.name
        self.file: Path = args.checkpoints / f"{args.name}.pt"
        before: dict[str, Any] | None = load_checkpoint(self.file) if self.file.exists() and not args.restart else None
        self.done, self.elapsed = (before[key] if before else 0 for key in ("steps", "seconds"))
        torch.manual_seed(args.seed + self.done)
        self.network = recogniser.Recogniser()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=args.rate, weight_decay=0.01)
        if before is not None:
            self.network.load_state_dict(before["recogniser"])
            self.optimizer.load_state_dict(before["optimizer"])
        self.artist = text.Artist(Pictures(args.cache, "general", False), fonts.faces(False), args.seed + self.done)
        held = text.Artist(Pictures(args.cache, "general", True), fonts.faces(True), 7)
        self.watched = [strip_sample(held) for _ in range(WATCHED)]
        self.kept: Memory[Strip] = Memory(KEPT)
        self.missed = math.nan

    def step(self) -> None:
        """One batch, half of it of lines drawn before."""
        began = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * rate_factor("cosine", loop.progress(self), self.done)
        strips = [strip_sample(self.artist) for _ in range(FRESH)]
        self.kept.add(strips)
        strips += self.kept.some(BATCH - FRESH, self.artist.random)
        scores = self.network.train()(torch.stack([strip.samples for strip in strips]))
        loss = recogniser.missed(scores, [strip.width for strip in strips], [strip.text for strip in strips])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.missed = loss.item() if math.isnan(self.missed) else 0.98 * self.missed + 0.02 * loss.item()
        self.done += 1
        self.elapsed += time.monotonic() - began

    def look(self) -> str:
        """What it reads of lines in held-out fonts, as JSON."""
        minutes, read = round(self.elapsed / 60.0, 2), part_read(self.network, self.watched)
        return json.dumps({"steps": self.done, "minutes": minutes, "loss": round(self.missed, 4), "held-out-read": round(read, 4)})

    def save(self) -> None:
        """Write the checkpoint, in one rename."""
        parts = {"recogniser": self.network, "optimizer": self.optimizer}
        state = {name: part.state_dict() for name, part in parts.items()}
        write_checkpoint(self.file, {**state, "steps": self.done, "seconds": self.elapsed})


def train(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoint of this name if there is one."""
    torch.set_num_threads(args.threads)
    return loop.train(Run(args))
