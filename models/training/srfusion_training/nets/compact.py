"""The generator: a compact network that works at one resolution.

    features = relu(head(x))
    y = PixelShuffle4(tail(features + body(features)) + x repeated 16 times per channel)

``x`` is RGB (3 planes) or luma (1 plane); the sum before the tail can be left out (``skip``), which eight-bit networks are faster without.

Repeating every channel 16 times before the shuffle is the input enlarged by nearest neighbour, so the network learns the
difference to that. All convolutions are 3x3 with zero padding; the receptive radius in low-resolution pixels is their
number. There is no other source of context, which is what lets the engine cut frames into tiles.

While training with Adam, each convolution is a *collapsible* block (Bhardwaj et al., "Collapsible Linear Blocks for Super-Efficient
Super Resolution", MLSys 2022): a 3x3 convolution to many channels followed by a 1x1 convolution back, with an identity
path where the widths agree, and no activation between. The block is linear, so its kernel is multiplied out in every
step and only one plain convolution is run. Muon trains the plain convolutions themselves. What ships is the plain network.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import nn

SCALE = 4


@dataclasses.dataclass(frozen=True)
class GeneratorShape:
    """What determines a generator's architecture; stored in checkpoints."""

    channels: int = 32
    convolutions: int = 8
    expansion: int = 128
    planes: int = 3  #: of the picture: 3 for RGB, 1 for luma
    skip: bool = True  #: whether the features are added to the body's output

    @property
    def radius(self) -> int:
        """Receptive radius in low-resolution pixels: one per 3x3 convolution, head and tail counted."""
        return self.convolutions + 2

    @property
    def multiply_adds(self) -> int:
        """Multiplications per low-resolution pixel of the plain network."""
        c = self.channels
        return 9 * (self.planes * c + self.convolutions * c * c + c * self.planes * SCALE**2)


class CollapsibleConv(nn.Module):
    """A linear block 3x3 -> 1x1 (+ identity) that runs as one 3x3 convolution.

    ``inputs`` channels to ``outputs`` channels through ``expansion`` channels. ``gain`` scales the initial kernel. With an
    ``expansion`` of 0 the block *is* the one convolution, of weights ``whole``, that starts as the wide block would.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, identity: bool, gain: float = 1.0) -> None:
        super().__init__()
        if expansion == 0:
            start = CollapsibleConv(inputs, outputs, 4 * outputs, identity, gain)
            self.whole = nn.Parameter(start.kernel().detach().clone())
            self.bias = nn.Parameter(torch.zeros(outputs))
            return
        self.expand = nn.Parameter(torch.empty(expansion, inputs, 3, 3))
        self.project = nn.Parameter(torch.empty(outputs, expansion))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # The product's entries get variance gain^2 * 2 / (9 * inputs), which is He's for one 3x3 convolution.
        nn.init.normal_(self.expand, std=gain * math.sqrt(2.0 / (9 * inputs)))
        nn.init.normal_(self.project, std=math.sqrt(1.0 / expansion))
        self.identity = identity
        if identity:
            unit = torch.zeros(outputs, inputs, 3, 3)
            unit[range(outputs), range(inputs), 1, 1] = 1.0
            self.register_buffer("unit", unit, persistent=False)

    def kernel(self) -> torch.Tensor:
        """f32[outputs, inputs, 3, 3]: the block multiplied out."""
        if hasattr(self, "whole"):
            return self.whole
        outputs, expansion = self.project.shape
        kernel = (self.project @ self.expand.reshape(expansion, -1)).reshape(outputs, -1, 3, 3)
        return kernel + self.unit if self.identity else kernel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, inputs, h, w] -> f32[n, outputs, h, w]."""
        return F.conv2d(x, self.kernel(), self.bias, padding=1)


class _Generator(nn.Module):
    """What the trained and the plain network share: the order of operations."""

    shape: GeneratorShape
    head: nn.Module
    body: nn.ModuleList
    tail: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f32[n, planes, h, w] in 0..1 -> f32[n, planes, 4h, 4w], about 0..1, not clamped."""
        features = F.relu(self.head(x))
        y = features
        for layer in self.body:
            y = F.relu(layer(y))
        detail = self.tail(features + y if self.shape.skip else y)
        return F.pixel_shuffle(detail + x.repeat_interleave(SCALE**2, dim=1), SCALE)


class Generator(_Generator):
    """The network as it is trained."""

    def __init__(self, shape: GeneratorShape = GeneratorShape()) -> None:
        super().__init__()
        self.shape = shape
        c, wide = shape.channels, shape.expansion
        self.head = CollapsibleConv(shape.planes, c, wide, identity=False)
        self.body = nn.ModuleList(
            CollapsibleConv(c, c, wide, identity=True, gain=0.3) for _ in range(shape.convolutions)
        )
        self.tail = CollapsibleConv(c, shape.planes * SCALE**2, wide, identity=False, gain=0.1)

    def layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Kernel f32[outputs, inputs, 3, 3] and bias f32[outputs] of each convolution, from the first to the last."""
        return [(block.kernel(), block.bias) for block in (self.head, *self.body, self.tail)]


class PlainGenerator(_Generator):
    """The network as it ships: one convolution for each block."""

    def __init__(self, shape: GeneratorShape = GeneratorShape()) -> None:
        super().__init__()
        self.shape = shape
        c = shape.channels
        self.head = nn.Conv2d(shape.planes, c, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(shape.convolutions))
        self.tail = nn.Conv2d(c, shape.planes * SCALE**2, 3, padding=1)


@torch.no_grad()
def collapse(trained: Generator) -> PlainGenerator:
    """The plain network that computes what ``trained`` computes."""
    plain = PlainGenerator(trained.shape)
    pairs = [(plain.head, trained.head), (plain.tail, trained.tail), *zip(plain.body, trained.body)]
    for to, block in pairs:
        to.weight.copy_(block.kernel())
        to.bias.copy_(block.bias)
    return plain.eval()


@torch.no_grad()
def flattened(trained: Generator) -> Generator:
    """The network of blocks without expansion that computes what ``trained`` computes, to be trained on."""
    flat = Generator(dataclasses.replace(trained.shape, expansion=0))
    pairs = [(flat.head, trained.head), (flat.tail, trained.tail), *zip(flat.body, trained.body)]
    for to, block in pairs:
        to.whole.copy_(block.kernel())
        to.bias.copy_(block.bias)
    return flat


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(value.numel() for value in network.parameters())
