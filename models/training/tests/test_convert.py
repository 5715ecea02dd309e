"""Converted checkpoints compute what PyTorch computes, whatever names their weights have."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from srfusion_training import __main__, catalogue
from srfusion_training.export import generator as export_generator
from srfusion_training.export import graph, radius, session
from srfusion_training.importers import pth as convert
from srfusion_training.nets.rrdb import RRDB, RRDBShape
from srfusion_training.nets.srvgg import Compact

SHAPE = RRDBShape(channels=16, blocks=2, growth=8)


def names_2019(key: str) -> str:
    key = re.sub(r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", key)
    for old, new in convert._OUTER_2019.items():
        key = re.sub(rf"^{new}\.", f"{old}.", key)
    return key


def names_2018(key: str) -> str:
    key = re.sub(r"^body\.(\d+)\.rdb(\d)\.conv(\d)\.", r"model.1.sub.\1.RDB\2.conv\3.0.", key)
    key = re.sub(r"^conv_body\.", f"model.1.sub.{SHAPE.blocks}.", key)
    for old, new in convert._OUTER_2018.items():
        key = re.sub(rf"^{new}\.", f"model.{old}.", key)
    return key


def lively(network: torch.nn.Module) -> torch.nn.Module:
    """Weights of ordinary size: the initial ones of RRDB are so small that a wrong graph could pass."""
    torch.manual_seed(5)
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.5 / max(1.0, float(value[0].numel())) ** 0.5)
    return network.eval()


@pytest.mark.parametrize(("rename", "wrap"), [(str, "params_ema"), (names_2019, "params"), (names_2018, "")])
def test_an_esrgan_checkpoint_becomes_onnx(tmp_path: Path, rename, wrap: str) -> None:
    network = lively(RRDB(SHAPE))
    state = {rename(key): value for key, value in network.state_dict().items()}
    torch.save({wrap: state, "params_other": {}} if wrap else state, tmp_path / "net.pth")
    found = convert.network_of(convert.read_state(tmp_path / "net.pth"))
    assert found.shape == SHAPE
    assert export_generator.parity(graph.rrdb(found, "net"), network) < 1e-4


@pytest.mark.parametrize("activation", ["prelu", "relu", "leakyrelu"])
def test_a_compact_checkpoint_becomes_onnx(activation: str) -> None:
    network = lively(Compact(12, 3, activation))
    found = convert.network_of(network.state_dict(), "relu" if activation == "prelu" else activation)
    assert (found.channels, found.convolutions, found.activation) == (12, 3, activation)
    model = graph.compact(found, "net")
    assert export_generator.parity(model, network) < 1e-4
    assert radius.measured_radius(model, felt=0.0) == 5


def test_the_command_writes_both_precisions_and_their_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = lively(Compact(8, 2))
    torch.save({"params": network.state_dict()}, tmp_path / "net.pth")
    arguments = ["convert", str(tmp_path / "net.pth"), "--name", "other-x4", "--models", str(tmp_path), "--fp16"]
    arguments += ["--licence", "BSD-3-Clause", "--trained-on", "noise"]
    assert __main__.main(arguments) == 0, capsys.readouterr().err
    text = (tmp_path / "models.toml").read_text()
    x = np.random.default_rng(1).random((2, 3, 9, 7), dtype=np.float32)
    outputs = []
    for name in ("other-x4", "other-x4-fp16"):
        file = tmp_path / f"{name}.onnx"
        assert f'name = "{name}"' in text and catalogue.sha256_of(file) in text
        outputs.append(session.session(file).run(["output"], {"input": x})[0])
    assert outputs[1].dtype == np.float32 and outputs[1].shape == (2, 3, 36, 28)
    assert 0.0 < np.abs(outputs[0] - outputs[1]).max() < 0.02
    assert (tmp_path / "other-x4-fp16.onnx").stat().st_size < 0.7 * (tmp_path / "other-x4.onnx").stat().st_size


def test_other_networks_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no known network.*layer1.0.weight"):
        convert.network_of({"layer1.0.weight": torch.zeros(3, 3, 3, 3)})
    unshuffled = RRDB(SHAPE).state_dict() | {"conv_first.weight": torch.zeros(16, 12, 3, 3)}
    with pytest.raises(ValueError, match="12 channels"):
        convert.network_of(unshuffled)
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="holds no weights"):
        convert.read_state(tmp_path / "empty.pth")
