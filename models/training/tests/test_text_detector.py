"""The text detector's pictures and measures: boxes of words, held-out photographs, recall and false boxes; and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from srfusion_training.__main__ import main  # noqa: E402
from srfusion_training.data import text  # noqa: E402
from srfusion_training.detect import measure_text, sources, text_scenes  # noqa: E402
from srfusion_training.detect.detectors import Detections  # noqa: E402
from test_generator_commands import folder  # noqa: E402, F401 (a fixture)
from test_text import cache, few_fonts  # noqa: E402, F401 (fixtures)


def test_scenes_hold_words_with_ink_and_one_in_six_none(cache: Path) -> None:  # noqa: F811
    scenes = text_scenes.TextScenes(cache, 192, 3)
    samples = [scenes.sample() for _ in range(60)]
    empty = sum(len(sample.boxes) + len(sample.ignore) == 0 for sample in samples)
    assert 3 <= empty <= 25
    for sample in samples:
        grey = sample.image @ np.array([0.299, 0.587, 0.114])
        assert sample.points.shape == (len(sample.boxes), 0, 2)
        for x0, y0, x1, y1 in sample.boxes:
            assert 0 <= x0 < x1 <= 192 and 0 <= y0 < y1 <= 192
            assert np.ptp(grey[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]) > 15, "a box that counts is empty"
    words = np.concatenate([sample.boxes for sample in samples])
    assert len(words) > 100 and np.median((words[:, 2] - words[:, 0]) / (words[:, 3] - words[:, 1])) < 6, "words, not lines"


def test_photographs_with_text_are_left_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    every = {Path(p.source).name for p in text_scenes.TextScenes(cache, 96, 1).artist.photographs.pictures}
    monkeypatch.setattr(text_scenes, "WITH_TEXT", frozenset(every))
    with pytest.raises(ValueError, match="no photograph without text is for training"):
        text_scenes.TextScenes(cache, 96, 1)
    assert not every & {Path(p.source).name for p in text_scenes.TextScenes(cache, 96, 1, True).artist.photographs.pictures}


def detections(*rows: tuple[float, ...]) -> Detections:
    boxes = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([row[4] for row in rows], np.float32))


def word(box: tuple[float, ...], height: float = 10.0) -> text.Line:
    return text.Line("word", box, height, True)  # type: ignore[arg-type]


def test_words_found_covered_and_false_boxes_are_told_apart() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    words = [(word((10, 10, 50, 22)), True), (word((60, 10, 100, 22)), True), (word((10, 60, 50, 66), 6.0), False)]
    cases = {
        "all": (detections((10, 10, 50, 22, 0.9), (60, 10, 100, 22, 0.8)), (2, 2), 0),
        "joined": (detections((10, 10, 100, 22, 0.9)), (0, 2), 0),
        "beside": (detections((10, 10, 50, 22, 0.9), (120, 50, 180, 80, 0.8)), (1, 1), 1),
        "on what does not count": (detections((10, 60, 50, 66, 0.9)), (0, 0), 0),
        "below the threshold": (detections((10, 10, 50, 22, 0.3)), (0, 0), 0),
    }
    for name, (found, (own, covered), false) in cases.items():
        result = measure_text.judge([found, detections()], [(picture, words), (picture, [])], 0.5)
        assert result["wanted"] == (own, covered, 2), name
        assert result["false"] == false / 2 and result["false-without-text"] == 0.0, name
    assert measure_text.judge([detections((0, 0, 20, 20, 0.9))], [(picture, [])], 0.5)["false-without-text"] == 1.0


def test_the_threshold_is_the_lowest_within_the_budget() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    pictures = [(picture, [(word((8, 8, 40, 20)), True)])]
    rows = measure_text.measure(lambda _, threshold: detections((8, 8, 40, 20, 0.9), (44, 44, 60, 60, 0.42)), pictures)
    assert rows[-1]["threshold"] == pytest.approx(0.45) and rows[-1]["wanted"] == (1, 1, 1) and rows[0]["false"] == 1.0


def test_no_source_mirrors_letters() -> None:
    assert sources.SOURCES["face"].mirrors and not sources.SOURCES["text"].mirrors
    assert sources.SOURCES["face"].points == 5 and sources.SOURCES["text"].points == 0


def test_a_text_detector_is_trained_exported_and_measured(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # noqa: F811
    models = tmp_path / "models"
    models.mkdir()
    train = ["train-detector", "--subject", "text", "--cache", str(cache), "--checkpoints", str(tmp_path), "--data", str(tmp_path)]
    assert main([*train, "--batch", "2", "--side", "96", "--channels", "16", "--minutes", "5", "--max-steps", "2"]) == 0
    assert main(["export-detector", "--checkpoint", str(tmp_path / "detector.pt"), "--models", str(models)]) == 0
    written = (models / "models.toml").read_text()
    assert 'name = "text-detector"' in written and 'subject = "text"' in written and "free fonts" in written
    capsys.readouterr()
    evaluate = ["evaluate-text-detector", "--model", str(models / "text-detector.onnx"), "--cache", str(cache)]
    assert main([*evaluate, "--count", "2", "--side", "96", "--json"]) == 0
    assert {"threshold", "false", "wanted", "by-height"} <= set(json.loads(capsys.readouterr().out)[-1])
    pictures = tmp_path / "data" / "dev" / "general" / "Set5" / "HR"
    assert main([*evaluate, "--draw", str(pictures), str(tmp_path / "boxes")]) == 0
    assert len(list((tmp_path / "boxes").glob("*.png"))) == 1
