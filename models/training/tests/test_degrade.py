"""Degradations keep pictures in place, and the pool's two halves belong together."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_generator_commands import texture

from srfusion_training.data import degrade, pictures, resize, subjects

MILD = degrade.Recipe(light=1.0, blur=1.0, blur_sigma=(0.4, 1.0), chain=1.0, chain_scale=(0.5, 1.0), noise_sigma=2.0, crf=(18, 24))


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


@pytest.mark.parametrize("codec", ["h264", "jpeg"])
def test_the_pool_gives_pairs_of_one_place(tmp_path: Path, codec: str) -> None:
    if codec == "h264" and shutil.which("ffmpeg") is None:
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
    low, high = subjects.patches("general", tmp_path, 96, 12, 3, degraded=True).draw()
    assert tuple(low.shape) == (12, 3, 24, 24) and tuple(high.shape) == (12, 3, 96, 96)
    clean = resize.down4(high)
    for index in range(12):
        here = correlation(low[index].numpy(), clean[index].numpy())
        assert here > 0.7
        shifted = (np.roll(low[index].numpy(), step, axis) for step in (-1, 1) for axis in (1, 2))
        assert here > max(correlation(other, clean[index].numpy()) for other in shifted)
    assert not np.array_equal(low.numpy(), clean.numpy())
