"""Losses against their formulas, and feature networks against ONNX Runtime."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from srfusion_training.data import folders
from srfusion_training.losses import functions as losses
from srfusion_training.losses import objective
from srfusion_training.losses.features import Extractor, OnnxFeatures, ScriptFeatures
from srfusion_training.nets.discriminators import DISCRIMINATORS


def small_network(file: Path, last: str = "Relu") -> None:
    """An ONNX file with operations of a usual classifier, declared for one picture of 3 x 16 x 12."""
    random = np.random.default_rng(2)
    weights = {
        "k1": random.normal(size=(6, 3, 3, 3)), "b1": random.normal(size=6), "slope": random.uniform(size=(6, 1, 1)),
        "k2": random.normal(size=(6, 1, 3, 3)), "g": random.normal(size=6), "o": random.normal(size=6),
        "m": random.normal(size=6), "v": random.uniform(0.5, 2, 6), "fc": random.normal(size=(5, 6)), "fb": random.normal(size=5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "k1", "b1"], ["c1"], kernel_shape=[3, 3], pads=[0, 1, 1, 1], strides=[2, 1]),
        helper.make_node("PRelu", ["c1", "slope"], ["p"]),
        helper.make_node("Conv", ["p", "k2"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=6),
        helper.make_node("BatchNormalization", ["c2", "g", "o", "m", "v"], ["n"], epsilon=1e-3),
        helper.make_node("Add", ["n", "p"], ["s"]),
        helper.make_node("Clip", ["s", "", "six"], ["features"]),
        helper.make_node("AveragePool", ["features"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], pads=[1, 0, 0, 1], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["b"], ["gap"]),
        helper.make_node("Reshape", ["gap", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "fc", "fb"], ["out0"], transB=1),
        helper.make_node(last, ["out0"], ["out"]),
    ]
    initial = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    initial.append(numpy_helper.from_array(np.array(6.0, np.float32), "six"))
    initial.append(numpy_helper.from_array(np.array([1, 6], np.int64), "flat"))
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 12])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 5]), helper.make_tensor_value_info("features", TensorProto.FLOAT, None)],
        initial,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))


def test_an_onnx_file_runs_differentiably(tmp_path: Path) -> None:
    small_network(tmp_path / "small.onnx")
    run = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, 3, 16, 12)).astype(np.float32)
    for layer in ("out", "features"):
        network = OnnxFeatures(tmp_path / "small.onnx", layer)
        assert network.size == (16, 12)
        picture = torch.from_numpy(x).requires_grad_()
        found = network(picture)
        assert np.abs(found.detach().numpy() - run.run([layer], {"x": x})[0]).max() < 1e-4
        found.sum().backward()
        assert float(picture.grad.abs().sum()) > 0.0
    assert OnnxFeatures(tmp_path / "small.onnx", "out")(torch.zeros(4, 3, 16, 12)).shape == (4, 5), "more pictures than declared"


def test_what_cannot_be_run_is_named(tmp_path: Path) -> None:
    small_network(tmp_path / "small.onnx", last="Softsign")
    with pytest.raises(ValueError, match="Softsign"):
        OnnxFeatures(tmp_path / "small.onnx", "out")
    OnnxFeatures(tmp_path / "small.onnx", "out0")
    with pytest.raises(ValueError, match="no tensor 'nowhere'"):
        OnnxFeatures(tmp_path / "small.onnx", "nowhere")


def test_the_face_embedding_of_the_data_equals_onnx_runtime() -> None:
    file = folders.default_data() / "dev" / "models" / "mobilefacenet-embedding.onnx"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    run = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, 3, 112, 112)).astype(np.float32)
    with torch.no_grad():
        found = OnnxFeatures(file, None)(torch.from_numpy(x)).numpy()
    assert np.abs(found - run.run(None, {run.get_inputs()[0].name: x})[0]).max() < 1e-4


def test_torchscript_layers_are_reached_through_chains(tmp_path: Path) -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
            self.head = nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.features(x).mean((2, 3)))

    network = Classifier().eval()
    torch.jit.script(network).save(str(tmp_path / "net.pt"))
    x = torch.rand(2, 3, 9, 9)
    assert torch.allclose(ScriptFeatures(tmp_path / "net.pt", "features.1")(x), network.features[:2](x))
    assert torch.allclose(ScriptFeatures(tmp_path / "net.pt", None)(x), network(x))
    with pytest.raises(ValueError, match="no chain"):
        ScriptFeatures(tmp_path / "net.pt", "head")


def test_the_face_feature_loss_is_the_sources() -> None:
    random = np.random.default_rng(4)
    first, second = (random.normal(size=(2, 5, 3, 2)).astype(np.float32) for _ in range(2))
    expected = []
    for a, b in zip(first, second):
        d, e = ([math.sqrt(sum(float(v) ** 2 for v in channel.ravel())) for channel in f] for f in (a, b))
        s = sum(x * y for x, y in zip(d, e)) / math.sqrt(sum(x * x for x in d) * sum(y * y for y in e))
        expected.append(1.0 - s**6)
    loss = losses.FaceFeatureLoss(nn.Identity())
    assert float(loss(torch.from_numpy(first), torch.from_numpy(second))) == pytest.approx(np.mean(expected), abs=1e-5)
    assert float(loss(torch.from_numpy(first), torch.from_numpy(first))) == pytest.approx(0.0, abs=1e-5)


def test_the_face_feature_loss_moves_the_picture_towards_the_true_one(tmp_path: Path) -> None:
    small_network(tmp_path / "small.onnx")
    loss = losses.FaceFeatureLoss(Extractor(tmp_path / "small.onnx", "features"))
    torch.manual_seed(0)
    true = torch.rand(2, 3, 40, 30)
    picture = torch.rand(2, 3, 40, 30, requires_grad=True)
    before = loss(picture, true)
    (slope,) = torch.autograd.grad(before, picture)
    after = loss(picture - 0.02 * slope / slope.norm(), true)
    assert after.item() < before.item()


def test_the_relativistic_losses_are_esrgans() -> None:
    random = np.random.default_rng(6)
    real, fake = (random.normal(size=7) for _ in range(2))
    d_real = 1 / (1 + np.exp(-(real - fake.mean())))
    d_fake = 1 / (1 + np.exp(-(fake - real.mean())))
    judge = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    maker = -np.log(1 - d_real).mean() - np.log(d_fake).mean()
    pair = torch.from_numpy(real), torch.from_numpy(fake)
    assert 2 * float(losses.relativistic_discriminator(*pair)) == pytest.approx(judge)
    assert 2 * float(losses.relativistic_generator(*pair)) == pytest.approx(maker)


@pytest.mark.parametrize("kind", sorted(DISCRIMINATORS))
def test_a_discriminator_learns_to_tell_noise_from_flat_pictures(kind: str) -> None:
    torch.manual_seed(1)
    parser = argparse.ArgumentParser()
    objective.add_arguments(parser)
    args = parser.parse_args(["--gan", kind, "--gan-width", "8", "--gan-rate", "1e-3"])
    args.loss = "l1"
    goal = objective.Objective(args, torch.device("cpu"))
    real, fake = torch.rand(4, 3, 32, 32), torch.full((4, 3, 32, 32), 0.5)
    assert goal.judge(real).shape == ((4, 1, 32, 32) if kind == "unet" else (4, 1))
    goal(fake, real)
    first = goal.parts["gan"]
    for _ in range(12):
        goal.update(fake, real)
    assert goal.parts["discriminator"] < 0.6
    goal(fake, real)
    assert goal.parts["gan"] > first
    other = objective.Objective(args, torch.device("cpu"))
    other.restore(goal.state())
    goal.judge.eval(), other.judge.eval()
    assert torch.allclose(other.judge(real), goal.judge(real))
