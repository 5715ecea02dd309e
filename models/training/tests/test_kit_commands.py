"""The commands that test_generator_commands leaves out, on the same made-up pictures: cameras, losses, RRDB, the table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from srfusion_training.__main__ import main
from srfusion_training.evaluate import fusion, page
from srfusion_training.evaluate import table as results
from test_generator_commands import folder  # noqa: F401 (a fixture)
from test_losses import small_network

TINY = ["--channels", "8", "--convolutions", "1", "--side", "96", "--batch", "2", "--every", "2"]


def test_cameras_losses_and_rrdb_train_and_the_table_is_made(folder: Path, tmp_path: Path, capsys) -> None:  # noqa: F811
    cache, checkpoints, extractor = (str(tmp_path / name) for name in ("cache", "checkpoints", "small.onnx"))
    small_network(Path(extractor))
    assert main(["prepare", "--data", str(folder), "--cache", cache]) == 0
    codec = "video" if shutil.which("ffmpeg") else "jpeg"
    assert main(["prepare-camera", "--cache", cache, "--passes", "1", "--codec", codec]) == 0
    train = ["train-generator", "--cache", cache, "--checkpoints", checkpoints, *TINY, "--steps", "2"]
    assert main([*train, "--subject", "general", "--name", "camera", "--degrade", "camera"]) == 0
    assert main([*train, "--subject", "face", "--name", "camera-face", "--degrade", "camera"]) == 0
    features = ["--perceptual", extractor, "--perceptual-layer", "features", "--gan", "unet", "--gan-width", "4"]
    assert main([*train, "--subject", "mixed", "--name", "gan", *features, "--precision", "bf16"]) == 0
    assert main([*train, "--subject", "mixed", "--name", "gan", *features, "--steps", "4"]) == 0, "it goes on from step 2"
    point = json.loads(Path(checkpoints, "gan.jsonl").read_text().splitlines()[-1])
    assert point["steps"] == 4 and {"pixel", "perceptual", "gan", "discriminator"} <= point.keys()
    assert Image.open(Path(checkpoints, "gan.png")).size == (720, 440)
    assert main([*train, "--subject", "general", "--name", "rrdb", "--architecture", "rrdb", "--blocks", "1", "--growth", "4"]) == 0
    export = ["export-generator", "--subject", "general", "--name", "small-rrdb", "--checkpoint", f"{checkpoints}/rrdb.pt", "--fp16"]
    (tmp_path / "models").mkdir()
    assert main([*export, "--models", str(tmp_path / "models"), "--trained-on", "nothing real"]) == 0
    assert (tmp_path / "models" / "small-rrdb-fp16.onnx").exists()

    for subject, name, more in (
        ("general", "general", []), ("face", "face", []), ("mixed", "mixed", []),
        ("face", "face-feature", ["--face-feature", extractor, "--layer", "features", "--weight", "10"]),
    ):  # fmt: skip
        assert main([*train, "--subject", subject, "--name", name, *more]) == 0
    lines = (folder / "faces.csv").read_text().splitlines()
    marks = [0.35, 0.4, 0.55, 0.4, 0.45, 0.5, 0.37, 0.6, 0.53, 0.6]
    lines = [lines[0] + "".join(f",l{axis}{index}" for index in range(5) for axis in "xy")] + [
        line + "".join(f",{mark}" for mark in marks) for line in lines[1:]
    ]
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    command = ["results", "--data", str(folder), "--rows", checkpoints, "--docs", str(tmp_path / "docs"), "--sets", "Set5"]
    small_embedding(tmp_path / "embedding.onnx")
    assert main([*command, "--embedding", str(tmp_path / "embedding.onnx")]) == 0, capsys.readouterr().err
    written = (tmp_path / "docs" / "results.md").read_text()
    assert all(f"| {row} |" in written for row in (*results.ROWS, results.FUSION))
    assert (tmp_path / "docs" / "results" / "mask.png").exists()
    # Two seeds.
    other = ["--checkpoints", str(tmp_path / "second"), "--seed", "2"]
    for subject, name, more in (("general", "general", []), ("face", "face", []), ("mixed", "mixed", []), ("face", "face-feature", ["--face-feature", extractor, "--layer", "features"])):
        assert main([*train, *other, "--subject", subject, "--name", name, *more]) == 0
    both = [*command[:3], "--rows", checkpoints, str(tmp_path / "second"), *command[5:]]
    assert main([*both, "--embedding", str(tmp_path / "embedding.onnx"), "--keep-mask"]) == 0, capsys.readouterr().err
    written = (tmp_path / "docs" / "results.md").read_text()
    kept = json.loads((tmp_path / "docs" / "results" / "results.json").read_text())
    tables = kept["by-seed"]
    assert kept["common"]["seeds"] == [1, 2] and "| 2 | " in written and " ± " in written
    assert kept["table"]["face"][0] == pytest.approx((tables[0]["face"][0] + tables[1]["face"][0]) / 2)
    assert kept["deviation"]["face"][0] == pytest.approx(abs(tables[0]["face"][0] - tables[1]["face"][0]) / 2**0.5)
    assert main([*command[:3], "--rows", checkpoints, checkpoints, "--embedding", str(tmp_path / "embedding.onnx")]) == 1
    assert "each is to be trained with one of its own" in capsys.readouterr().err
    # Rows of different recipes are not compared.
    shutil.copytree(tmp_path / "second", tmp_path / "third")
    changed = [*train, "--checkpoints", str(tmp_path / "third"), "--seed", "2", "--subject", "face", "--name", "face", "--rate", "1e-4", "--restart"]
    assert main(changed) == 0
    assert main([*command[:3], "--rows", str(tmp_path / "third"), "--embedding", str(tmp_path / "embedding.onnx")]) == 1
    assert "train all for one budget" in capsys.readouterr().err
    # Nor are rows of different budgets.
    assert main([*train, "--subject", "general", "--name", "general", "--steps", "3"]) == 0
    assert main([*command, "--embedding", str(tmp_path / "embedding.onnx")]) == 1
    assert "train all for one budget" in capsys.readouterr().err


def small_embedding(file: Path) -> None:
    """f32[1, 3, 112, 112] -> f32[1, 48], averages of a seventh of the sides."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("AveragePool", ["x"], ["a"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["a"], ["out"]),
    ]
    ends = [("x", [1, 3, 112, 112]), ("out", [1, 48])]
    x, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(nodes, "embedding", [x], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))


def test_the_fusion_row_is_placed_among_the_others() -> None:
    values = {"general": 30.0, "face": 29.0, "general+face mixed": 29.5, "face with face-feature loss": 28.0, "fusion": 29.99996}
    table = {row: [value] * 5 for row, value in values.items()}
    assert page.ranks(table) == {"general PSNR": 1, "general SSIM": 1, "face PSNR": 1, "face SSIM": 1, "similarity": 1}
    table["fusion"] = [29.2] * 5
    assert set(page.ranks(table).values()) == {3}


def test_the_mask_is_the_engines() -> None:
    """Values of `src/mask.rs`: half at the padded edge, 1 inside, 0 outside the support, the maximum of two faces."""
    weight = fusion.mask([[10.0, 10.0, 30.0, 30.0], [50.0, 12.0, 60.0, 22.0]], 40, 80, 0.1, 0.05)
    assert weight.shape == (160, 320)
    edge = 0.5 * (weight[80, 4 * 8 - 1] + weight[80, 4 * 8])
    assert edge == pytest.approx(0.5, abs=1e-6)
    assert weight[80, 80] == pytest.approx(1.0) and weight[68, 220] == pytest.approx(1.0)
    # Three standard deviations of 0.05 x 20 beyond the padded edge at 8.
    assert weight[80, : 4 * 5].max() == 0.0 and weight[80, 4 * 5 + 1] > 0.0


def test_any_folder_of_portraits_is_prepared_by_the_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from srfusion_training.data import folders
    from srfusion_training.data import pictures as data

    source = folders.default_data() / "train" / "face"
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    nested = tmp_path / "faces" / "00000"
    nested.mkdir(parents=True)
    for path in data.picture_files(source)[:3]:
        shutil.copy(path, nested)
    assert main(["prepare", "--subject", "face", "--face", str(tmp_path / "faces"), "--cache", str(tmp_path / "cache")]) == 0
    boxes = data.read_faces(folders.default_data())
    for entry in json.loads((tmp_path / "cache" / "face.json").read_text()):
        if entry["scale"] >= 0.7:
            continue  # only copies that are not turned are compared
        marked = boxes[entry["source"].replace("00000/", "")]
        seen = entry["box"][3] - entry["box"][1]
        assert seen == pytest.approx((marked[3] - marked[1]) * 512 * entry["scale"], rel=0.25)


def test_the_sources_recipe_runs_as_written(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    """The options of the README, with a network and steps of a size for a test."""
    from test_losses import Classifier

    torch.jit.script(Classifier().eval()).save(str(tmp_path / "vgg.pt"))
    small_network(tmp_path / "senet.onnx")
    cache, checkpoints = (str(tmp_path / name) for name in ("cache", "checkpoints"))
    scenes = f"{folder}/train/general=1"
    assert main(["prepare", "--data", str(folder), "--cache", cache, "--general", scenes, "--heights", "80", "148", "--copies", "4"]) == 0
    common = ["train-generator", "--cache", cache, "--checkpoints", checkpoints, "--side", "120", "--optimizer", "adam", "--schedule", "halving"]
    common += ["--loss", "l1", "--precision", "bf16", "--every", "2", "--batch", "2", "--steps", "2"]
    small = ["--architecture", "rrdb", "--channels", "8", "--blocks", "1", "--growth", "4"]
    assert main([*common, "--subject", "general", "--name", "psnr", *small, "--rate", "2e-4"]) == 0
    weights = ["--pixel-weight", "0.01", "--perceptual", str(tmp_path / "vgg.pt"), "--perceptual-layer", "blocks.1.conv", "--perceptual-weight", "1"]
    weights += ["--gan", "vgg", "--gan-weight", "0.005", "--gan-width", "4", "--rate", "1e-4", "--from", f"{checkpoints}/psnr.pt"]
    faces = ["--face-feature", str(tmp_path / "senet.onnx"), "--layer", "features", "--weight", "10", "--face-feature-mean", "0.4", "0.4", "0.5"]
    assert main([*common, "--subject", "general", "--name", "esrgan", *weights]) == 0
    assert main([*common, "--subject", "face", "--name", "esrgan-face", *weights, *faces]) == 0
    point = json.loads(Path(checkpoints, "esrgan-face.jsonl").read_text().splitlines()[-1])
    assert {"pixel", "perceptual", "face-feature", "gan", "discriminator"} <= point.keys()
