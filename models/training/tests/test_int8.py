"""Eight-bit copies: samples in and out, close to the float network, refused where they cost too much; luma networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from srfusion_training import catalogue
from srfusion_training.__main__ import main
from srfusion_training.commands import quantise_generator
from srfusion_training.data import colour, folders, resize
from srfusion_training.data.subjects import SUBJECTS
from srfusion_training.evaluate.generators import upscaler
from srfusion_training.export import generator, int8, radius
from srfusion_training.export.interpolate import interpolated
from srfusion_training.export.quick import quick
from srfusion_training.export.session import session
from srfusion_training.nets import compact
from srfusion_training.nets.quantised import Quantised
from test_generator_commands import folder, texture  # noqa: F401 (a fixture)


def small(planes: int, skip: bool = False) -> compact.PlainGenerator:
    """A network with weights as large as a trained one's."""
    torch.manual_seed(2)
    network = compact.Generator(compact.GeneratorShape(16, 2, 0, planes, skip)).eval()
    with torch.no_grad():
        network.tail.whole.mul_(0.5)
    return compact.collapse(network)


def patches(planes: int) -> list[np.ndarray]:
    pictures = [texture(40, 48, seed)[..., :planes] for seed in range(4)]
    return [np.ascontiguousarray(p.transpose(2, 0, 1)[None]).astype(np.float32) / 255.0 for p in pictures]


@pytest.mark.parametrize("planes, skip", [(1, False), (3, True)])
def test_samples_go_in_and_come_out(planes: int, skip: bool) -> None:
    model = generator.to_onnx(small(planes, skip), "small")
    assert generator.parity(model, small(planes, skip)) < 1e-4
    assert radius.receptive_radius(model) == 4
    copy = int8.quantised(model, patches(planes))
    run = session(copy)
    assert [value.type for value in (*run.get_inputs(), *run.get_outputs())] == ["tensor(uint8)"] * 2
    low = texture(30, 50, 9)[..., :planes].transpose(2, 0, 1)[None]
    exact = session(model).run(None, {"input": np.ascontiguousarray(low).astype(np.float32) / 255.0})[0] * 255.0
    found = run.run(None, {"input": np.ascontiguousarray(low)})[0].astype(np.float64)
    assert found.shape == (1, planes, 120, 200)
    error = np.abs(found - np.clip(exact, 0, 255))
    assert 0.0 < error.mean() < 2.0
    assert {node.op_type for node in copy.graph.node if "input" in node.input} <= {"DequantizeLinear", "Gather", "Shape"}, "converted nowhere"


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("samples", [True, False])
def test_the_quick_graph_gives_the_same_samples(planes: int, samples: bool) -> None:
    """Against the graph as ONNX Runtime's quantisation leaves it, at odd sizes and several pictures at once; done twice, it changes nothing more."""
    plain = int8.quantised(generator.to_onnx(small(planes, planes == 3), "small"), patches(planes), samples=False)
    if samples:
        plain = int8.with_samples(plain)
    rewritten = quick(plain)
    kinds = [node.op_type for node in rewritten.graph.node]
    assert ("DepthToSpace" in kinds) == (planes == 3)
    first = next(item for item in rewritten.graph.initializer if item.name == "head.weight_quantized")
    assert list(first.dims) == [16, 4, 3, 3]
    assert quick(rewritten) == rewritten
    before, after = session(plain), session(rewritten)
    for count, height, width in ((1, 30, 50), (3, 7, 5), (1, 1, 1)):
        low = np.random.default_rng(height).integers(0, 256, (count, planes, height, width)).astype(np.uint8)
        given = low if samples else low.astype(np.float32) / 255.0
        wanted, found = (run.run(None, {"input": given})[0] for run in (before, after))
        assert found.shape == (count, planes, 4 * height, 4 * width) and found.dtype == wanted.dtype
        assert np.array_equal(wanted, found)


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2]).glob("*.int8.onnx")), ids=lambda file: file.name)
def test_the_files_that_ship_are_quick(file: Path) -> None:
    model = onnx.load(str(file))
    assert quick(model) == model
    made = int8.quantised(generator.to_onnx(small(1), "small"), patches(1))
    widened = lambda graph: [node.name for node in graph.node if node.name.endswith(".wide")]
    assert widened(model.graph) == widened(made.graph), "else the engine could not mix this file with one that is made today"


def test_training_with_the_rounding_computes_what_the_copy_does() -> None:
    """PyTorch's rounding against ONNX Runtime's integers, with the trained ranges carried by the file."""
    torch.manual_seed(4)
    network = compact.Generator(compact.GeneratorShape(16, 2, 0, 1, False))
    with torch.no_grad():
        network.tail.whole.mul_(0.5)
    rounded = Quantised(network).train()
    x = torch.from_numpy(np.concatenate(patches(1)))
    rounded(x).square().mean().backward()
    assert all(float(block.whole.grad.abs().sum()) > 0.0 for block in (network.head, *network.body, network.tail))
    rounded.eval()
    with torch.no_grad():
        wanted = (rounded(x) * 255.0).round().clamp(0, 255).numpy()
        exact = (network(x) * 255.0).round().clamp(0, 255).numpy()
    ranges = {name: [low, high * 1.0] for name, (low, high) in rounded.known().items()}
    model = int8.with_ranges(generator.to_onnx(compact.collapse(network.eval()), "small"), ranges)
    noise = [np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32) * 0.01]
    run = session(int8.quantised(model, noise))
    found = run.run(None, {"input": (x.numpy() * 255.0).round().astype(np.uint8)})[0].astype(np.float64)
    assert np.abs(found - wanted).mean() < 0.3 * np.abs(exact - wanted).mean() and np.abs(found - wanted).max() <= 2
    with pytest.raises(ValueError, match="without a skip"):
        Quantised(compact.Generator(compact.GeneratorShape(8, 1, 0)))


def test_a_file_whose_ends_are_no_samples_is_refused() -> None:
    model = generator.to_onnx(small(1), "small")
    with pytest.raises(ValueError, match="input goes to"):
        int8.with_samples(model)
    copy = int8.quantised(model, patches(1), samples=False)
    next(item for item in copy.graph.initializer if item.name == "input_scale").CopyFrom(
        onnx.numpy_helper.from_array(np.array(0.01, np.float32), "input_scale")
    )
    with pytest.raises(ValueError, match="1/255"):
        int8.with_samples(copy)


def test_luma_of_a_picture_is_changed_alone() -> None:
    picture = texture(20, 24, 1)
    wanted = colour.luma(picture) + np.linspace(-8, 8, 24)
    assert np.abs(colour.luma(colour.with_luma(picture, wanted)) - wanted).max() < 0.01
    planes = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255.0)
    assert np.abs(colour.luma_planes(planes)[0, 0].numpy() * 255.0 - colour.luma(picture)).max() < 1e-3


def test_a_luma_network_enlarges_rgb_pictures_as_bicubic_where_it_adds_nothing() -> None:
    """With the network's output replaced by bicubic luma the whole is bicubic RGB: chroma goes that way too."""
    low = texture(24, 20, 3)
    larger = resize.resize(low, 4.0)
    again = colour.with_luma(larger, 16.0 + larger @ np.array(colour.WEIGHTS))
    assert np.abs(again - larger).max() < 1e-3
    made = upscaler(generator.to_onnx(small(1), "small"), 1)(low)
    assert made.shape == (96, 80, 3)
    difference = made - larger
    assert np.abs(difference - difference[..., :1]).max() < 1e-6, "the colours differ from bicubic's by one value a place"


def test_the_command_records_a_copy_and_refuses_one_that_costs_too_much(folder: Path, tmp_path: Path, capsys, monkeypatch) -> None:  # noqa: F811
    models = tmp_path / "models"
    models.mkdir()
    generator.write(generator.to_onnx(small(1), "small"), "small", "general", 4, 1, "MIT", "nothing", models)
    before = (models / "models.toml").read_text()
    command = ["quantise-generator", str(models / "small.onnx"), "--data", str(folder), "--pictures", "2", "--judge", "1"]
    assert main(command) == 0
    text = (models / "models.toml").read_text()
    assert 'channels = "y"' in text
    digest = catalogue.sha256_of(models / "small.int8.onnx")
    assert text == before + f'int8-file = "small.int8.onnx"\nint8-sha256 = "{digest}"\n'
    assert main(command) == 0 and (models / "models.toml").read_text() == text, "a second time changes nothing"

    wrong = text.replace("range = [0.0, 1.0]", "range = [0.0, 255.0]")
    assert wrong != text
    (models / "models.toml").write_text(wrong)
    assert main(command) == 1 and "only networks of 0..1" in capsys.readouterr().err
    (models / "models.toml").write_text(text)

    (models / "small.int8.onnx").unlink()
    monkeypatch.setattr("srfusion_training.commands.quantise_generator.BUDGET", -50.0)
    assert main(command) == 1
    assert "may cost -50.0 dB" in capsys.readouterr().err
    assert not (models / "small.int8.onnx").exists()

    monkeypatch.setattr("srfusion_training.commands.quantise_generator.BUDGET", 0.1)
    for harm, (damage, _) in quantise_generator.HARMS.items():
        with monkeypatch.context() as strict:
            strict.setitem(quantise_generator.HARMS, harm, (damage, -50.0))
            assert main(command) == 1
        assert f"after {harm}" in (said := capsys.readouterr().err) and "there eight bits may cost -50.0 dB" in said
        assert not (models / "small.int8.onnx").exists()


def test_a_copy_trained_on_is_judged_against_the_file_that_it_runs_in_place_of(folder: Path, tmp_path: Path, capsys) -> None:  # noqa: F811
    """What was trained on for eight bits is another network: its copy must draw as the shipped float file does."""
    models = tmp_path / "models"
    models.mkdir()
    generator.write(generator.to_onnx(small(1), "small"), "small", "general", 4, 1, "MIT", "nothing", models)
    other = small(1)
    onnx.save(generator.to_onnx(other, "other"), str(tmp_path / "same.onnx"))
    with torch.no_grad():
        for weights in other.parameters():
            weights.mul_(1.3)
    onnx.save(generator.to_onnx(other, "other"), str(tmp_path / "drifted.onnx"))
    given = ["--in-place-of", str(models / "small.onnx"), "--data", str(folder), "--pictures", "2", "--judge", "1"]
    assert main(["quantise-generator", str(tmp_path / "drifted.onnx"), *given]) == 1
    assert "eight bits may cost 0.1 dB" in capsys.readouterr().err and not (models / "small.int8.onnx").exists()
    assert main(["quantise-generator", str(tmp_path / "same.onnx"), *given]) == 0
    assert (models / "small.int8.onnx").exists() and "small.int8.onnx" in (models / "models.toml").read_text()


@pytest.mark.skipif(not (folders.default_data() / "train").is_dir(), reason="no train in the data folder (SRFUSION_DATA)")
@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2]).glob("*.int8.onnx")), ids=lambda file: file.name)
def test_the_files_that_ship_draw_what_is_harmed_as_their_float_files_do(file: Path) -> None:
    """A face network trained on clean pictures for eight bits lost 0.6 dB on noisy ones and nothing on clean ones; a general one, 0.2 dB on coded ones."""
    entry = catalogue.entry_of(file.name.replace(".int8", ""), file.parent)
    assert entry is not None
    held_out = list(SUBJECTS[entry["subject"]].pairs(folders.default_data(), folders.default_cache(), 6, True, 1))
    for harm, (damage, budget) in quantise_generator.HARMS.items():
        pairs = [(damage(low), high) for low, high in held_out]
        before, after = quantise_generator.costs(onnx.load(str(file.parent / entry["file"])), onnx.load(str(file)), pairs, 1)
        print(f"{harm}: {before:.3f} and {after:.3f} dB")
        assert before - after <= 1.5 * budget, f"{harm}: half as much again, since pictures are few"


def test_times_are_told_as_ratios(tmp_path: Path, capsys) -> None:
    file = tmp_path / "small.onnx"
    onnx.save(generator.to_onnx(small(3, True), "small"), str(file))
    command = ["time-generators", str(file), "y8x1-int8", "rgb8x1", "--size", "24", "16", "--rounds", "2", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [str(file), "y8x1-int8", "rgb8x1"]
    assert result[str(file)]["median-ratio"] == 1.0 and result["rgb8x1"]["least-ms"] > 0.0
    assert main(["time-generators", "nowhere.onnx"]) == 1
    assert "neither a file nor an architecture" in capsys.readouterr().err


def test_weights_between_two_networks(tmp_path: Path, capsys) -> None:
    first, second = small(1), small(1)
    with torch.no_grad():
        for value in second.parameters():
            value.add_(0.01 * torch.randn_like(value))
    files = [tmp_path / "first.onnx", tmp_path / "second.onnx", tmp_path / "between.onnx"]
    for file, network in zip(files, (first, second)):
        onnx.save(generator.to_onnx(network, "one"), str(file))
    between = compact.PlainGenerator(first.shape).eval()
    for amount in (0.3, 1.25):
        with torch.no_grad():
            for to, a, b in zip(between.parameters(), first.parameters(), second.parameters()):
                to.copy_((1.0 - amount) * a + amount * b)
        assert main(["interpolate-generators", str(files[0]), str(files[1]), str(amount), str(files[2])]) == 0
        assert generator.parity(onnx.load(str(files[2])), between) < 1e-5 < generator.parity(onnx.load(str(files[2])), first)
    assert main(["interpolate-generators", str(files[0]), str(files[1]), "2.1", str(files[2])]) == 1
    onnx.save(generator.to_onnx(small(3, True), "other"), str(files[1]))
    assert main(["interpolate-generators", str(files[0]), str(files[1]), "0.5", str(files[2])]) == 1
    assert "not of one architecture" in capsys.readouterr().err
    with pytest.raises(ValueError, match="eight-bit files"):
        interpolated(int8.quantised(generator.to_onnx(first, "one"), patches(1)), generator.to_onnx(first, "one"), 0.5)
