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

#: Pixels to which strides of discriminators add up: what is left out of their pictures, so that sides stay multiples of it.
STRIDE = 8


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
    for name, what in (("feature", "both feature networks"), ("perceptual", "--perceptual"), ("face-feature", "--face-feature")):
        own = "" if name == "feature" else "; default: --feature-"
        group.add_argument(f"--{name}-size", type=int, nargs=2, metavar=("H", "W"), help=f"input of {what}, if left free{own and own + 'size'}")
        group.add_argument(
            f"--{name}-mean", type=float, nargs=3, default=None if own else IMAGENET_MEAN, help=f"of the input of {what}, RGB in 0..1{own and own + 'mean'}"
        )
        group.add_argument(f"--{name}-std", type=float, nargs=3, default=None if own else IMAGENET_STD, help=f"likewise{own and own + 'std'}")
    group.add_argument("--gan", choices=("none", *DISCRIMINATORS), default="none", help="relativistic average GAN with this discriminator")
    group.add_argument("--gan-weight", type=float, default=0.005)
    group.add_argument("--gan-rate", type=float, default=1e-4, help="highest learning rate of the discriminator; it follows --schedule")
    group.add_argument("--gan-width", type=int, default=64, help="channels of the discriminator at full size")
    group.add_argument("--gan-start", type=int, default=0, metavar="STEPS", help="of training on --loss alone (at weight 1) before all other losses begin")
    group.add_argument("--grid", type=float, default=0.0, metavar="WEIGHT", help="of the error's part that repeats in every 4x4 pixels, which a GAN brings in")
    group.add_argument("--feature-matching", type=float, default=0.0, metavar="WEIGHT", help="of the difference of the discriminator's features")


def as_colour(picture: torch.Tensor) -> torch.Tensor:
    """What feature networks see of luma f32[n, 1, h, w] in 16/255..235/255: grey RGB in 0..1; RGB f32[n, 3, h, w] is left as it is."""
    if picture.shape[1] == 3:
        return picture
    return ((picture * 255.0 - 16.0) / 219.0).expand(-1, 3, -1, -1)


class Objective(nn.Module):
    """The sum of the losses, and the discriminator with its optimizer if there is one.

    Pictures are RGB or luma (``planes``). During the first ``--gan-start`` steps only the pixels count.
    """

    def __init__(self, args: argparse.Namespace, device: torch.device, planes: int = 3) -> None:
        super().__init__()
        self.args, self.planes = args, planes
        self.pixel = losses.LOSSES[args.loss]
        self.warming = args.gan_start > 0
        if args.feature_matching and args.gan == "none":
            raise ValueError("--feature-matching needs --gan: it compares the features of the discriminator")

        def extractor(file: Path, layer: str | None, name: str) -> Extractor:
            def chosen(what: str) -> Any:
                own = getattr(args, f"{name}_{what}")
                return getattr(args, f"feature_{what}") if own is None else own

            size = chosen("size")
            return Extractor(file, layer, tuple(size) if size else None, chosen("mean"), chosen("std"))

        self.perceptual = self.face = self.judge = None
        if args.perceptual is not None:
            self.perceptual = losses.PerceptualLoss(extractor(args.perceptual, args.perceptual_layer, "perceptual"))
        if args.face_feature is not None:
            self.face = losses.FaceFeatureLoss(extractor(args.face_feature, args.layer, "face_feature"), args.power)
        if args.gan != "none":
            self.judge = DISCRIMINATORS[args.gan](args.gan_width, planes)
        self.to(device)
        self.optimizer = None
        if self.judge is not None:
            self.optimizer = torch.optim.Adam(self.judge.parameters(), lr=args.gan_rate, betas=(0.9, 0.99))
        #: Pixels from the left and from above that the discriminator does not see in this step.
        self.shift = (0, 0)
        #: The losses of the last step by name, not weighted.
        self.parts: dict[str, float] = {}

    def at(self, steps: int, factor: float) -> None:
        """Say that ``steps`` are done and the learning rate stands at ``factor`` of its highest."""
        self.warming = steps < self.args.gan_start
        if self.optimizer is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self.args.gan_rate * factor

    def _seen(self, picture: torch.Tensor) -> torch.Tensor:
        """What the discriminator sees: the picture but for up to :data:`STRIDE` rows and columns, not the same ones in every step. Its own
        strides then lie differently over the generator's 4x4 squares each time; else each place in a square is pushed its own way, and a
        grid of such squares comes out."""
        height, width = (side - STRIDE for side in picture.shape[2:])
        y, x = self.shift
        return picture[..., y : y + height, x : x + width]

    def forward(self, generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """The generator's loss; gradients that it leaves in the discriminator are cleared by :meth:`update`."""
        self.shift = tuple(torch.randint(STRIDE, (2,)).tolist())
        found = {"pixel": (1.0 if self.warming else self.args.pixel_weight, self.pixel(generated, true))}
        if not self.warming:
            found |= self._others(generated, true)
        self.parts = {name: float(value.detach()) for name, (_, value) in found.items()}
        return sum(weight * value for weight, value in found.values())  # type: ignore[return-value]

    def _others(self, generated: torch.Tensor, true: torch.Tensor) -> dict[str, tuple[float, torch.Tensor]]:
        found: dict[str, tuple[float, torch.Tensor]] = {}
        if self.args.grid:
            found["grid"] = (self.args.grid, losses.grid(generated, true))
        if self.perceptual is not None:
            found["perceptual"] = (self.args.perceptual_weight, self.perceptual(as_colour(generated), as_colour(true)))
        if self.face is not None:
            some = slice(self.args.face_feature_patches)
            found["face-feature"] = (self.args.weight, self.face(as_colour(generated[some]), as_colour(true[some])))
        if self.judge is not None:
            with torch.no_grad():
                real, seen = self.judge.judged(self._seen(true))
            fake, made = self.judge.judged(self._seen(generated))
            found["gan"] = (self.args.gan_weight, losses.relativistic_generator(real, fake))
            if self.args.feature_matching:
                found["feature-matching"] = (self.args.feature_matching, losses.feature_matching(made, seen))
        return found

    def update(self, generated: torch.Tensor, true: torch.Tensor) -> None:
        """One step of the discriminator, after the generator's own; ``generated`` is what the loss was computed on."""
        if self.judge is None or self.optimizer is None or self.warming:
            return
        loss = losses.relativistic_discriminator(self.judge(self._seen(true)), self.judge(self._seen(generated.detach())))
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
