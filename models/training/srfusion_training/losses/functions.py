"""Losses: of pixels, of features, of faces, and of a relativistic average GAN. Pictures are f32[n, 3, h, w] in about 0..1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn


def l1(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return (generated - true).abs().mean()


def mse(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean squared difference."""
    return (generated - true).square().mean()


def charbonnier(generated: torch.Tensor, true: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Mean of sqrt(d^2 + epsilon^2): L1 with a smooth bottom of about a quarter of a grey level."""
    return ((generated - true).square() + epsilon**2).sqrt().mean()


def luma_l1(generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Half the mean absolute difference of the three colours, half that of luma (BT.601, scaled to weights of sum 1).

    The eye and the reported PSNR both look at luma; the half on the colours keeps these right.
    """
    difference = generated - true
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=true.dtype, device=true.device) / 219.0
    luma = (difference * weights.view(1, 3, 1, 1)).sum(1)
    return 0.5 * difference.abs().mean() + 0.5 * luma.abs().mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "mse": mse,
    "luma-l1": luma_l1,
}


def descriptor(features: torch.Tensor) -> torch.Tensor:
    """Features f32[n, C, h, w] -> f32[n, C]: the L2 norm of each channel over its h x w places, (4) of the source.

        d_c = sqrt(sum over i, j of F[c, i, j]^2)

    It says how much of each feature there is, whatever its place. Features f32[n, C] without places are their own descriptor.
    """
    if features.dim() == 2:
        return features
    if features.dim() != 4:
        raise ValueError(f"features must be n x C x h x w or n x C, not {tuple(features.shape)}")
    # The small number keeps the root's slope finite where a channel is silent.
    return (features.square().sum(dim=(2, 3)) + 1e-12).sqrt()


class FaceFeatureLoss(nn.Module):
    """The source's face-feature loss (4)-(6): pictures of one face should have one descriptor.

        d = descriptor of the extractor's features of the picture, resized bilinearly to its input      (4)
        s = <d(generated), d(true)> / (|d(generated)| |d(true)|)                                        (5)
        loss = 1 - max(s, 0)^n, n = 6                                                                   (6)

    The source used SENet50 trained on VGGFace2, layer pool5 7x7_s1, C x h x w = 2048 x 2 x 2, and the weight 10. The power
    n makes the loss steep while s is near 1, where it always is for two pictures of one person.
    """

    def __init__(self, extractor: nn.Module, power: int = 6) -> None:
        super().__init__()
        self.extractor, self.power = extractor, power

    def similarity(self, generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """f32[n]: s of each pair of pictures, in -1..1."""
        with torch.no_grad():
            wanted = descriptor(self.extractor(true))
        return F.cosine_similarity(descriptor(self.extractor(generated)), wanted)

    def forward(self, generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] RGB in 0..1, true ones without gradient -> mean of 1 - max(s, 0)^n."""
        # Opposite descriptors are as wrong as can be; an even power would call them right.
        return (1.0 - self.similarity(generated, true).clamp_min(0.0) ** self.power).mean()


class PerceptualLoss(nn.Module):
    """Mean absolute difference of the features of a network phi (Johnson et al., ECCV 2016; ESRGAN takes them before the
    activation, and VGG19's convolution 5_4):

        loss = mean |phi(generated) - phi(true)|
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, generated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """f32[n, 3, h, w] RGB in 0..1 -> scalar."""
        with torch.no_grad():
            wanted = self.extractor(true)
        return (self.extractor(generated) - wanted).abs().mean()


def feature_matching(generated: Sequence[torch.Tensor], true: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean absolute difference of a discriminator's features of the generated and the true picture, the mean over its layers (Wang et
    al., "High-resolution image synthesis ... with conditional GANs", CVPR 2018). ``true`` gets no gradient."""
    return sum((a - b.detach()).abs().mean() for a, b in zip(generated, true)) / max(1, len(true))  # type: ignore[return-value]


def grid(generated: torch.Tensor, true: torch.Tensor, step: int = 4, squares: int = 4) -> torch.Tensor:
    """How much of a grid of ``step`` pixels there is in the error: the mean error of each place in a square of ``step`` pixels, over
    ``squares`` x ``squares`` of them, less the mean over all places; absolute, averaged. What is left at the right and below is left out.

    A network that gives all pixels of a square at once may add a pattern of its own to every square, which a GAN rewards as texture."""
    side = step * squares
    rows, columns = (length // side for length in true.shape[2:])
    error = (generated - true)[..., : rows * side, : columns * side]
    places = error.unflatten(3, (columns, squares, step)).unflatten(2, (rows, squares, step)).mean(dim=(3, 6))
    return (places - places.mean(dim=(3, 5), keepdim=True)).abs().mean()


def unsteadiness(first: torch.Tensor, second: torch.Tensor, shift: tuple[int, int], border: int = 16) -> torch.Tensor:
    """Mean squared difference between two pictures of one thing, f32[n, c, h, w], the second ``shift`` (rows, columns, not negative) pixels
    further; what flickers in a video. ``border`` pixels are left out, where one picture knows less of its surroundings."""
    y, x = shift
    height, width = first.shape[2] - y, first.shape[3] - x
    difference = first[..., y:, x:] - second[..., :height, :width]
    return difference[..., border : height - border, border : width - border].square().mean()


def relativistic_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss of a relativistic average GAN, as in ESRGAN (Wang et al., ECCV workshops 2018).

    With C the discriminator's raw values, D(a, b) = sigmoid(C(a) - mean C(b))::

        L_D = -mean log D(real, fake) - mean log(1 - D(fake, real))

    halved here, as is common, so that it is about log 2 at first. ``real`` and ``fake`` of any one shape: one value
    a picture (VGG style) or one a pixel (U-Net).
    """
    ahead = F.softplus(-(real - fake.mean()))
    behind = F.softplus(fake - real.mean())
    return 0.5 * (ahead.mean() + behind.mean())


def relativistic_generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The generator's loss of the same game::

        L_G = -mean log(1 - D(real, fake)) - mean log D(fake, real)

    halved likewise. ``real`` takes part too: its values should fall below the mean of the generated ones.
    """
    behind = F.softplus(real - fake.mean())
    ahead = F.softplus(-(fake - real.mean()))
    return 0.5 * (ahead.mean() + behind.mean())
