"""Real-world degradations for cameras: what happens to a picture between the lens and the decoder, applied while the
low-resolution half of a training pair is made.

    low = decode(encode(jpeg(noise(sinc(sharpen(down(blur(jpeg(noise(resize(blur(light(high)))))))))))))

Each stage is drawn at random per picture, see :class:`Recipe`; many pictures skip most of them, so that a network trained on
the result still does well on a clean one. The order is that of Wang et al., "Real-ESRGAN" (ICCV workshops 2021): two passes, the first
of which may enlarge as well as shrink, sinc filters for ringing, and sharpening as cameras do it; and at the end H.264 or H.265, some
of it starved of bits, because that is what cameras send.

Encoding video is too slow for every training step. ``prepare-camera`` therefore takes the pictures that ``prepare`` cached and
writes degraded low-resolution versions of them once, ``<subject>-camera.bin`` and ``.json``; a patch is then cut from a cached
picture and at the same place from one of its degraded versions (:mod:`srfusion_training.data.pool`).
Pictures are set side by side into frames, and frames into clips in which they move by a few pixels, so that key frames
and predicted frames both occur.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tqdm import tqdm

from . import coding, resize
from .pictures import Pictures

try:
    import cv2
except ImportError:
    cv2 = None

SCALE = 4
#: Macroblocks of H.264: pictures in a frame begin at multiples of this.
MACROBLOCK = 16
#: Low-resolution pixels of a frame that pictures are packed into.
FRAME_WIDTH, FRAME_HEIGHT = 960, 544
#: Largest movement between two frames of a clip, in high-resolution pixels, along each axis.
MOTION = 12


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How often each stage happens and how strong it can be. Lengths are in high-resolution pixels unless said otherwise."""

    light: float = 0.5  #: part of the pictures whose exposure, gamma, contrast and colour are changed
    blur: float = 0.35  #: part that is blurred before it is made smaller
    blur_sigma: tuple[float, float] = (0.4, 3.0)
    sinc: float = 0.1  #: of the blurs, the part that is a sinc filter (ringing) instead of a Gaussian; also of pictures, after all else
    sinc_cutoff: tuple[float, float] = (1.0, 2.6)  #: in radians a pixel
    chain: float = 0.2  #: part that goes through another size on the way down
    chain_scale: tuple[float, float] = (0.3, 1.4)  #: that size, of the high-resolution one
    second: float = 0.5  #: of those, the part that gets noise, JPEG and blur at that size: a second pass
    sharpen: float = 0.2  #: part that is sharpened at low resolution
    sharpen_amount: tuple[float, float] = (0.3, 1.5)
    noise: float = 0.4
    noise_sigma: float = 12.0  #: grey levels of 255 at low resolution, at most; small values are more frequent
    jpeg: float = 0.15
    jpeg_quality: tuple[int, int] = (35, 95)
    coded: float = 0.9  #: part of the clips that is encoded
    h265: float = 0.25  #: of those, the part by H.265
    crf: tuple[int, int] = (24, 36)
    starved: float = 0.15  #: of those, the part that is kept to so few bits a pixel
    starved_bits: tuple[float, float] = (0.02, 0.12)
    single: float = 0.6  #: part of the clips that have one frame only


#: What ``--degrade`` and ``prepare-camera --recipe`` can name. "video" is ordinary video, clean but coded, a third of it not even that.
RECIPES = {
    "camera": Recipe(),
    "video": Recipe(
        light=0.1, blur=0.0, sinc=0.0, chain=0.0, sharpen=0.0, noise=0.1, noise_sigma=4.0, jpeg=0.0, coded=0.67, crf=(18, 33), starved=0.05,
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Light:
    """A change of light as a table per channel: ``v -> ((v^gamma - mean) contrast + mean) gain`` for v in 0..1, clamped.

    ``mean`` is that of the picture after gamma; ``gain`` holds one factor a channel.
    """

    gamma: float
    contrast: float
    mean: float
    gain: tuple[float, float, float]

    def table(self) -> np.ndarray:
        """uint8[3, 256]."""
        value = (np.arange(256) / 255.0) ** self.gamma
        value = (value - self.mean) * self.contrast + self.mean
        return resize.to_u8(255.0 * np.array(self.gain)[:, None] * value[None])

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """uint8[h, w, 3] -> uint8[h, w, 3]."""
        table = self.table()
        return np.stack([table[channel][picture[..., channel]] for channel in range(3)], axis=-1)

    @staticmethod
    def draw(picture: np.ndarray, random: np.random.Generator) -> Light:
        """Exposure 0.45..1.15, gamma 0.75..1.35, contrast 0.7..1.1, channels 0.85..1.15, as in :func:`patches.jitter`."""
        gamma = float(random.uniform(0.75, 1.35))
        mean = float(((picture[::4, ::4] / 255.0) ** gamma).mean())
        exposure = random.uniform(0.45, 1.15)
        gain = tuple(float(exposure * random.uniform(0.85, 1.15)) for _ in range(3))
        return Light(gamma, float(random.uniform(0.7, 1.1)), mean, gain)  # type: ignore[arg-type]


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> np.ndarray:
    """f32[k, k], k odd, sum 1: a Gaussian of two widths in pixels, turned by ``angle`` in radians."""
    radius = max(1, math.ceil(2.5 * max(sigma_x, sigma_y)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _bessel_j1(x: np.ndarray) -> np.ndarray:
    """Bessel function of the first kind of order 1, by its integral: mean of cos(t - x sin t) over t in 0..pi."""
    t = (np.arange(512) + 0.5) * np.pi / 512
    return np.cos(t - x[..., None] * np.sin(t)).mean(axis=-1)


def sinc_kernel(cutoff: float, radius: int = 10) -> np.ndarray:
    """f32[2r + 1, 2r + 1], sum 1: the circular ideal low-pass filter of ``cutoff`` radians a pixel, cut at ``radius``; it rings."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    distance = np.maximum(np.hypot(x, y), 1e-9)
    kernel = cutoff * _bessel_j1(cutoff * distance) / (2.0 * np.pi * distance)
    kernel[radius, radius] = cutoff**2 / (4.0 * np.pi)
    return (kernel / kernel.sum()).astype(np.float32)


def draw_kernel(recipe: Recipe, random: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """A Gaussian, or a sinc filter, as the recipe says; sigmas times ``scale``."""
    if random.random() < recipe.sinc:
        return sinc_kernel(float(random.uniform(*recipe.sinc_cutoff)))
    least, most = (sigma * scale for sigma in recipe.blur_sigma)
    widest = float(random.uniform(least, most))
    narrow = widest if random.random() < 0.5 else float(random.uniform(min(least, widest), widest))
    return gaussian_kernel(widest, narrow, float(random.uniform(0.0, math.pi)))


def sharpen(picture: np.ndarray, amount: float, sigma: float = 1.0) -> np.ndarray:
    """uint8[h, w, 3] with ``amount`` of its difference to a Gaussian blur added, as cameras do."""
    soft = blur(picture, gaussian_kernel(sigma, sigma, 0.0)).astype(np.float32)
    return resize.to_u8(picture + amount * (picture.astype(np.float32) - soft))


def blur(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """uint8[h, w, 3] folded with f32[k, k]; edges repeated; rounded to uint8."""
    if cv2 is not None:  # several times faster, same result to a rounding
        return resize.to_u8(cv2.filter2D(picture.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REPLICATE))
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()[:, None]
    reach = kernel.shape[0] // 2
    planes = F.pad(planes, (reach,) * 4, mode="replicate")
    result = F.conv2d(planes, torch.from_numpy(kernel)[None, None])[:, 0]
    return resize.to_u8(result.numpy().transpose(1, 2, 0))


#: Ways of making a picture smaller that are met in scalers; Pillow's all widen their kernel when shrinking.
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def down(picture: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """uint8[h, w, 3], sides multiples of 4 -> uint8[h/4, w/4, 3]: MATLAB's bicubic, or a chain of two other scalers by way of a size
    that can be larger than the picture's own, where a first pass of noise, JPEG and a second blur may happen.

    Every scaler maps the picture's extent on the extent, so nothing is shifted.
    """
    height, width = picture.shape[0] // SCALE, picture.shape[1] // SCALE
    if random.random() >= recipe.chain:
        return resize.resize_u8(picture, 1.0 / SCALE)
    between = float(random.uniform(*recipe.chain_scale))
    first, second = (_FILTERS[int(random.integers(len(_FILTERS)))] for _ in range(2))
    size = max(width, round(picture.shape[1] * between)), max(height, round(picture.shape[0] * between))
    middle = np.asarray(Image.fromarray(picture).resize(size, first))
    if random.random() < recipe.second:
        # Noise of one pixel here is averaged away on the way down, so it is stronger.
        if random.random() < recipe.noise:
            middle = noise(middle, 2.0 * recipe.noise_sigma * float(random.random()) ** 2, random)
        if random.random() < recipe.jpeg:
            middle = jpeg(middle, int(random.integers(*recipe.jpeg_quality)))
        if random.random() < recipe.blur:
            middle = blur(middle, draw_kernel(recipe, random, between / 2.0))
    return np.asarray(Image.fromarray(middle).resize((width, height), second))


def noise(picture: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Sensor noise on uint8[h, w, 3]: read noise plus shot noise that grows with the root of the light, partly equal in the
    channels. ``strength`` is the standard deviation in grey levels at middle grey."""
    shape = picture.shape
    value = picture.astype(np.float32)
    shot = float(random.uniform(0.2, 0.8))
    deviation = strength * np.sqrt((1.0 - shot) + shot * value / 128.0)
    grey = float(random.uniform(0.0, 1.0))
    sample = random.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(1.0 - grey))
    sample += random.standard_normal(shape[:2] + (1,), dtype=np.float32) * np.float32(math.sqrt(grey))
    return resize.to_u8(value + deviation * sample)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """uint8[h, w, 3] through JPEG of ``quality`` 1..95, colour at half size."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


@dataclasses.dataclass
class Degraded:
    """One degraded version of a cached picture."""

    of: int  #: offset of the cached picture in <subject>.bin, which identifies it
    offset: int  #: of the first sample in <subject>-camera.bin
    height: int  #: at low resolution
    width: int
    x: int  #: column and row of the cached picture that the low-resolution one begins at, in high-resolution pixels
    y: int
    light: list[float] | None  #: gamma, contrast, mean, three gains; None where the light was left as it was


def light_of(entry: Degraded) -> Light | None:
    """The change of light of a degraded version, to be made to the high-resolution patch as well."""
    if entry.light is None:
        return None
    gamma, contrast, mean, *gain = entry.light
    return Light(gamma, contrast, mean, tuple(gain))  # type: ignore[arg-type]


def versions(
    picture: np.ndarray, count: int, recipe: Recipe, random: np.random.Generator
) -> tuple[list[np.ndarray], list[tuple[int, int]], Light | None]:
    """``count`` low-resolution versions of uint8[h, w, 3] before encoding, the places they begin at as (x, y), the light.

    One camera takes all of them: light, blur, sharpening, noise level and JPEG quality are drawn once, the place and the noise anew.
    All have the same size.
    """
    light = Light.draw(picture, random) if random.random() < recipe.light else None
    if light is not None:
        picture = light.apply(picture)
    if random.random() < recipe.blur:
        picture = blur(picture, draw_kernel(recipe, random))
    strength = recipe.noise_sigma * float(random.random()) ** 2 if random.random() < recipe.noise else 0.0
    quality = int(random.integers(*recipe.jpeg_quality)) if random.random() < recipe.jpeg else 0
    amount = float(random.uniform(*recipe.sharpen_amount)) if random.random() < recipe.sharpen else 0.0
    ringing = sinc_kernel(float(random.uniform(*recipe.sinc_cutoff))) if random.random() < recipe.sinc else None
    # Room for the movement; a picture that is small for it stands still.
    room = MOTION * (count - 1) if min(picture.shape[:2]) > 8 * MOTION * count else 0
    height, width = ((side - room) // (2 * SCALE) * 2 * SCALE for side in picture.shape[:2])
    across, along = random.uniform(-1.0, 1.0, 2) * room / max(1, count - 1)
    result, places = [], []
    for index in range(count):
        x, y = (
            int(round(extent / 2 + step * (index - (count - 1) / 2)))
            for extent, step in ((picture.shape[1] - width, across), (picture.shape[0] - height, along))
        )
        x, y = min(max(x, 0), picture.shape[1] - width), min(max(y, 0), picture.shape[0] - height)
        low = down(picture[y : y + height, x : x + width], recipe, random)
        if amount:
            low = sharpen(low, amount)
        if ringing is not None:
            low = blur(low, ringing)
        if strength > 0.3:
            low = noise(low, strength, random)
        if quality:
            low = jpeg(low, quality)
        result.append(low)
        places.append((x, y))
    return result, places, light


def pack(sizes: list[tuple[int, int]], width: int, height: int) -> list[tuple[int, int, int]]:
    """Place (height, width) rectangles into frames, in order, on shelves: (frame, x, y) of each, at multiples of
    MACROBLOCK. A rectangle larger than a frame gets a frame of its own, which is as large as it."""
    places: list[tuple[int, int, int]] = []
    frame, x, y, shelf, used = 0, 0, 0, 0, False
    for tall, wide in sizes:
        tall, wide = (-(-side // MACROBLOCK) * MACROBLOCK for side in (tall, wide))
        if x + wide > width:
            x, y, shelf = 0, y + shelf, 0
        if used and (y + tall > height or wide > width or tall > height):
            frame, x, y, shelf = frame + 1, 0, 0, 0
        places.append((frame, x, y))
        x, shelf, used = x + wide, max(shelf, tall), True
        if wide > width or tall > height:
            x, y = width, height
    return places


def encode_clip(clips: list[list[np.ndarray]], recipe: Recipe, codec: str, random: np.random.Generator) -> list[list[np.ndarray]]:
    """Encode the pictures of one frame, each given as its versions over time (all of one length), together.

    ``codec`` is "video" (H.264 and H.265 as the recipe says), one of both, or "jpeg" (a stand-in for where there is no ffmpeg).
    """
    if random.random() >= recipe.coded:
        return clips
    crf = int(random.integers(recipe.crf[0], recipe.crf[1] + 1))
    if codec == "jpeg":
        quality = int(np.interp(crf, (18, 36), (90, 20)))
        return [[jpeg(picture, quality) for picture in clip] for clip in clips]
    # Versions are smaller than the pictures by the room for movement, and shelves of smaller ones can need more height.
    places = pack([clip[0].shape[:2] for clip in clips], FRAME_WIDTH, 1 << 30)
    wide = max(x + clip[0].shape[1] for (_, x, _), clip in zip(places, clips))
    tall = max(y + clip[0].shape[0] for (_, _, y), clip in zip(places, clips))
    if any(frame for frame, _, _ in places):
        raise ValueError(f"of several pictures encoded together none may be wider than {FRAME_WIDTH} px")
    frames = np.full((len(clips[0]), tall + tall % 2, wide + wide % 2, 3), 96, dtype=np.uint8)
    for (_, x, y), clip in zip(places, clips):
        for index, picture in enumerate(clip):
            frames[index, y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    preset = ("medium", "medium", "veryfast", "superfast")[int(random.integers(4))]
    tune = "zerolatency" if frames.shape[0] > 1 and random.integers(2) else None
    bits = float(random.uniform(*recipe.starved_bits)) if random.random() < recipe.starved else None
    newer = random.random() < recipe.h265
    frames = coding.coded(frames, crf, preset, tune, codec if codec != "video" else "h265" if newer else "h264", bits)
    return [
        [frames[index, y : y + picture.shape[0], x : x + picture.shape[1]] for index, picture in enumerate(clip)]
        for (_, x, y), clip in zip(places, clips)
    ]


def prepare(
    cache: Path, subject: str, recipe: Recipe, passes: int, codec: str, seed: int, limit: int | None = None, name: str = "camera"
) -> int:
    """Write ``<subject>-<name>.bin`` and ``.json`` beside the cached pictures; returns the number of degraded pictures.

    ``passes`` times over all cached pictures, in another order each time; a clip of several frames gives as many
    versions. The index is written last.
    """
    random = np.random.default_rng(seed)
    both = [Pictures(cache, subject, held_out) for held_out in (False, True)]
    everything = [(source, picture) for source in both for picture in source.pictures[:limit]]
    index = cache / f"{subject}-{name}.json"
    index.unlink(missing_ok=True)
    entries: list[Degraded] = []
    with open(cache / f"{subject}-{name}.bin", "wb") as file:
        bar = tqdm(total=passes * len(everything), desc=f"{subject}, {name}", unit="picture", mininterval=5.0)
        for _ in range(passes):
            # Sorted by size so that shelves are full, with some disorder so that neighbours differ.
            order = sorted(everything, key=lambda item: item[1].height * random.uniform(0.8, 1.2))
            sizes = [(p.height // SCALE, p.width // SCALE) for _, p in order]
            frames = [place[0] for place in pack(sizes, FRAME_WIDTH, FRAME_HEIGHT)]
            for frame in range(frames[-1] + 1):
                members = [item for item, place in zip(order, frames) if place == frame]
                count = 1 if random.random() < recipe.single else 3
                made = [versions(source.view(picture), count, recipe, random) for source, picture in members]
                encoded = encode_clip([lows for lows, _, _ in made], recipe, codec, random)
                for (_, picture), (_, places, light), lows in zip(members, made, encoded):
                    numbers = None if light is None else [light.gamma, light.contrast, light.mean, *light.gain]
                    for (x, y), low in zip(places, lows):
                        offset = file.tell()
                        file.write(np.ascontiguousarray(low).tobytes())
                        entries.append(Degraded(picture.offset, offset, low.shape[0], low.shape[1], x, y, numbers))
                bar.update(len(members))
        bar.close()
    index.write_text(json.dumps([dataclasses.asdict(entry) for entry in entries]))
    return len(entries)
