"""Preparing pictures: identities, orientation, folders of folders, sizes; patches over objects; teachers; loading."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from srfusion_training.__main__ import main
from srfusion_training.data import patches, pictures, resize, subjects, teachers
from srfusion_training.export import generator, int8
from srfusion_training.importers import own
from srfusion_training.nets import compact
from test_generator_commands import folder, texture  # noqa: F401 (a fixture)


def test_an_identity_stays_on_one_side() -> None:
    assert pictures.identity_of("london-130-neutral.jpg") == pictures.identity_of("london-130-smiling.jpg") == "london-130"
    assert pictures.identity_of("n000002/0001_01.jpg") == pictures.identity_of("n000002/0222_01.jpg") == "n000002"
    assert pictures.identity_of("00001.png") != pictures.identity_of("00002.png"), "FFHQ: one person a picture"
    assert pictures.identity_of("Aaron_Eckhart_0002.jpg", r"(.*)_[0-9]+") == "Aaron_Eckhart"
    with pytest.raises(ValueError, match="must have a group and match"):
        pictures.identity_of("plain.jpg", r"(.*)_[0-9]+")
    people = [f"n{person:06}/{shot:04}.jpg" for person in range(200) for shot in range(3)]
    sides = pictures.split(people)
    assert 5 < sum(sides.values()) / 3 < 25
    assert all(len({sides[name] for name in people if name.startswith(person)}) == 1 for person in {name[:7] for name in people})


def test_a_small_folder_holds_something_out() -> None:
    names = [f"picture-{index}.png" for index in range(40)]
    few = [name for name in names if not pictures.is_held_out(name)][:3]
    assert sorted(pictures.split(few).values()) == [False, False, True]
    assert sorted(pictures.split([name for name in names if pictures.is_held_out(name)][:2]).values()) == [False, True]
    with pytest.raises(ValueError, match="one identity"):
        pictures.split(["london-001-neutral.jpg", "london-001-smiling.jpg"])
    assert sum(pictures.split([f"00000/{index:05}.png" for index in range(3)]).values()) == 1, "one folder of many people"


def test_pictures_are_upright(tmp_path: Path) -> None:
    picture = texture(40, 60, 1)
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(picture)))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(pictures.read_rgb(tmp_path / "turned.png"), picture)


def test_boxes_of_one_name_in_two_folders_are_kept_apart(tmp_path: Path) -> None:
    """n000001/0001.png and n000002/0001.png: VGGFace2's layout."""
    boxes = {"n000001": [0.1, 0.1, 0.5, 0.5], "n000002": [0.5, 0.4, 0.9, 0.9]}
    for seed, person in enumerate(boxes):
        (tmp_path / "faces" / person).mkdir(parents=True)
        Image.fromarray(texture(300, 300, seed)).save(tmp_path / "faces" / person / "0001.png")
    find = lambda files: {path: boxes[path.parent.name] for path in files}  # noqa: E731
    assert pictures.prepare_objects("face", tmp_path, tmp_path / "cache", 1, folder=tmp_path / "faces", find=find, copies=1) == 2
    index = json.loads((tmp_path / "cache" / "face.json").read_text())
    assert {entry["source"] for entry in index} == {f"train/face/{person}/0001.png" for person in boxes}
    for entry in index:
        x0, y0, x1, y1 = boxes[entry["source"].split("/")[2]]
        assert entry["box"] == pytest.approx([value * 300 * entry["scale"] for value in (x0, y0, x1, y1)])


def test_two_folders_of_scenes_at_sizes_of_ones_own(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    shutil.copytree(folder / "train" / "general", folder / "train" / "general2")
    command = ["prepare", "--data", str(folder), "--cache", str(tmp_path), "--subject", "general", "--scales", "1", "0.5"]
    assert main([*command, "--general", str(folder / "train" / "general"), "--general", str(folder / "train" / "general2")]) == 0
    index = json.loads((tmp_path / "general.json").read_text())
    assert len(index) == 2 * 2 * 2 and len({entry["source"] for entry in index}) == 4
    assert {entry["height"] for entry in index if entry["scale"] == 1.0} == {480}
    mine = [*command[:-3], "--general", f"{folder}/train/general=0.5", "--general", f"{folder}/train/general2=1,0.5,0.25"]
    assert main(mine) == 0
    index = json.loads((tmp_path / "general.json").read_text())
    drawn = {name: sum(entry["weight"] / entry["scale"] for entry in index if entry["source"] == name) for name in {e["source"] for e in index}}
    assert all(value == pytest.approx(1.0, rel=0.1) for value in drawn.values()), "each source picture as often as any other"
    assert main([*mine[:-1], f"{folder}/train/general2=2"]) == 1
    command = ["prepare", "--data", str(folder), "--cache", str(tmp_path), "--subject", "face", "--heights", "80", "148", "--copies", "2"]
    assert main(command) == 0
    heights = [entry["box"][3] - entry["box"][1] for entry in json.loads((tmp_path / "face.json").read_text())]
    assert all(75.0 < height < 150.0 for height in heights)
    assert main([*command[:-5], "--heights", "148", "80"]) == 1


def test_the_sources_patches_of_120_are_drawn(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    assert main(["prepare", "--data", str(folder), "--cache", str(tmp_path)]) == 0
    for subject in ("general", "face"):
        low, high = subjects.patches(subject, tmp_path, 120, 3, 1).draw()
        assert low.shape[-1] * 4 == high.shape[-1] <= 120
        assert torch.allclose(resize.down4(high * 255.0).round().clamp(0, 255), low * 255.0, atol=1.01)
    with pytest.raises(ValueError, match="multiple of 4"):
        subjects.patches("general", tmp_path, 122, 3, 1)
    with pytest.raises(ValueError, match="no subject 'cats'; there are general, face, text and mixed"):
        subjects.patches("cats", tmp_path, 96, 3, 1)


def test_patches_from_anywhere_are_flatter(tmp_path: Path) -> None:
    """A picture that is flat but for a corner: the corner is what is drawn, unless places are drawn evenly."""
    random, picture = np.random.default_rng(2), np.full((1, 512, 768, 3), 90, np.uint8)
    picture[0, :160, :160] = random.integers(0, 255, (160, 160, 3))
    found = SimpleNamespace(pictures=[pictures.Picture("a", 0, 512, 768, 1.0, 1.0, False, None)], view=lambda _: picture[0])
    sharp = [patches.GeneralPatches(found, 64, 400, 1, even=even).draw()[1].std((1, 2, 3)).gt(0.05).float().mean() for even in (0.0, 0.5, 1.0)]
    assert sharp[0] - 0.05 > sharp[1] > sharp[2] + 0.05 and sharp[2] < 0.15, sharp
    with pytest.raises(ValueError, match="0 to 1, not 1.5"):
        patches.GeneralPatches(found, 64, 60, 1, even=1.5)


def test_a_patch_shows_the_object_whole_or_lies_inside_it() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        start = patches.start_over(100.0, 150.0, 80, 300, random)
        assert start <= 100 and start + 80 >= 149, "whole"
        start = patches.start_over(100.0, 250.0, 80, 300, random)
        assert start >= 99 and start + 80 <= 251, "inside"
        assert 0 <= patches.start_over(0.0, 30.0, 80, 90, random) <= 10, "as far as the picture allows"


def nearest(tmp_path: Path) -> Path:
    """A teacher that repeats samples, as a file."""
    network = compact.collapse(compact.Generator(compact.GeneratorShape(8, 1, 0)).eval())
    with torch.no_grad():
        network.tail.weight.zero_()
        network.tail.bias.zero_()
    onnx.save(generator.to_onnx(network, "nearest"), str(tmp_path / "nearest.onnx"))
    return tmp_path / "nearest.onnx"


def test_a_teacher_is_cached_by_patch_and_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    cache = tmp_path / "cache"
    assert main(["prepare", "--data", str(folder), "--cache", str(cache), "--subject", "general"]) == 0
    command = ["prepare-teacher", str(nearest(tmp_path)), "--cache", str(cache), "--side", "32"]
    assert main([*command, "--pieces", "3"]) == 0 and main([*command, "--pieces", "5"]) == 0
    assert "2 pieces made" in capsys.readouterr().out
    samples = cache / "general-teacher.bin"
    assert samples.stat().st_size == 5 * 32 * 32 * 3 * 17
    with open(samples, "ab") as file:
        file.write(b"half a piece")
    assert main([*command, "--pieces", "6"]) == 0 and samples.stat().st_size == 6 * 32 * 32 * 3 * 17
    low, high = teachers.TeacherPatches(cache, "general", 1).draw(8, 64)
    assert tuple(low.shape) == (8, 3, 16, 16) and tuple(high.shape) == (8, 3, 64, 64)
    assert torch.equal(high, low.repeat_interleave(4, 2).repeat_interleave(4, 3)), "both sides are of one place"
    with pytest.raises(ValueError, match="larger than a teacher's piece"):
        teachers.TeacherPatches(cache, "general", 1).draw(1, 128)
    mixed = subjects.patches("general", cache, 64, 4, 1, share=0.5)
    low, high = mixed.draw()
    repeated = [torch.equal(h, x.repeat_interleave(4, 1).repeat_interleave(4, 2)) for x, h in zip(low, high)]
    assert repeated == [False, False, True, True]
    assert main([*command[:-1], "48", "--pieces", "6"]) == 1
    assert "remove it to begin again" in capsys.readouterr().err
    # Of degraded pictures.
    assert main(["prepare-camera", "--cache", str(cache), "--subject", "general", "--passes", "1", "--codec", "jpeg"]) == 0
    assert main([*command, "--pieces", "2", "--degraded", "camera"]) == 0
    found = teachers.TeacherPatches(cache, "general", 1, recipe="camera")
    assert found.count == 2 and teachers.TeacherPatches(cache, "general", 1, recipe="video").count == 6, "clean ones where there are no others"
    low, high = found.draw(3, 64)
    assert torch.equal(high, low.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_a_luma_network_is_trained_with_a_teacher_stopped_and_finished(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    cache, checkpoints, models = tmp_path / "cache", tmp_path / "checkpoints", tmp_path / "models"
    models.mkdir()
    assert main(["prepare", "--data", str(folder), "--cache", str(cache)]) == 0
    assert main(["prepare-teacher", str(nearest(tmp_path)), "--cache", str(cache), "--pieces", "3", "--side", "40"]) == 0
    train = ["train-generator", "--subject", "general", "--cache", str(cache), "--checkpoints", str(checkpoints), "--side", "96", "--batch", "2"]
    luma = ["--colour", "y", "--channels", "8", "--convolutions", "1", "--every", "2", "--teacher-share", "0.5", "--precision", "bf16"]
    assert main([*train, *luma, "--schedule", "constant", "--steps", "2"]) == 0
    assert main([*train, *luma, "--schedule", "constant", "--steps", "4", "--workers", "1"]) == 0
    finish = ["--schedule", "linear", "--name", "done", "--from", str(checkpoints / "general.pt"), "--steps", "3", "--gan", "vgg", "--gan-width", "4"]
    assert main([*train, *finish, "--feature-matching", "0.1", "--steady", "2", "--steady-patches", "1"]) == 0
    saved = torch.load(checkpoints / "done.pt", weights_only=True)
    assert saved["shape"]["planes"] == 1 and not saved["shape"]["skip"] and saved["loss"] == "l1" and saved["seed"] == 1
    export = ["export-generator", "--subject", "general", "--checkpoint", str(checkpoints / "done.pt"), "--models", str(models)]
    assert main([*export, "--trained-on", "nothing real"]) == 0
    assert 'channels = "y"' in (models / "models.toml").read_text()
    eight = ["--schedule", "linear", "--name", "eight", "--from", str(checkpoints / "general.pt"), "--steps", "2", "--quantise-aware"]
    assert main([*train, *eight]) == 0
    assert main([*export[:4], str(checkpoints / "eight.pt"), *export[5:], "--name", "eight-x4", "--trained-on", "nothing real"]) == 0
    file = onnx.load(str(models / "eight-x4.onnx"))
    assert set(int8.trained_ranges(file)) == {"features", "body.0.relu", "tail"}
    assert main([*train, *eight, "--restart", "--precision", "bf16"]) == 1
    again = ["--name", "again", "--from", str(models / "eight-x4.onnx"), "--steps", "1", "--rate", "1e-9", "--muon-rate", "1e-9"]
    assert main([*train, *again]) == 0
    first, second = (torch.load(checkpoints / f"{name}.pt", weights_only=True) for name in ("eight", "again"))
    assert second["shape"] == first["shape"]
    assert all(torch.allclose(second["average"][key], value, atol=1e-4) for key, value in first["average"].items()), "a file is trained on"
    (models / "other.onnx").write_bytes(nearest(tmp_path).read_bytes())
    assert own.read(models / "other.onnx").shape == compact.GeneratorShape(8, 1, 0)
    assert main([*train, "--name", "wrong", *luma, "--loss", "luma-l1", "--steps", "1"]) == 1
