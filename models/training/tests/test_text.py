"""Rendered text: boxes lie on the ink, held-out fonts stay out, the pair is the kit's bicubic, what is read is counted rightly.

The tests draw with DejaVu (fonts-dejavu-core, which scripts/setup installs) in the place of all families: Sans is trained on, Serif
is held out."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image, ImageDraw
from srfusion_training.__main__ import main
from srfusion_training.catalogue import models_folder
from srfusion_training.data import fonts, resize, rough, subjects, text, words
from srfusion_training.data.pictures import Pictures
from srfusion_training.evaluate import text as judged
from srfusion_training.export.session import session
from test_generator_commands import folder, texture  # noqa: F401 (a fixture)

FEW = (
    fonts.Family(("DejaVu Sans",), "fonts-dejavu-core", "Bitstream Vera"),
    fonts.Family(("DejaVu Serif",), "fonts-dejavu-core", "Bitstream Vera", held_out=True),
)


@pytest.fixture
def few_fonts(monkeypatch: pytest.MonkeyPatch):
    """DejaVu in the place of all families."""
    monkeypatch.setattr(fonts, "FAMILIES", FEW)
    fonts._found.cache_clear()
    yield
    fonts._found.cache_clear()


@pytest.fixture
def cache(folder: Path, tmp_path: Path, few_fonts: None) -> Path:  # noqa: F811
    """What 'prepare' makes of two photographs, one of them held out."""
    assert main(["prepare", "--data", str(folder), "--cache", str(tmp_path / "cache"), "--subject", "general", "--scales", "1", "0.6"]) == 0
    return tmp_path / "cache"


def artist(cache: Path, seed: int, held_out: bool = False) -> text.Artist:
    return text.Artist(Pictures(cache, "general", held_out), fonts.faces(held_out), seed)


def test_no_family_is_on_both_sides_and_each_has_a_licence() -> None:
    names = list(itertools.chain.from_iterable(family.names for family in fonts.FAMILIES))
    assert len(names) == len(set(names)), "a family in two designs could be held out and trained on"
    assert all(family.licence and family.package for family in fonts.FAMILIES)
    assert not any("GPL" in family.licence for family in fonts.FAMILIES)
    held = {name for family in fonts.FAMILIES if family.held_out for name in family.names}
    assert {"Lato", "Carlito"} <= held, "Carlito is Lato with other widths"
    assert 5 <= sum(family.held_out for family in fonts.FAMILIES) <= len(fonts.FAMILIES) / 2


def test_held_out_fonts_and_photographs_are_never_drawn_with_in_training(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    seen: list[str] = []
    real, view = fonts._font, Pictures.view
    monkeypatch.setattr(fonts, "_font", lambda file, index, size: opened.append(file) or real(file, index, size))
    monkeypatch.setattr(Pictures, "view", lambda self, picture: seen.append(picture.source) or view(self, picture))
    sides = {}
    for held_out in (False, True):
        opened.clear()
        seen.clear()
        source = subjects.SUBJECTS["text"].patches(cache, 96, 4, 3, held_out)
        for _ in range(8):
            source.draw()
        sides[held_out] = {Path(file).name for file in opened}, set(seen)
    assert sides[False][0] and sides[True][0] and sides[False][1] and sides[True][1]
    assert all(name.startswith("DejaVuSans") for name in sides[False][0])
    assert all(name.startswith("DejaVuSerif") for name in sides[True][0])
    assert not sides[False][1] & sides[True][1], "a photograph is on both sides"


def ink_box(picture: np.ndarray) -> tuple[float, ...]:
    """Box of the pixels of a white-on-black picture that are more than a quarter white."""
    rows, columns = np.nonzero(picture > 64)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("degrees,shear,tilt", [(0, 0, (0, 0)), (9, 0.1, (0.15, -0.08)), (-12, -0.2, (-0.2, 0.1))])
def test_boxes_lie_on_the_drawn_ink(few_fonts: None, degrees: float, shear: float, tilt: tuple[float, float]) -> None:
    face = fonts.faces(False)[0][0]
    for says in ("Hxg", "Exit 24", "jqy.", "MMMM"):
        block = text.set_lines([says], face.at(text.SUPER * 24), 24, 2.0, 0.0)
        letters, lines = text.place(block, text.homography(block.width, block.height, (130.0, 70.0), degrees, shear, tilt), (260, 140))
        cover = text.coverage(letters)[..., 0]
        assert np.abs(np.array(lines[0].box) - ink_box(cover * 255)).max() <= 1.0, says
        assert lines[0].whole
        # By other means: Pillow draws the same word straight onto a picture of the final size.
        if degrees == 0:
            plain = Image.new("L", (260, 140))
            ImageDraw.Draw(plain).text((130, 70), says, fill=255, font=face.at(24), anchor="mm")
            mine, theirs = np.array(lines[0].box), np.array(ink_box(np.asarray(plain)), float)
            assert np.abs((mine[2:] - mine[:2]) - (theirs[2:] - theirs[:2])).max() <= 2.0, says


def test_a_capital_is_as_high_as_asked(few_fonts: None) -> None:
    for face in fonts.faces(False)[0]:
        for capital in (8.0, 32.0, 90.0):
            block = text.set_lines(["H"], face.at(text.SUPER * capital), capital, 2.0, 0.0)
            (line,) = text.place(block, text.homography(block.width, block.height, (100.0, 100.0), 0, 0, (0, 0)), (200, 200))[1]
            assert abs(line.box[3] - line.box[1] - capital) <= 1.0 + 0.02 * capital
            assert line.height == pytest.approx(capital)


def test_a_line_in_words_stands_where_the_line_stands(few_fonts: None) -> None:
    face = fonts.faces(False)[0][0]
    says = ["Main Street 12", "open daily"]
    drawn = {}
    for split in (False, True):
        block = text.set_lines(says, face.at(text.SUPER * 20), 20, 2.0, 0.5, 0, split)
        letters, lines = text.place(block, text.homography(block.width, block.height, (160.0, 50.0), 0, 0, (0, 0)), (320, 100))
        drawn[split] = text.coverage(letters), lines
    assert [line.text for line in drawn[True][1]] == "Main Street 12 open daily".split()
    assert np.abs(drawn[False][0] - drawn[True][0]).mean() < 0.02 * drawn[False][0].mean() + 0.01
    for line, parts in zip(drawn[False][1], (drawn[True][1][:3], drawn[True][1][3:])):
        joined = [min(p.box[0] for p in parts), min(p.box[1] for p in parts), max(p.box[2] for p in parts), max(p.box[3] for p in parts)]
        assert np.abs(np.array(line.box) - joined).max() <= 1.5
    boxes = [line.box for line in drawn[True][1]]
    assert all(a[2] <= b[0] for a, b in zip(boxes[:2], boxes[1:3])), "words of one line overlap"


def test_ink_and_lines_agree_with_what_changed_in_the_picture(cache: Path) -> None:
    """The picture differs from its ground only near the boxes' ink, and there it does."""
    drawing = artist(cache, 5)
    for _ in range(12):
        ground = np.full((160, 320, 3), float(drawing.random.uniform(0, 255)), np.float32)
        image = ground.copy()
        block = drawing.block(float(drawing.random.uniform(12, 30)), 2, 260.0)
        lines, ink = drawing.paint(image, block, drawing.view(block, (160.0, 80.0)), "bare")
        changed = np.abs(image - ground).max(axis=2) > 12
        inside = np.zeros(changed.shape, bool)
        for line in lines:
            x0, y0, x1, y1 = line.box
            inside[max(math.floor(y0) - 1, 0) : math.ceil(y1) + 1, max(math.floor(x0) - 1, 0) : math.ceil(x1) + 1] = True
        assert changed.any() and not (changed & ~inside).any()
        assert (ink[changed] > 0.02).all()


def test_the_pair_is_the_kits_bicubic_unless_it_is_rough(cache: Path) -> None:
    source = text.TextPatches(cache, 96, 6, 4, rough=0.0)
    low, high = source.draw()
    for small, large in zip(low, high):
        samples = (large * 255.0).round().byte().permute(1, 2, 0).numpy()
        expected = resize.resize_u8(samples, 0.25).astype(int)
        assert np.abs(expected - (small * 255.0).round().permute(1, 2, 0).numpy()).max() <= 1, "one level, where rounding meets a half"
    rougher, same = text.TextPatches(cache, 96, 6, 4, rough=1.0).draw()
    assert torch.equal(same, high), "the truth stays as sharp as it was"
    assert ((rougher - low).abs().amax(dim=(1, 2, 3)) > 0).all() and (rougher - low).abs().mean() < 0.1
    held = text.TextPatches(cache, 96, 6, 4, held_out=True, rough=1.0).draw()
    small = (held[0][0] * 255.0).round().permute(1, 2, 0).numpy()
    assert np.abs(resize.resize_u8((held[1][0] * 255).round().byte().permute(1, 2, 0).numpy(), 0.25).astype(int) - small).max() <= 1


def test_equal_seeds_draw_equal_pictures(cache: Path) -> None:
    first, second = (list(text.pairs(cache, 3, False, 8)) for _ in range(2))
    assert all(np.array_equal(a, b) for one, two in zip(first, second) for a, b in zip(one, two))
    assert not np.array_equal(first[0][1], next(text.pairs(cache, 1, False, 9))[1])


def test_patches_come_back_from_h264_in_their_order() -> None:
    patches = np.stack([np.full((48, 48, 3), level, np.uint8) for level in range(20, 240, 30)])
    assert np.abs(rough.through_h264(patches, 18).astype(int).mean(axis=(1, 2, 3)) - patches.mean(axis=(1, 2, 3))).max() < 4


def test_what_is_read_is_counted() -> None:
    assert words.characters_wrong("kitten", "sitting") == 3 and words.characters_wrong("", "abc") == 3
    assert judged.characters_read("AB 12", "AB12") == 4
    assert judged.characters_read("AB12", "A812") == 3
    assert judged.characters_read("AB12", "") == 0
    assert judged.characters_read("AB12", "AB12 and more") == 0, "letters that are not there count against what is"


def test_phrases_keep_to_the_scripts_of_the_font() -> None:
    random = np.random.default_rng(2)
    plain = "".join(words.phrase(random) for _ in range(400))
    assert all(ord(character) < 128 for character in plain)
    assert any(ord(c) > 0x400 for c in "".join(words.phrase(random, frozenset({"cyrillic"})) for _ in range(200)))
    assert set("".join(words.plain(random) for _ in range(200))) <= set(" 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_without_fonts_the_way_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="apt-get install .*fonts-liberation"):
        fonts.faces(False, [tmp_path])


def test_a_text_expert_is_trained_exported_quantised_and_measured(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    models.mkdir()
    train = ["train-generator", "--cache", str(cache), "--checkpoints", str(checkpoints), "--side", "96", "--batch", "2", "--every", "2"]
    assert main([*train, "--subject", "text", "--from", str(models_folder() / "general-x4.onnx"), "--steps", "3"]) == 0
    assert main([*train, "--subject", "text", "--steps", "1", "--restart", "--degrade", "camera"]) == 1
    assert "leave out --degrade" in capsys.readouterr().err
    assert main(["export-generator", "--subject", "text", "--checkpoint", str(checkpoints / "text.pt"), "--models", str(models), "--trained-on", "nothing real"]) == 0
    assert 'subject = "text"' in (models / "models.toml").read_text()
    monkeypatch.setattr("srfusion_training.commands.quantise_generator.BUDGET", 5.0)
    eight = ["quantise-generator", str(models / "text-x4.onnx"), "--subject", "text", "--cache", str(cache), "--pictures", "2", "--judge", "1"]
    assert main(eight) == 0
    assert session(onnx.load(str(models / "text-x4.int8.onnx"))).get_inputs()[0].type == "tensor(uint8)"
    capsys.readouterr()
    files = ["text-x4.onnx", "text-x4.int8.onnx"]
    assert main(["evaluate-text", *files, "--models", str(models), "--cache", str(cache), "--count", "3", "--json", "--heights", "8", "16", "--noise", "3", "--blur", "0.5", "--draw", str(tmp_path / "drawn")]) == 0
    table = json.loads(capsys.readouterr().out)
    assert set(table) == {"8 px", "16 px"} and set(table["8 px"]) == {"bicubic", "text-x4", "text-x4.int8"}
    assert all(5 < value["psnr"] < 60 for row in table.values() for value in row.values())
    assert len(list((tmp_path / "drawn").iterdir())) == 24


def test_a_reader_is_asked_about_each_method_and_the_truth(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured with a reader that can only read the truth."""
    drawn = judged.samples(cache, 10, 4, 30)
    said = {sample.high[4 * sample.box[1] : 4 * sample.box[3], 4 * sample.box[0] : 4 * sample.box[2]].tobytes(): sample.text for sample in drawn}
    table = judged.measure_text(cache, {"grey": lambda low: np.full((4 * low.shape[0], 4 * low.shape[1], 3), 128, np.uint8)}, 4, read=lambda p: said.get(p.tobytes(), ""), seed=20, heights=(10,))
    assert table["10 px"]["truth"]["read"] == 1.0 and table["10 px"]["grey"]["read"] == 0.0
    for sample in drawn:
        x0, y0, x1, y1 = sample.box
        assert 10 <= y1 - y0 <= 26 and 0 <= x0 < x1 <= sample.high.shape[1] // 4
        assert y1 <= sample.high.shape[0] // 4
    assert dataclasses.is_dataclass(drawn[0])
