"""How badly a recogniser reads what a generator drew: a loss for text, as likeness is one for faces. Pixels alone have a generator draw
the mean of all letters that it may have been, which nobody reads; after coding that is most small ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data import colour, lines
from ..nets import recogniser


def load(file: Path) -> recogniser.Recogniser:
    """The network of a checkpoint of 'train-recogniser', for reading alone: its weights stay as they are."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such checkpoint; 'train-recogniser' makes one")
    state = torch.load(file, map_location="cpu", weights_only=True)
    if "recogniser" not in state:
        raise ValueError(f"{file}: expected a checkpoint of 'train-recogniser', found one with {', '.join(sorted(state)) or 'nothing'}")
    network = recogniser.Recogniser()
    network.load_state_dict(state["recogniser"])
    return network.eval().requires_grad_(False)


class Reading(nn.Module):
    """The loss of lines that a generator drew: the negative logarithm of the likelihood of what they say, a character, mean over several
    recognisers. One alone has habits that strokes can be drawn for which nobody else can read; these differ from one to the next."""

    def __init__(self, networks: Sequence[recogniser.Recogniser]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, drawn: torch.Tensor, boxes: Sequence[lines.Box], texts: Sequence[str], random: np.random.Generator) -> torch.Tensor:
        """Of pictures f32[n, 3 or 1, h, w] with one line each; ``boxes`` in their pixels, cut a little differently each time."""
        planes = colour.luma_planes(drawn) if drawn.shape[1] == 3 else drawn
        cut = [(lines.strip(plane, lines.around(box, random, close=0.05, far=0.18)), text) for plane, box, text in zip(planes, boxes, texts)]
        fitting = [(samples, width, text) for (samples, width), text in cut if recogniser.fits(text, width)]
        if not fitting:
            return drawn.sum() * 0.0
        samples, widths, said = zip(*fitting)
        strips = torch.stack(samples)
        return torch.stack([recogniser.missed(network(strips), widths, said) for network in self.networks]).mean()
