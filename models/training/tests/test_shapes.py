"""Networks of well-known shapes are written as files that run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from srfusion_training.__main__ import main
from srfusion_training.export.session import session
from srfusion_training.nets.public import SHAPES


def test_every_shape_is_written_runs_at_any_size_and_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tomllib = pytest.importorskip("tomllib")
    assert main(["export-shape", "all", "--models", str(tmp_path)]) == 0, capsys.readouterr().err
    models = {entry["name"]: entry for entry in tomllib.loads((tmp_path / "models.toml").read_text())["model"]}
    assert set(models) == {f"{name}-shape" for name in SHAPES}
    for name, shape in SHAPES.items():
        entry = models[f"{name}-shape"]
        assert entry["channels"] == shape.channels and entry["range"] == list(shape.range)
        planes, factor = (1 if shape.channels == "y" else 3), (1 if entry["input"] == "interpolated" else 4)
        x = np.zeros((1, planes, 9, 7), np.float32)
        assert session(tmp_path / entry["file"]).run(None, {"input": x})[0].shape == (1, planes, 9 * factor, 7 * factor)
