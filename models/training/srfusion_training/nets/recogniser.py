"""A small network that reads one line of Latin letters and digits. It judges what a generator of text draws while that is trained
(:mod:`srfusion_training.losses.reading`); nothing of it ships.

Convolutions over a line of :data:`HEIGHT` pixels give, for every :data:`STEP` pixels of its length, how likely each character is; the
connectionist temporal classification of Graves et al. ("Connectionist temporal classification", ICML 2006) says which line of characters
those stand for. As Shi et al.'s CRNN ("An end-to-end trainable neural network for image-based sequence recognition", 2015), without its
recurrent part: an invented word must not be read into strokes that do not show it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import torch
from torch import nn

#: What can be read. Class 0 is the blank, class n the character before index n.
CHARACTERS = string.digits + string.ascii_letters
#: Pixels of the input, and of its length that one answer stands for.
HEIGHT, WIDTH, STEP = 32, 160, 4


def _layer(given: int, made: int, size: int | tuple[int, int] = 3, padding: int | tuple[int, int] = 1, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(given, made, size, padding=padding, stride=stride, bias=False), nn.BatchNorm2d(made), nn.ReLU()]


class Recogniser(nn.Module):
    """f32[n, 1, :data:`HEIGHT`, :data:`WIDTH`], lines as :func:`srfusion_training.data.lines.strip` makes them -> f32[n, 1 + characters,
    WIDTH / STEP], the logarithm of each class's likelihood but for a constant. 0.5 million weights."""

    def __init__(self, channels: Sequence[int] = (24, 48, 80, 112, 144), along: int = 160) -> None:
        super().__init__()
        a, b, c, d, e = channels
        self.across = nn.Sequential(
            *_layer(1, a, stride=2), *_layer(a, b), nn.MaxPool2d(2), *_layer(b, c), nn.MaxPool2d((2, 1)), *_layer(c, d), nn.MaxPool2d((2, 1)),
            *_layer(d, e, (2, 3), (0, 1)),
        )  # fmt: skip
        self.along = nn.Sequential(
            nn.Conv1d(e, along, 5, padding=2, bias=False), nn.BatchNorm1d(along), nn.ReLU(),
            nn.Conv1d(along, along, 5, padding=2, bias=False), nn.BatchNorm1d(along), nn.ReLU(),
            nn.Conv1d(along, len(CHARACTERS) + 1, 1),
        )  # fmt: skip

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """Scores of every class, place by place."""
        return self.along(self.across(lines)[:, :, 0])


def answers(width: int) -> int:
    """How many answers a line of ``width`` pixels has."""
    return min(max(math.ceil(width / STEP), 1), WIDTH // STEP)


def fits(text: str, width: int) -> bool:
    """Whether a line of ``width`` pixels has answers enough for ``text``, with room for blanks between letters that are alike."""
    return 0 < len(text) <= 0.8 * width / STEP


def read(scores: torch.Tensor, widths: Sequence[int]) -> list[str]:
    """What the most likely classes of each line say, one after the other: those alike side by side are one, blanks are nothing."""
    result = []
    for line, width in zip(scores.argmax(1), widths):
        classes = [0, *line[: answers(width)].tolist()]
        result.append("".join(CHARACTERS[now - 1] for before, now in zip(classes, classes[1:]) if now not in (0, before)))
    return result


def missed(scores: torch.Tensor, widths: Sequence[int], texts: Sequence[str]) -> torch.Tensor:
    """The negative logarithm of the likelihood that the lines say ``texts`` (of :data:`CHARACTERS` alone), a character, mean over the
    lines: the loss of Graves et al. Lines that cannot say so count as 0."""
    index = {character: place + 1 for place, character in enumerate(CHARACTERS)}
    targets = torch.tensor([index[character] for text in texts for character in text], device=scores.device)
    lengths = [torch.tensor(values) for values in ([answers(width) for width in widths], [len(text) for text in texts])]
    return nn.functional.ctc_loss(scores.permute(2, 0, 1).log_softmax(2), targets, *lengths, zero_infinity=True)
