"""What a generator is trained towards: a weighted sum of the losses that the command line names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..nets.discriminators import DISCRIMINATORS
from . import functions as losses
from .features import IMAGENET_MEAN, IMAGENET_STD, Extractor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The losses besides that of the pixels, as a group of options."""
    group = parser.add_argument_group("losses beside --loss; a network is an ONNX file, or TorchScript by any other suffix")
    group.add_argument("--pixel-weight", type=float, default=1.0, help="of --loss")
    group.add_argument("--perceptual", type=Path, metavar="NETWORK", help="features that should agree place by place, as VGG19")
    group.add_argument("--perceptual-layer", metavar="NAME", help="tensor of --perceptual; default: its output")
    group.add_argument("--perceptual-weight", type=float, default=1.0)
    group.add_argument("--face-feature", type=Path, metavar="EXTRACTOR", help="network of faces whose descriptors should agree")
    group.add_argument("--layer", metavar="NAME", help="tensor of --face-feature, n x C x h x w; default: its output")
    group.add_argument("--weight", type=float, default=10.0, help="of the face-feature loss")
    group.add_argument("--power", type=int, default=6, help="n in 1 - s^n")
    group.add_argument("--face-feature-patches", type=int, default=16, help="patches of a step that it looks at, at most")
    group.add_argument("--feature-size", type=int, nargs=2, metavar=("H", "W"), help="input of the feature networks, if they leave it free")
    group.add_argument("--feature-mean", type=float, nargs=3, default=IMAGENET_MEAN, help="of their input, RGB in 0..1")
    group.add_argument("--feature-std", type=float, nargs=3, default=IMAGENET_STD)
    group.add_argument("--gan", choices=("none", *DISCRIMINATORS), default="none", help="relativistic average GAN with this discriminator")
    group.add_argument("--gan-weight", type=float, default=0.005)
    group.add_argument("--gan-rate", type=float, default=1e-4, help="learning rate of the discriminator")
    group.add_argument("--gan-width", type=int, default=64, help="channels of the discriminator at full size")


class Objective(nn.Module):
    """The sum of the losses, and the discriminator with its optimizer if there is one."""

    def __init__(self, args: argparse.Namespace, device: torch.device) -> None:
        super().__init__()
        self.args = args
        self.pixel = losses.LOSSES[args.loss]

        def extractor(file: Path, layer: str | None) -> Extractor:
            size = tuple(args.feature_size) if args.feature_size else None
            return Extractor(file, layer, size, args.feature_mean, args.feature_std)

        self.perceptual = self.face = self.judge = None
        if args.perceptual is not None:
            self.perceptual = losses.PerceptualLoss(extractor(args.perceptual, args.perceptual_layer))
        if args.face_feature is not None:
            self.face = losses.FaceFeatureLoss(extractor(args.face_feature, args.layer), args.power)
        if args.gan != "none":
            self.judge = DISCRIMINATORS[args.gan](args.gan_width)
        self.to(device)
        self.optimizer = None
        if self.judge is not None:
            self.optimizer = torch.optim.Adam(self.judge.parameters(), lr=args.gan_rate, betas=(0.9, 0.99))
        #: The losses of the last step by name, not weighted.
        self.parts: dict[str, float] = {}

    def forward(self, generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """The generator's loss; gradients that it leaves in the discriminator are cleared by :meth:`update`."""
        found = {"pixel": (self.args.pixel_weight, self.pixel(generated, true))}
        if self.perceptual is not None:
            found["perceptual"] = (self.args.perceptual_weight, self.perceptual(generated, true))
        if self.face is not None:
            some = slice(self.args.face_feature_patches)
            found["face-feature"] = (self.args.weight, self.face(generated[some], true[some]))
        if self.judge is not None:
            with torch.no_grad():
                real = self.judge(true)
            found["gan"] = (self.args.gan_weight, losses.relativistic_generator(real, self.judge(generated)))
        self.parts = {name: float(value.detach()) for name, (_, value) in found.items()}
        return sum(weight * value for weight, value in found.values())  # type: ignore[return-value]

    def update(self, generated: torch.Tensor, true: torch.Tensor) -> None:
        """One step of the discriminator, after the generator's own; ``generated`` is what the loss was computed on."""
        if self.judge is None or self.optimizer is None:
            return
        loss = losses.relativistic_discriminator(self.judge(true), self.judge(generated.detach()))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.parts["discriminator"] = float(loss.detach())

    def state(self) -> dict[str, Any]:
        """What a checkpoint must keep: the discriminator and its optimizer, if any."""
        if self.judge is None or self.optimizer is None:
            return {}
        return {"judge": self.judge.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up :meth:`state` again; a run that had no discriminator begins with a new one."""
        if state and self.judge is not None and self.optimizer is not None:
            self.judge.load_state_dict(state["judge"])
            self.optimizer.load_state_dict(state["optimizer"])
