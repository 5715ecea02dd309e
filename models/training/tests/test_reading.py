"""The recogniser and its loss: what a line says is read, what cannot be read costs, and only what was drawn is moved by it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from srfusion_training.__main__ import main
from srfusion_training.data import lines, text, words
from srfusion_training.data.lines import RoughLines, Strip, strip, strip_sample
from srfusion_training.data.rough import roughened
from srfusion_training.losses import reading
from srfusion_training.nets import recogniser
from srfusion_training.nets.recogniser import CHARACTERS, HEIGHT, STEP, WIDTH, Recogniser
from srfusion_training.train.recogniser import part_read
from test_generator_commands import folder  # noqa: F401 (a fixture)
from test_text import artist, cache, few_fonts  # noqa: F401 (fixtures)


def certain(said: str) -> torch.Tensor:
    """Scores of a line that surely says this, characters in every second answer."""
    scores = torch.full((1, len(CHARACTERS) + 1, WIDTH // STEP), -20.0)
    for place in range(WIDTH // STEP):
        character = said[place // 2] if place % 2 and place // 2 < len(said) else None
        scores[0, 0 if character is None else CHARACTERS.index(character) + 1, place] = 20.0
    return scores


def test_what_is_most_likely_is_read_as_far_as_the_line_goes() -> None:
    scores = certain("AAb07")
    assert recogniser.read(scores, [WIDTH]) == ["AAb07"], "alike letters with a blank between them are two"
    assert recogniser.read(scores, [4 * STEP]) == ["AA"]
    scores[0, :, 2] = scores[0, :, 1]
    assert recogniser.read(scores, [WIDTH]) == ["Ab07"], "without a blank they are one"


def test_only_what_a_line_says_costs_nothing() -> None:
    assert recogniser.missed(certain("AAb07"), [WIDTH], ["AAb07"]).item() < 1e-3
    assert recogniser.missed(certain("AAb07"), [WIDTH], ["AAb01"]).item() > 5.0
    # More letters than answers: not known, and no number without end.
    assert recogniser.missed(certain("A"), [STEP], ["Abcdef"]).item() == 0.0
    assert not recogniser.fits("Abcdef", STEP) and recogniser.fits("Abc", WIDTH)


def test_a_strip_is_the_box_at_the_height_of_a_line_and_passes_gradients_to_it_alone() -> None:
    picture = torch.zeros(1, 60, 200)
    picture[:, 20:36, 40:90] = torch.linspace(0.2, 0.8, 50)
    picture.requires_grad_()
    samples, width = strip(picture, (40.2, 19.8, 90.1, 36.3))
    assert samples.shape == (1, HEIGHT, WIDTH) and width == 100
    assert (samples[..., width:] == 0).all() and samples[..., :width].mean().abs() < 1e-5
    assert samples[0, 16, 1] < -1.0 < 1.0 < samples[0, 16, width - 2]
    samples.square().mul(torch.rand(samples.shape)).sum().backward()
    moved = picture.grad[0].abs() > 0
    assert moved[20:36, 40:90].any() and not moved[:20].any() and not moved[36:].any() and not moved[:, :40].any() and not moved[:, 90:].any()


def test_boxes_and_texts_are_those_of_what_is_drawn(cache: Path) -> None:  # noqa: F811
    for line in RoughLines(artist(cache, 3), 4).draw():
        assert line.high.shape == (3, 4 * lines.SIZE[0], 4 * lines.SIZE[1]) and line.low.shape == (3, *lines.SIZE)
        assert line.text and set(line.text) <= set(CHARACTERS)
        x0, y0, x1, y1 = line.box
        assert 0 <= x0 < x1 <= 4 * lines.SIZE[1] and 0 <= y0 < y1 <= 4 * lines.SIZE[0]
        grown = torch.nn.functional.interpolate(line.low[None].float(), scale_factor=4, mode="nearest")[0]
        assert (grown - line.high.float()).abs().mean() < 40.0, "both sides show the same"


def test_large_letters_are_made_rougher(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Lines that are coded together are of about one height, and the larger it is, the more is taken from them."""
    seen: list[tuple[list[float], float]] = []
    capitals: list[float] = []

    def drawn(artist: text.Artist, capital: float, size: tuple[int, int]) -> tuple[np.ndarray, str, lines.Box]:
        capitals.append(capital / 4)
        return np.zeros((*size, 3), np.uint8), "A", (0.0, 0.0, 8.0, 8.0)

    def rough(patches: np.ndarray, random: np.random.Generator, coded: float, harm: float) -> np.ndarray:
        seen.append((capitals[:], harm))
        capitals.clear()
        return patches

    monkeypatch.setattr(lines, "drawn", drawn)
    monkeypatch.setattr(lines, "roughened", rough)
    source = RoughLines(artist(cache, 3), 4)
    for _ in range(40):
        source.draw()
    assert len(seen) == 40 and all(max(heights) / min(heights) <= lines.ALIKE**2 for heights, _ in seen)
    assert all(abs(math.log(max(lines.USUAL, float(np.mean(heights))) / lines.USUAL / harm)) < math.log(lines.ALIKE) for heights, harm in seen)
    middles = [float(np.mean(heights)) for heights, _ in seen]
    assert min(middles) < 8.0 and max(middles) > 14.0 and {harm > 1.3 for _, harm in seen} == {False, True}


@pytest.mark.parametrize("coded", [0.0, 1.0])
def test_harm_takes_more(coded: float) -> None:
    """The same patches with the same chances lose more from one harm to the next, by blur and noise as by H.264."""
    random = np.random.default_rng(3)
    fine = np.repeat(np.kron(random.integers(40, 216, (6, 16, 16, 1)), np.ones((1, 2, 2, 1))), 3, axis=3).astype(np.uint8)

    def lost(harm: float) -> float:
        drawn = (roughened(fine, np.random.default_rng(seed), coded, harm) for seed in range(12))
        return float(np.mean([np.abs(patch.astype(float) - fine).mean() for patch in drawn]))

    assert lost(1.0) < 0.9 * lost(1.5) < 0.81 * lost(2.2)


def test_lines_drawn_again_were_drawn_before(cache: Path) -> None:  # noqa: F811
    source = RoughLines(artist(cache, 3), 2)
    drawn = {id(line) for _ in range(60) for line in source.draw()}
    again = [line for _ in range(20) for line in source.draw()]
    assert sum(id(line) in drawn for line in again) > 20


def test_a_few_lines_are_learned_by_heart_and_what_hides_them_costs(cache: Path) -> None:  # noqa: F811
    torch.manual_seed(1)
    source = artist(cache, 4)
    strips = [strip_sample(source, seen=0.0) for _ in range(6)]
    network = Recogniser((8, 16, 24, 32, 48), 48)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    given = torch.stack([one.samples for one in strips]), [one.width for one in strips], [one.text for one in strips]
    for _ in range(150):
        optimizer.zero_grad()
        loss = recogniser.missed(network.train()(given[0]), *given[1:])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
    for _ in range(10):  # the means that batch normalisation reads by
        network(given[0])
    assert part_read(network, strips) > 0.8
    judge = reading.Reading([network.eval()])
    picture = torch.zeros(1, 1, HEIGHT, WIDTH)
    picture[0] = strips[0].samples
    whole = (0.0, 0.0, float(strips[0].width), float(HEIGHT))
    seen, hidden = (judge(drawn, [whole], [strips[0].text], np.random.default_rng(1)).item() for drawn in (picture, picture * 0.0))
    assert hidden > seen
    # Several judge as their mean.
    other = Recogniser((8, 16, 24, 32, 48), 48).eval()
    alone = [reading.Reading([one])(picture, [whole], [strips[0].text], np.random.default_rng(1)).item() for one in (network, other)]
    both = reading.Reading([network, other])(picture, [whole], [strips[0].text], np.random.default_rng(1)).item()
    assert both == pytest.approx(sum(alone) / 2, rel=1e-5) and alone[1] > alone[0]


def test_nothing_read_is_nothing_right() -> None:
    network = Recogniser()
    torch.nn.init.zeros_(network.along[-1].weight)
    with torch.no_grad():
        network.along[-1].bias.zero_()[0] = 1.0
    assert part_read(network, [Strip(torch.zeros(1, HEIGHT, WIDTH), WIDTH, "Ab")]) == 0.0


def test_a_reader_is_trained_and_judges_a_generator(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    runs = tmp_path / "runs"
    common = ["--cache", str(cache), "--checkpoints", str(runs)]
    for steps in ("1", "2"):  # goes on
        assert main(["train-recogniser", *common, "--steps", steps, "--every", "1"]) == 0
    state = torch.load(runs / "recogniser.pt", weights_only=True)
    assert state["steps"] == 2
    generator = ["train-generator", *common, "--subject", "text", "--colour", "y", "--optimizer", "adam", "--channels", "4", "--convolutions", "1",
                 "--side", "64", "--batch", "2", "--steps", "2", "--every", "1", "--fresh", "0.5"]  # fmt: skip
    capsys.readouterr()
    assert main([*generator, "--read", "0.05", "--reader", str(runs / "recogniser.pt"), "--read-lines", "2", "--grid", "2"]) == 0
    point = json.loads((runs / "text.jsonl").read_text().splitlines()[-1])
    assert point["misread"] > 0 and 0 < point["lines"] < 1
    assert main([*generator, "--read", "0.05"]) == 1
    assert "--read needs --reader" in capsys.readouterr().err
    assert main([*generator, "--read", "0.05", "--reader", str(runs / "text.pt"), "--restart"]) == 1
    assert "expected a checkpoint of 'train-recogniser', found one with" in capsys.readouterr().err
    assert main([*generator, "--read", "0.05", "--reader", str(runs / "none.pt"), "--restart"]) == 1
    assert "'train-recogniser' makes one" in capsys.readouterr().err


def test_short_lines_are_of_what_can_be_read() -> None:
    random = np.random.default_rng(1)
    said = [words.short(random) for _ in range(300)]
    assert all(0 < len(one) <= 30 and set(one) <= {*CHARACTERS, " "} for one in said)
    assert 60 < sum(" " in one or one.lower() in words.WORDS for one in said) < 160
