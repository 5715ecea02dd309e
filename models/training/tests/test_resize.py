"""Our bicubic against MATLAB's, by the pairs of the test sets."""

import os

import numpy as np
import pytest
import torch

from srfusion_training import data, resize

GENERAL = data.default_data() / "dev" / "general"


@pytest.mark.skipif(not GENERAL.is_dir(), reason=f"no {os.path.join('dev', 'general')} in the data folder (SRFUSION_DATA)")
@pytest.mark.parametrize("name", ["Set5", "Set14", "BSD100", "Urban100"])
def test_down_sampling_is_matlabs(name: str) -> None:
    pairs = [(path, GENERAL / name / "LRx4" / path.name) for path in data.picture_files(GENERAL / name / "HR")]
    assert all(low.exists() for _, low in pairs)
    for path, low in pairs:
        theirs = data.read_rgb(low)
        ours = resize.resize_u8(resize.mod4(data.read_rgb(path)), 0.25)
        assert ours.shape == theirs.shape, path
        difference = np.abs(ours.astype(np.int32) - theirs)
        assert difference.mean() < 0.5, f"{path}: mean difference {difference.mean():.3f} grey levels"


def test_a_constant_and_a_ramp_survive() -> None:
    flat = np.full((20, 28, 3), 77.0, dtype=np.float32)
    assert np.allclose(resize.resize(flat, 0.25), 77.0, atol=1e-3)
    assert np.allclose(resize.resize(flat, 4.0), 77.0, atol=1e-3)
    ramp = np.tile(np.arange(64, dtype=np.float32), (16, 1))
    # The middle of low-resolution pixel x lies at 4 x + 1.5; borders are mirrored and bend.
    assert np.allclose(resize.resize(ramp, 0.25)[:, 4:-4], np.arange(4, 12) * 4 + 1.5, atol=1e-3)


def test_sizes_round_up_as_matlabs_do() -> None:
    assert resize.resize(np.zeros((101, 50, 3)), 0.25).shape == (26, 13, 3)
    assert resize.resize(np.zeros((10, 10)), 0.3).shape == (3, 3)


def test_batches_shrink_as_pictures_do() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.float32)
    one = resize.down4(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(one - resize.resize(picture, 0.25)).max() < 1e-3
