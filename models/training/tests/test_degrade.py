"""Degradations keep pictures in place, and the pool's two halves belong together."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from srfusion_training.data import coding, degrade, pictures, resize, subjects
from test_generator_commands import texture

MILD = degrade.Recipe(light=1.0, blur=1.0, blur_sigma=(0.4, 1.0), chain=1.0, chain_scale=(0.5, 1.0), noise_sigma=2.0, sinc=0.0, second=0.0, sharpen=0.0, starved=0.0, crf=(18, 24))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.astype(np.float64).ravel(), b.astype(np.float64).ravel())[0, 1])


def test_a_kernel_is_wide_where_it_should_be() -> None:
    kernel = degrade.gaussian_kernel(3.0, 1.0, 0.0)
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert (kernel * x**2).sum() == pytest.approx(9.0, rel=0.15) and (kernel * y**2).sum() == pytest.approx(1.0, rel=0.15)
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    assert np.argwhere(degrade.blur(spot, kernel)[..., 0] == degrade.blur(spot, kernel).max()).tolist()[0][0] == 20


def test_chains_and_versions_do_not_shift() -> None:
    picture, random = texture(320, 320, 1), np.random.default_rng(0)
    reference = resize.resize_u8(picture, 0.25)
    for _ in range(6):
        low = degrade.down(picture, MILD, random)
        here = correlation(low, reference)
        assert here > 0.97
        assert here > max(correlation(np.roll(low, step, axis), reference) for step in (-1, 1) for axis in (0, 1))
    lows, places, light = degrade.versions(picture, 3, MILD, random)
    assert light is not None and len(set(places)) == 3
    for low, (x, y) in zip(lows, places):
        same = light.apply(picture[y : y + 4 * low.shape[0], x : x + 4 * low.shape[1]])
        assert correlation(low, resize.resize_u8(same, 0.25)) > 0.97


def test_packing_overlaps_nothing() -> None:
    random = np.random.default_rng(5)
    sizes = [tuple(random.integers(5, 200, 2)) for _ in range(60)] + [(700, 100), (30, 30)]
    places = degrade.pack(sizes, 480, 270)
    frames: dict[int, np.ndarray] = {}
    for (tall, wide), (frame, x, y) in zip(sizes, places):
        used = frames.setdefault(frame, np.zeros((1000, 1000), bool))
        assert not used[y : y + tall, x : x + wide].any()
        used[y : y + tall, x : x + wide] = True
    assert places[-2][0] != places[-3][0] and places[-1][0] != places[-2][0], "a large one has its frame alone"


@pytest.mark.parametrize("codec", ["video", "jpeg"])
def test_the_pool_gives_pairs_of_one_place(tmp_path: Path, codec: str) -> None:
    if codec == "video" and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not there")
    names = [f"picture-{index}.png" for index in range(200)]
    chosen = [next(n for n in names if pictures.is_held_out(n) == wanted) for wanted in (False, True)]
    writer = pictures._Writer(tmp_path, "general")
    for seed, name in enumerate(chosen * 2):
        fields = {"source": name, "scale": 1.0, "weight": 1.0, "held_out": pictures.is_held_out(name), "box": None}
        writer.add(texture(230, 250, seed), **fields)
    writer.close()
    recipe = dataclasses.replace(MILD, noise=0.0, jpeg=0.0, blur=0.0)
    assert degrade.prepare(tmp_path, "general", recipe, 2, codec, 1) >= 8
    low, high = subjects.patches("general", tmp_path, 96, 12, 3, degraded="camera").draw()
    assert tuple(low.shape) == (12, 3, 24, 24) and tuple(high.shape) == (12, 3, 96, 96)
    clean = resize.down4(high)
    for index in range(12):
        here = correlation(low[index].numpy(), clean[index].numpy())
        assert here > 0.7
        shifted = (np.roll(low[index].numpy(), step, axis) for step in (-1, 1) for axis in (1, 2))
        assert here > max(correlation(other, clean[index].numpy()) for other in shifted)
    assert not np.array_equal(low.numpy(), clean.numpy())
    # Some batches of both kinds, as it is asked for.
    for share, least, most in ((0.0, 16, 16), (0.5, 3, 13)):
        source = subjects.patches("general", tmp_path, 96, 2, 3, degraded="camera", degraded_share=share)
        drawn = [source.draw() for _ in range(16)]
        clean = sum(np.allclose(low, resize.down4(high * 255.0).round().clamp(0, 255) / 255.0, atol=1e-6) for low, high in drawn)
        assert least <= clean <= most, (share, clean)


def test_a_sinc_filter_keeps_low_frequencies_and_stops_high_ones() -> None:
    kernel = degrade.sinc_kernel(1.5, 20)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5) and np.allclose(kernel, kernel.T) and kernel.min() < -1e-4, "it rings"
    response = np.abs(np.fft.fft2(kernel, (256, 256)))
    frequency = np.hypot(*np.meshgrid(*(2 * np.pi * np.abs(np.fft.fftfreq(256)),) * 2))
    assert response[frequency < 1.2].min() > 0.85 and response[(frequency > 1.8) & (frequency < np.pi)].max() < 0.15


def test_sharpening_steepens_an_edge_and_leaves_flat_places() -> None:
    picture = np.full((20, 20, 3), 80, np.uint8)
    picture[:, 10:] = 160
    sharp = degrade.sharpen(picture, 1.0)
    assert sharp[10, 10, 0] > 165 and sharp[10, 9, 0] < 75 and sharp[10, 2, 0] == 80 and sharp[10, 17, 0] == 160


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is not there")
def test_colours_are_converted_as_gstreamer_does(tmp_path: Path) -> None:
    """I420, BT.601 -> RGB by videoconvert, but for a shade that its arithmetic adds, one a channel."""
    planes = coding.to_yuv420(resize.resize_u8(texture(64, 96, 5), 1.0))
    (tmp_path / "in.yuv").write_bytes(b"".join(plane.tobytes() for plane in planes))
    caps = "video/x-raw,format=I420,width=96,height=64,framerate=1/1,colorimetry=bt601,chroma-site=mpeg2"
    pipeline = f"filesrc location={tmp_path}/in.yuv blocksize={96 * 64 * 3 // 2} ! {caps} ! videoconvert ! video/x-raw,format=RGB ! filesink location={tmp_path}/out.rgb"
    subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True)
    theirs = np.frombuffer((tmp_path / "out.rgb").read_bytes(), np.uint8).reshape(64, 96, 3).astype(int)
    ours = coding.from_yuv420(*planes).astype(int)
    shade = (ours - theirs).mean((0, 1))
    assert np.abs(shade).max() < 4.5 and np.abs(ours - theirs - shade).mean() < 1.0
    shifted = coding.from_yuv420(planes[0], *(np.roll(plane, 1, 1) for plane in planes[1:])).astype(int)
    assert np.abs(ours - theirs).mean() < 0.5 * np.abs(shifted - theirs).mean(), "chroma lies where theirs does"


def test_420_and_back_keeps_what_is_flat() -> None:
    picture = np.empty((16, 24, 3), np.uint8)
    picture[:] = (200, 60, 30)
    assert np.abs(coding.from_yuv420(*coding.to_yuv420(picture)).astype(int) - picture).max() <= 1
    sample = texture(32, 48, 2)
    luma = coding.to_yuv420(sample)[0]
    assert np.array_equal(coding.to_yuv420(coding.from_yuv420(*coding.to_yuv420(sample)))[0].shape, luma.shape)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not there")
def test_starved_and_newer_codecs() -> None:
    frames = np.stack([np.roll(texture(96, 128, 4), step, 1) for step in range(3)])

    def error(**options) -> float:
        return float(np.abs(coding.coded(frames, 24, **options).astype(int) - frames).mean())

    plenty = error()
    assert error(bits=0.05) > 1.3 * plenty, "fewer bits, more harm"
    assert 0.3 * plenty < error(codec="h265", preset="ultrafast") < 3.0 * plenty
    with pytest.raises(ValueError, match="no codec 'av2'"):
        coding.coded(frames, 24, codec="av2")


def test_a_second_pass_does_not_shift() -> None:
    picture, random = texture(320, 320, 1), np.random.default_rng(0)
    recipe = dataclasses.replace(MILD, chain=1.0, chain_scale=(0.6, 1.4), second=1.0, noise=1.0, jpeg=1.0, jpeg_quality=(80, 95))
    reference = resize.resize_u8(picture, 0.25)
    for _ in range(4):
        low = degrade.down(picture, recipe, random)
        here = correlation(low, reference)
        assert here > 0.9 and here > max(correlation(np.roll(low, step, axis), reference) for step in (-1, 1) for axis in (0, 1))
