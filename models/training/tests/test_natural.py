"""``evaluate-natural``: what it measures, of what, and what it says where something is lacking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srfusion_training.commands import evaluate_natural
from srfusion_training.data import resize
from srfusion_training.evaluate import natural
from srfusion_training.evaluate.generators import bicubic


def nearest(low: np.ndarray) -> np.ndarray:
    return low.repeat(4, 0).repeat(4, 1)


def test_pictures_too_small_for_niqe_count_for_the_rest(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for kind in ("HR", "LRx4"):
        (tmp_path / "Set5" / kind).mkdir(parents=True)
    for name, size in (("small.png", (64, 96)), ("large.png", (192, 256))):
        true = resize.resize_u8(random.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8), 8.0)
        Image.fromarray(true).save(tmp_path / "Set5/HR" / name)
        Image.fromarray(resize.resize_u8(true, 0.25)).save(tmp_path / "Set5/LRx4" / name)
    seen: list[tuple[int, ...]] = []

    def niqe(picture: np.ndarray) -> float | None:
        seen.append(picture.shape)
        return None if min(picture.shape[:2]) < natural.LEAST_SIDE else 5.0

    table = natural.measure_general(tmp_path, {"bicubic": bicubic, "nearest": nearest}, niqe, sets=("Set5",))
    assert list(table["Set5"]) == ["truth", "bicubic", "nearest"] and len(seen) == 6
    assert table["Set5"]["truth"] == {"niqe": 5.0}
    assert table["Set5"]["bicubic"]["psnr"] > table["Set5"]["nearest"]["psnr"] and table["Set5"]["nearest"]["niqe"] == 5.0
    line = natural.format_table("sets", table).splitlines()[-1]
    assert line.startswith("| Set5 | NIQE 5.00 |") and line.count(" dB, NIQE 5.00 |") == 2


def test_a_picture_that_was_drawn_is_not_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []

    def generator(file: Path, threads: int) -> natural.Method:
        def upscale(low: np.ndarray) -> np.ndarray:
            drawn.append(low.shape)
            return nearest(low)

        return upscale

    monkeypatch.setattr(evaluate_natural, "generator", generator)
    file = tmp_path / "net.onnx"
    file.write_bytes(b"one")
    low = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    for _ in range(2):
        assert np.array_equal(evaluate_natural.kept(file, 1, tmp_path / "kept")(low), nearest(low))
    assert len(drawn) == 1
    # Another shape of the same samples, and another network of the same name.
    evaluate_natural.kept(file, 1, tmp_path / "kept")(low.reshape(6, 5, 3))
    file.write_bytes(b"two")
    evaluate_natural.kept(file, 1, tmp_path / "kept")(low)
    assert len(drawn) == 3


def test_another_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pip download"):
        natural.basicsr_niqe(tmp_path / "none.tar.gz", tmp_path)
    (tmp_path / "other.tar.gz").write_bytes(b"something")
    with pytest.raises(ValueError, match="is not basicsr-1.4.2.tar.gz"):
        natural.basicsr_niqe(tmp_path / "other.tar.gz", tmp_path)
