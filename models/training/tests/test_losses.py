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
from srfusion_training.data import folders, resize
from srfusion_training.data.sightings import sightings
from srfusion_training.losses import functions as losses
from srfusion_training.losses import objective
from srfusion_training.losses.features import Extractor, OnnxFeatures, ScriptFeatures
from srfusion_training.nets.discriminators import DISCRIMINATORS
from torch import nn


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


class Block(nn.Module):
    """A residual block with a module that is called twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()
        self.rest = nn.Sequential(nn.Conv2d(outputs, outputs, 1), nn.Conv2d(outputs, outputs, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.conv(x))
        return self.relu(self.rest(y) + y)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.Sequential(Block(4, 4), Block(4, 2))
        self.head = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x) * 2.0).mean((2, 3)))


@pytest.mark.parametrize("compiled", ["scripted", "traced"])
@pytest.mark.parametrize("layer", ["stem", "blocks", "blocks.0", "blocks.1.conv", "blocks.1.relu", "blocks.1.rest.0", "head", None])
def test_any_layer_of_torchscript_is_reached_and_differentiable(tmp_path: Path, compiled: str, layer: str | None) -> None:
    torch.manual_seed(0)
    network = Classifier().eval()
    x = torch.rand(2, 3, 9, 9, requires_grad=True)
    (torch.jit.script(network) if compiled == "scripted" else torch.jit.trace(network, x)).save(str(tmp_path / "net.pt"))
    seen = []
    network.get_submodule(layer or "").register_forward_hook(lambda module, given, result: seen.append(result))
    network(x)
    found = ScriptFeatures(tmp_path / "net.pt", layer)(x)
    assert torch.allclose(found, seen[-1], atol=1e-6)
    found.sum().backward()
    assert float(x.grad.abs().sum()) > 0.0


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    torch.jit.script(Classifier().eval()).save(str(tmp_path / "net.pt"))
    with pytest.raises(ValueError, match="no submodule 'tail'.*stem, blocks, head"):
        ScriptFeatures(tmp_path / "net.pt", "tail")


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("pads, side", [([0, 0, 0, 0], 8), ([1, 1, 1, 1], 9), ([0, 0, 0, 0], 9)])
def test_pooling_rounds_up_as_onnx_runtime_does(tmp_path: Path, kind: str, pads: list[int], side: int) -> None:
    """SENet's own pooling: 3x3, stride 2, ceil_mode."""
    node = helper.make_node(kind, ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=pads, ceil_mode=1)
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y",)]
    graph = helper.make_graph([node], "pool", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, side, side])], sides)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "pool.onnx"))
    x = np.random.default_rng(0).normal(size=(1, 2, side, side)).astype(np.float32)
    run = onnxruntime.InferenceSession(str(tmp_path / "pool.onnx"), providers=["CPUExecutionProvider"])
    wanted = run.run(None, {"x": x})[0]
    found = OnnxFeatures(tmp_path / "pool.onnx", None)(torch.from_numpy(x)).numpy()
    assert found.shape == wanted.shape and np.abs(found - wanted).max() < 1e-6


def test_opposite_descriptors_are_wrong() -> None:
    loss = losses.FaceFeatureLoss(nn.Identity())
    vector = torch.rand(1, 5)
    assert float(loss(-vector, vector)) == pytest.approx(1.0)


def test_features_of_a_discriminator_are_matched() -> None:
    torch.manual_seed(0)
    for kind in DISCRIMINATORS.values():
        judge = kind(4, 1).eval()
        true = torch.rand(2, 1, 32, 32)
        near, far = true + 0.01 * torch.rand(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
        value, seen = judge.judged(true)
        assert torch.equal(value, judge(true)) and len(seen) > 3
        assert float(losses.feature_matching(seen, seen)) == 0.0
        assert float(losses.feature_matching(judge.judged(near)[1], seen)) < float(losses.feature_matching(judge.judged(far)[1], seen))


def test_sightings_are_of_one_thing_a_little_further() -> None:
    """A broad blob enlarged by interpolation is the same in both where it is compared at the shift that is given, and not at another."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    blob = (0.2 + 0.6 * torch.exp(-((rows - 45) ** 2 + (columns - 66) ** 2) / 400))[None, None]
    shifts = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        first, second, shift = sightings(blob, generator)
        assert first.shape == second.shape == (1, 1, 23, 31) and 0.0 <= float(first.min()) <= float(first.max()) <= 1.0
        assert torch.equal(first * 255, (first * 255).round())
        shifts.add(shift)
        enlarged = [torch.from_numpy(resize.resize(part[0, 0].numpy(), 4.0))[None, None] for part in (first, second)]
        right = float(losses.unsteadiness(*enlarged, shift))
        # What is left is noise of two levels at most.
        assert right < (2.5 / 255) ** 2
        for wrong in ((shift[0] + 4, shift[1]), (shift[0], shift[1] + 4)):
            assert float(losses.unsteadiness(*enlarged, wrong)) > 4 * right
    assert len(shifts) > 8 and all(0 <= part < 4 for shift in shifts for part in shift)


def test_unsteadiness_is_the_squared_difference_at_the_shift() -> None:
    torch.manual_seed(3)
    first = torch.rand(2, 1, 48, 56)
    second = torch.rand(2, 1, 48, 56)
    second[..., :46, :53] = first[..., 2:, 3:] + 0.1
    assert float(losses.unsteadiness(first, second, (2, 3))) == pytest.approx(0.01, rel=1e-4)
    assert float(losses.unsteadiness(first, first, (0, 0))) == 0.0


def test_a_grid_is_told_from_other_errors() -> None:
    torch.manual_seed(4)
    true = torch.rand(2, 1, 64, 96)
    assert float(losses.grid(true + 0.3, true)) == pytest.approx(0.0, abs=1e-6)
    place = torch.zeros(4, 4)
    place[1, 2] = 0.16
    # The mean of the error is 0.01: it is 0.15 too much in one place and 0.01 too little in fifteen.
    for height, width in ((64, 96), (60, 84)):
        error = (place.repeat(16, 24))[:height, :width]
        assert float(losses.grid(true[..., :height, :width] + error, true[..., :height, :width])) == pytest.approx(0.3 / 16, abs=1e-6)
    other = torch.zeros(3, 3)
    other[1, 1] = 0.16
    assert float(losses.grid(true + other.repeat(22, 32)[:64], true)) < 0.3 / 16 / 2


def test_the_discriminator_sees_other_places_of_the_squares_each_time() -> None:
    goal = objective.Objective(parsed("--gan", "patch", "--gan-width", "4"), torch.device("cpu"), 1)
    picture = torch.arange(64.0 * 64).reshape(1, 1, 64, 64)
    first = set()
    for _ in range(40):
        goal(picture, picture)
        seen = goal._seen(picture)
        assert seen.shape == (1, 1, 56, 56)
        first.add(float(seen[0, 0, 0, 0]) // 64 % 4 * 4 + float(seen[0, 0, 0, 0]) % 64 % 4)
    assert len(first) > 12


def test_a_patch_discriminator_judges_each_square_by_what_is_near() -> None:
    torch.manual_seed(2)
    judge = DISCRIMINATORS["patch"](4, 1).eval()
    picture = torch.rand(1, 1, 64, 64, requires_grad=True)
    judge(picture)[0, 0, 8, 8].backward()
    rows = picture.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (32 - 22, 35 + 22)


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    objective.add_arguments(parser)
    args = parser.parse_args(options)
    args.loss = "l1"
    return args


def test_each_feature_network_has_its_own_input(tmp_path: Path) -> None:
    small_network(tmp_path / "small.onnx")
    file = str(tmp_path / "small.onnx")
    args = parsed("--perceptual", file, "--face-feature", file, "--layer", "features", "--face-feature-mean", "0.5", "0.5", "0.5", "--perceptual-size", "20", "20")
    goal = objective.Objective(args, torch.device("cpu"))
    assert goal.perceptual.extractor.size == (20, 20) and goal.face.extractor.size == (16, 12)
    assert goal.face.extractor.mean.flatten().tolist() == [0.5] * 3
    assert goal.perceptual.extractor.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_the_gan_waits_and_follows_the_schedule() -> None:
    goal = objective.Objective(parsed("--gan", "vgg", "--gan-width", "4", "--gan-start", "10", "--pixel-weight", "0.01"), torch.device("cpu"), 1)
    fake, real = torch.zeros(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    goal.at(9, 1.0)
    assert float(goal(fake, real)) == pytest.approx(float((fake - real).abs().mean())) and set(goal.parts) == {"pixel"}
    goal.at(10, 0.25)
    goal(fake, real)
    assert set(goal.parts) == {"pixel", "gan"} and goal.optimizer.param_groups[0]["lr"] == pytest.approx(0.25e-4)


def test_matching_features_needs_a_discriminator() -> None:
    with pytest.raises(ValueError, match="needs --gan"):
        objective.Objective(parsed("--feature-matching", "1"), torch.device("cpu"))


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
    assert goal.judge(real).shape == {"patch": (4, 1, 8, 8), "unet": (4, 1, 32, 32), "vgg": (4, 1)}[kind]
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
