"""Training with all data on one device: pairs line up, steps are the kit's own, runs go on, checkpoints are exported."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from srfusion_training.__main__ import main
from srfusion_training.data import colour, degrade, patches, pictures, resident, resize, teachers
from srfusion_training.nets import regions
from srfusion_training.nets.compact import Generator, GeneratorShape
from srfusion_training.nets.quantised import Quantised
from srfusion_training.nets.stacked import Stacked
from srfusion_training.train import optimizers
from srfusion_training.train import resident as train
from srfusion_training.train.alive import alive, revive
from srfusion_training.train.checkpoints import averaged_network
from srfusion_training.train.generator import held_out_psnr
from srfusion_training.train.schedule import trapezoid
from srfusion_training.train.stacked import StackedOptimizer
from test_generator_commands import texture

CPU = torch.device("cpu")
SIDE = 16
#: Light and movement alone, so that what a version was made of is known to a rounding.
PLAIN = degrade.Recipe(light=0.6, blur=0.0, sinc=0.0, chain=0.0, sharpen=0.0, noise=0.0, jpeg=0.0, coded=0.0, single=0.3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs and two portraits, one of each held out, degraded versions of them, and a teacher's pieces."""
    root = tmp_path_factory.mktemp("resident")
    for subject in ("general", "face"):
        (root / "data" / "train" / subject).mkdir(parents=True)
        for index in range(2):
            Image.fromarray(texture(330, 370, index)).save(root / "data" / "train" / subject / f"picture-{index}.png")
    rows = [f"train/face/picture-{index}.png,0.3,0.25,0.7,0.7" for index in range(2)]
    (root / "data" / "faces.csv").write_text("\n".join(["path,x0,y0,x1,y1", *rows]) + "\n")
    made = root / "cache"
    pictures.prepare_scenes("general", root / "data", made, 1, scales=(1.0, 0.7))
    pictures.prepare_objects("face", root / "data", made, 1, heights=(64.0, 128.0), copies=3)
    for subject in ("general", "face"):
        degrade.prepare(made, subject, PLAIN, 2, "jpeg", 1, name="video")
        degrade.prepare(made, subject, degrade.RECIPES["camera"], 1, "jpeg", 1, name="camera")
    teachers.prepare(made, "general", lambda low: resize.resize(low, 4.0), "none", 5, 32, 1)
    return made


def difference(source: resident.Source, shift: int = 0) -> tuple[float, float]:
    """Mean and largest difference in grey levels between low sides and high sides made smaller, the border of a patch left out."""
    low, high = source.draw(64, torch.Generator().manual_seed(2))
    smaller = resize.down4(high.roll(4 * shift, dims=-1) * 255.0)
    error = (smaller - low * 255.0)[..., 4:-4, 4:-4].abs()
    return float(error.mean()), float(error.max())


@pytest.mark.parametrize("flip, mirror, turn", list(itertools.product((False, True), repeat=3)))
def test_the_low_side_of_a_clean_pair_is_the_kits(cache: Path, flip: bool, mirror: bool, turn: bool) -> None:
    data = resident.Resident(cache, "general", CPU)
    source = data.clean(SIDE)
    picture = data.found.pictures[0]
    plane = colour.luma_u8(torch.from_numpy(np.array(data.found.view(picture)))).float()
    y, x = 26, 38
    one = lambda value: torch.tensor([value])
    low, high = source.cut(one(0), one(y), one(x), one(flip), one(mirror), one(turn))
    # The margin before the patch comes on top: it begins at a multiple of 4 of the whole picture.
    top, left = (y + resident.MARGIN) // 4, (x + resident.MARGIN) // 4
    even = plane[: picture.height // 4 * 4, : picture.width // 4 * 4]
    smaller = resize.down4(even[None, None])[0, 0, top : top + SIDE, left : left + SIDE]
    large = even[4 * top : 4 * (top + SIDE), 4 * left : 4 * (left + SIDE)]

    def turned(part: torch.Tensor) -> torch.Tensor:
        part = part.T if turn else part
        part = part.flip(0) if flip else part
        return part.flip(1) if mirror else part

    assert torch.equal((high[0, 0] * 255.0).round(), turned(large))
    assert (low[0, 0] * 255.0 - turned(smaller).clamp(0.0, 255.0)).abs().max() <= 0.51
    assert torch.allclose(low * 255.0, (low * 255.0).round(), atol=1e-3)


@pytest.mark.parametrize("subject", ["general", "face"])
def test_clean_and_degraded_pairs_line_up(cache: Path, subject: str) -> None:
    data = resident.Resident(cache, subject, CPU, ["video"])
    assert any(light for _, light in data.index), "some versions have another light"
    for source in (data.clean(SIDE), data.degraded("video", SIDE)):
        (mean, most), (moved, _) = difference(source), difference(source, 1)
        assert mean < 0.5 and most < 2.5 and moved > 6 * mean, (mean, most, moved)


def test_coded_and_held_out_pairs_line_up(cache: Path) -> None:
    for held_out in (False, True):
        source = resident.Resident(cache, "general", CPU, ["camera"], held_out).degraded("camera", SIDE)
        assert difference(source)[0] < 0.8 * difference(source, 1)[0]


def test_a_teachers_pairs_line_up_and_stay_off_the_border(cache: Path) -> None:
    source = resident.teacher(cache, "general", CPU, SIDE)
    (mean, most), (moved, _) = difference(source), difference(source, 1)
    assert mean < 0.6 and most < 2.5 and moved > 6 * mean, (mean, most, moved)
    with pytest.raises(ValueError, match="has 24 without its border, a patch has 28: run 'prepare-teacher --side 36'"):
        resident.teacher(cache, "general", CPU, 28)


def test_places_have_detail_and_faces_are_cut_over_their_boxes(cache: Path) -> None:
    flat = np.full((200, 200, 3), 90, np.uint8)
    flat[96:160, 32:96] = texture(64, 64, 5)
    chosen = resident.detailed(flat, 32, 5.0, np.random.default_rng(0))
    busy = [(row, column) for row, _, column, _ in chosen if 64 <= row <= 160 and 0 <= column <= 96]
    assert len(busy) >= 9 and len(chosen) - len(busy) <= 12
    assert not len(resident.detailed(flat, 201, 5.0, np.random.default_rng(0)))
    (row,) = resident.over([40.0, 30.0, 80.0, 100.0], 64)
    assert row.tolist() == [*patches.starts_over(30.0, 100.0, 64), *patches.starts_over(40.0, 80.0, 64)]
    data = resident.Resident(cache, "face", CPU)
    assert data.upright and data.clean(24).places == sum(min(p.height, p.width) >= 108 for p in data.found.pictures)
    with pytest.raises(ValueError, match="none is as large as a patch of 200 low-resolution px"):
        data.clean(200)


def test_levels_vary_as_the_kits() -> None:
    low, high = torch.full((4, 1, 2, 2), 16 / 255.0), torch.full((4, 1, 8, 8), 235 / 255.0)
    draws = torch.tensor([[0.1, 0.5, 0.95, 0.95], [0.0, 0.0, 0.0, 1.0]])
    low, high = colour.vary_levels_by(low, high, draws)
    assert (low[:, 0, 0, 0] * 255).tolist() == pytest.approx([0, 16, 16, 16], abs=1e-3)
    assert (high[:, 0, 0, 0] * 255).tolist() == pytest.approx([255, 235, 125.5, 235], abs=1e-3)


@pytest.mark.parametrize("skip, expansion", [(False, 16), (True, 0)])
def test_the_stacked_network_computes_what_the_generator_does(skip: bool, expansion: int) -> None:
    torch.manual_seed(3)
    generator = Generator(GeneratorShape(8, 3, expansion, 1, skip))
    stacked = Stacked(generator)
    x = torch.rand(2, 1, 13, 9)
    assert torch.allclose(stacked(x), generator(x), atol=1e-5)
    back = Generator(stacked.shape)
    back.load_state_dict(Stacked.generator_state(stacked.named()))
    assert torch.allclose(back(x), stacked(x), atol=1e-6)
    with pytest.raises(ValueError, match="3 planes"):
        Stacked(Generator(GeneratorShape(8, 1, 0, 3)))


def test_a_step_is_that_of_muon_and_adam() -> None:
    torch.manual_seed(4)
    stacked = Stacked(Generator(GeneratorShape(8, 3, 0, 1, False)))
    mine = StackedOptimizer(stacked, 0.02, 0.003, 0.999)
    generator = Generator(stacked.shape)
    generator.load_state_dict(Stacked.generator_state(stacked.named()))
    kernels = [layer.whole for layer in [*generator.body, generator.tail]]
    others = [value for value in generator.parameters() if not any(value is kernel for kernel in kernels)]
    theirs = [optimizers.Muon(kernels, lr=0.02), torch.optim.Adam(others, lr=0.003, betas=(0.9, 0.99))]
    for seed in range(3):
        torch.manual_seed(seed)
        for value in stacked.parameters():
            value.grad = torch.randn_like(value) * 8.0  # eight times the true ones
        gradients = Stacked.generator_state({name: value.grad / 8.0 for name, value in stacked.named_parameters()})
        for name, value in generator.named_parameters():
            value.grad = gradients[name].clone()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        mine.step(8.0)
        for optimizer in theirs:
            optimizer.step()
        for name, value in Stacked.generator_state(stacked.named()).items():
            assert torch.allclose(value, generator.state_dict()[name], atol=2e-5), name


def test_the_average_follows_fast_at_first_and_what_overflowed_counts_as_nothing() -> None:
    stacked = Stacked(Generator(GeneratorShape(4, 1, 0, 1, False)))
    optimizer, start = StackedOptimizer(stacked, 0.1, 0.1, 0.999), stacked.named()
    for value in stacked.parameters():
        value.grad = torch.full_like(value, torch.inf)
    optimizer.step()
    for name, value in stacked.named_parameters():
        assert torch.equal(value, start[name])
        value.grad = torch.randn_like(value)
    optimizer.step()
    for name, value in stacked.named_parameters():
        assert torch.allclose(optimizer.average[name], start[name] + (value.detach() - start[name]) * 0.75, atol=1e-6)


def test_the_rate_is_a_trapezoid() -> None:
    assert [trapezoid(at, 0.5) for at in (0.01, 0.02, 0.49, 0.75, 1.0, 1.1)] == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0, 0.0])


def test_shares_come_to_a_batch() -> None:
    assert train.parts_of(36, {"video": 0.44}, 0.22) == {"clean": 12, "video": 16, "teacher": 8}
    assert train.parts_of(3, {"video": 0.5, "camera": 0.5}, 0.0) in ({"video": 1, "camera": 2}, {"video": 2, "camera": 1})
    with pytest.raises(ValueError, match="come to 1.1"):
        train.parts_of(8, {"video": 0.8}, 0.3)
    with pytest.raises(ValueError, match="'teacher' is a part of the batch, 0..1, not 2"):
        train.parts_of(8, {}, 2.0)


def command(cache: Path, checkpoints: Path, *more: str) -> list[str]:
    shape = ["--cache", str(cache), "--checkpoints", str(checkpoints), "--side", str(SIDE), "--batch", "6", "--watch", "16", "--every", "10"]
    return ["train-resident", "--subject", "general", *shape, *more]


def curve(file: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_two_networks_learn_go_on_and_are_exported(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mixed = ["--degrade", "video=0.4", "--teacher-share", "0.2", "--channels", "8", "--convolutions", "2", "--also", "narrow:4x1"]
    assert main(command(cache, tmp_path, *mixed, "--steps", "30")) == 0, capsys.readouterr().err
    points = curve(tmp_path / "general.jsonl")
    assert [point["steps"] for point in points] == [0, 10, 20, 30]
    assert points[-1]["loss"] < 0.8 * points[1]["loss"] and points[-1]["held-out-psnr"] > points[0]["held-out-psnr"]
    assert {"held-out-psnr-clean", "held-out-psnr-video"} <= points[0].keys()
    assert main(command(cache, tmp_path, *mixed, "--steps", "35")) == 0, "they go on from step 30"
    assert [point["steps"] for point in curve(tmp_path / "narrow.jsonl")] == [0, 10, 20, 30, 35]
    models = tmp_path / "models"
    models.mkdir()
    for name in ("general", "narrow"):
        export = ["export-generator", "--subject", "general", "--name", f"{name}-x4", "--checkpoint", str(tmp_path / f"{name}.pt")]
        assert main([*export, "--models", str(models), "--trained-on", "nothing real"]) == 0, capsys.readouterr().err
    assert 'channels = "y"' in (models / "models.toml").read_text()
    # Other commands go on from what this one wrote, and this one from the exported file.
    other = ["train-generator", "--subject", "general", "--name", "other", "--from", str(tmp_path / "general.pt"), "--side", "64", "--batch", "2"]
    assert main([*other, "--cache", str(cache), "--checkpoints", str(tmp_path), "--steps", "1"]) == 0
    face = ["train-resident", "--subject", "face", "--cache", str(cache), "--checkpoints", str(tmp_path), "--side", str(SIDE), "--batch", "4"]
    face += ["--watch", "8", "--degrade", "camera=0.5", "--steps", "2"]
    assert main([*face, "--from", str(models / "narrow-x4.onnx"), "--also", f"second:{tmp_path / 'general.pt'}"]) == 0, capsys.readouterr().err
    assert torch.load(tmp_path / "second.pt", weights_only=True)["shape"]["channels"] == 8
    capsys.readouterr()
    assert main(command(cache, tmp_path, "--name", "other", "--steps", "3")) == 1
    assert "is not of train-resident" in capsys.readouterr().err
    assert main(command(cache, tmp_path, "--channels", "5", "--convolutions", "2", "--steps", "40")) == 1
    assert "has 8 channels and 2 convolutions, not 5 and 2" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command(cache, tmp_path, "--steps", "8", "--channels", "4", "--convolutions", "1")
    launch = train.Job.launch

    def interrupted(self: train.Job, factor: float) -> None:
        if self.done == 5:
            raise KeyboardInterrupt
        launch(self, factor)

    with monkeypatch.context() as patched:
        patched.setattr(train.Job, "launch", interrupted)
        assert main(asked) == 130
    stopped = torch.load(tmp_path / "general.pt", weights_only=True)
    assert stopped["steps"] == 5 and float(stopped["resident"]["optimizer"]["count"]) == 5
    args = arguments(cache, tmp_path)
    job = train.make_job("general", None, None, data_of(cache), args, CPU, 1)
    state = job.optimizer.state()
    assert all(torch.equal(a, b) for name in ("momentum", "first", "second") for a, b in zip(state[name], stopped["resident"]["optimizer"][name]))
    found = Stacked.generator_state(job.network.named())
    assert all(torch.equal(value, found[name]) for name, value in stopped["network"].items())
    assert main(asked) == 0
    assert torch.load(tmp_path / "general.pt", weights_only=True)["steps"] == 8


def arguments(cache: Path, checkpoints: Path, **other: object) -> argparse.Namespace:
    values = dict(
        subject="general", cache=cache, checkpoints=checkpoints, side=SIDE, batch=6, watch=16, degrade=[], teacher_share=0.0, muon_rate=0.01, rate=1e-3,
        decay=0.999, hold=0.5, steps=20, minutes=None, keep="best", start=None, restart=False, seed=1, every=5, save_minutes=1.0, precision="fp32", revive=False, quantise_aware=False,
        between=[], imitate=[], imitate_limits=list(regions.LIMITS),
    )  # fmt: skip
    return argparse.Namespace(**{**values, **other})


def data_of(cache: Path, device: torch.device = CPU) -> train.Data:
    return train.load(arguments(cache, cache), device)


def test_the_best_on_held_out_patches_is_kept(cache: Path, tmp_path: Path) -> None:
    data = data_of(cache)
    for keep in ("best", "last"):
        args = arguments(cache, tmp_path, keep=keep)
        job = train.make_job(keep, None, (4, 1), data, args, CPU, 1)
        for _ in range(10):
            job.launch(1.0)
        good = job.look()["held-out-psnr"]
        for value in job.optimizer.average.values():
            value.add_(0.1)
        assert job.look()["held-out-psnr"] < good
        job.save()
        saved = torch.load(tmp_path / f"{keep}.pt", weights_only=True)
        assert saved["resident"]["best-steps"] == 10
        same = all(torch.equal(value, saved["resident"]["best"][name]) for name, value in saved["average"].items())
        assert same == (keep == "best")


def test_a_loss_that_is_no_number_is_said(cache: Path, tmp_path: Path) -> None:
    job = train.make_job("broken", None, (4, 1), data_of(cache), arguments(cache, tmp_path), CPU, 1)
    with torch.no_grad():
        job.network.tail_bias.fill_(torch.nan)
    job.launch(1.0)
    with pytest.raises(ValueError, match="of the last 1 steps 1 have a loss that is no number; lower --muon-rate"):
        job.look()


def test_the_border_of_a_patch_counts_less(cache: Path, tmp_path: Path) -> None:
    job = train.make_job("border", None, (4, 1), data_of(cache), arguments(cache, tmp_path), CPU, 1)
    assert float(job.weight[0, 0, 15, 30]) == pytest.approx(0.3) and float(job.weight[0, 0, 16, 30]) == 1.0


def test_sixteen_bits_learn_what_thirty_two_do(cache: Path, tmp_path: Path) -> None:
    """The features alone are coarse: weights, averages and the sum with the input keep 32 bits."""
    data, ends = data_of(cache), {}
    for precision in ("fp32", "bf16"):
        job = train.make_job(precision, None, (8, 2), data, arguments(cache, tmp_path, precision=precision, decay=0.9), CPU, 1)
        first = job.look()["held-out-psnr"]
        for _ in range(60):
            job.launch(1.0)
        ends[precision] = job.look()["held-out-psnr"] - first
        assert all(value.dtype == torch.float32 for value in (*job.network.parameters(), *job.optimizer.average.values()))
    assert ends["fp32"] > 0.5 and ends["bf16"] == pytest.approx(ends["fp32"], rel=0.1), ends


def test_eight_bits_are_trained_for_on_every_kind_of_patch(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The run draws and judges as the eight-bit file will, and its ranges go with the weights that are kept, through a pause too."""
    asked = ["--quantise-aware", "--degrade", "video=0.4", "--channels", "8", "--convolutions", "2", "--name", "eight"]
    assert main(command(cache, tmp_path, *asked, "--steps", "20")) == 0, capsys.readouterr().err
    first = torch.load(tmp_path / "eight.pt", weights_only=True)
    assert first["ranges"].keys() == {"features", "body.0.relu", "body.1.relu", "tail"} and first["ranges"] == first["resident"]["best-ranges"]
    network = averaged_network(first)
    stacked = Quantised(Stacked(network), first["ranges"]).eval()
    low = torch.rand(2, 1, 13, 9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(stacked(low), Quantised(network, first["ranges"]).eval()(low), atol=1e-6)
    assert not torch.allclose(stacked(low), network(low), atol=1e-4), "rounding is seen"
    # What was measured is what these ranges give.
    data = train.load(arguments(cache, tmp_path, degrade=[("video", 0.4)]), CPU)
    measured = [held_out_psnr(stacked, list(zip(small.split(64), large.split(64)))) for small, large in data.held.values()]
    assert sum(measured) / len(measured) == pytest.approx(curve(tmp_path / "eight.jsonl")[-1]["held-out-psnr"], abs=2e-3)
    job = train.make_job("eight", None, (8, 2), data, arguments(cache, tmp_path, quantise_aware=True), CPU, 1)
    assert job.ranges() == first["resident"]["ranges"], "a run goes on with them"


class Level(torch.nn.Module):
    """Draws one level everywhere."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, low: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.full((low.shape[0], 1, 4 * low.shape[2], 4 * low.shape[3]), self.level)


def test_each_region_is_drawn_by_its_network() -> None:
    drawn = regions.Regions(Level(1.0), Level(2.0), Level(3.0), (0.1, 0.2, 0.4, 0.6))
    low = torch.full((1, 1, 12, 40), 0.2)
    low[..., 10:20] += 0.15 * torch.arange(10)[None, None, None].remainder(4).div(2, rounding_mode="floor")  # pairs, whose neighbours differ by 0.15
    low[..., 30:] = 1.0
    steep = regions.steepness(low)
    assert torch.equal(steep, regions.steepness(low.mT).mT) and float(steep[0, 0, 5, 30]) == pytest.approx(0.8) and float(steep[..., 5, 0]) == 0.0
    found = drawn(low)
    assert found.shape == (1, 1, 48, 160) and float(found[0, 0, 20, 8]) == 1.0 and float(found[0, 0, 20, 118]) == pytest.approx(3.0)
    assert float(found[0, 0, 20, 58]) == pytest.approx(1.5, abs=1e-3), "halfway between smooth and texture"
    assert float(regions.Regions(Level(1.0), Level(2.0), Level(3.0), (0.0, 0.1, 0.2, 0.5))(low)[0, 0, 20, 58]) == pytest.approx(2.0), "texture alone"
    for limits in ((0.2, 0.1, 0.3, 0.4), (0.1, 0.2, 0.3, 0.3), (-0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 1.4)):
        with pytest.raises(ValueError, match="rise from 0 to 1.*expected such as 0.04"):
            regions.Regions(Level(1.0), Level(2.0), Level(3.0), limits)


def test_three_networks_are_imitated_in_place_of_the_truth(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files = [saved(tmp_path / f"network-{index}.pt", index) for index in range(3)]
    asked = ["--imitate", *map(str, files), "--from", str(files[0]), "--name", "imitation", "--degrade", "video=0.4", "--decay", "0.9"]
    assert main(command(cache, tmp_path, *asked, "--steps", "60")) == 0, capsys.readouterr().err
    points = curve(tmp_path / "imitation.jsonl")
    assert points[-1]["held-out-psnr"] > points[0]["held-out-psnr"] + 1.0, "judged by what is imitated"
    args = arguments(cache, tmp_path, degrade=[("video", 0.4)], imitate=files)
    data = train.load(args, CPU)
    assert data.imitated is not None and not list(filter(lambda value: value.requires_grad, data.imitated.parameters()))
    for low, target in data.held.values():
        assert torch.equal(target, data.imitated(low))
    assert "network-1.pt" in torch.load(tmp_path / "imitation.pt", weights_only=True)["recipe"]["imitate"]


def saved(file: Path, seed: int, channels: int = 4) -> Path:
    """A checkpoint of a small network."""
    torch.manual_seed(seed)
    network = Generator(GeneratorShape(channels, 2, 0, 1, False))
    with torch.no_grad():
        network.tail.bias.normal_(0.0, 0.1)
    torch.save({"architecture": "compact", "shape": dataclasses.asdict(network.shape), "network": network.state_dict(), "average": network.state_dict()}, file)
    return file


def test_a_teachers_pieces_keep_their_own_truth(cache: Path, tmp_path: Path) -> None:
    """A network that imitates itself has nothing to learn but from the teacher's pieces."""
    itself = saved(tmp_path / "itself.pt", 1)
    for share, learns in ((0.0, False), (0.5, True)):
        args = arguments(cache, tmp_path, imitate=[itself], teacher_share=share)
        data = train.load(args, CPU)
        job = train.make_job(f"taught-{share}", itself, None, data, args, CPU, 1)
        assert data.taught == 6 * share
        job.launch(1.0)
        assert (float(job.loss) > 1e-4) == learns


def test_pictures_lie_between_where_weights_do(cache: Path, tmp_path: Path) -> None:
    """Halfway to a network of quite other weights the drawing is bad; trained with --between it is nearer to halfway between the two drawings."""
    partner, start, goal = (saved(tmp_path / f"{name}.pt", seed) for seed, name in enumerate(("partner", "start", "goal")))
    ends = {}
    for name, between in (("with", [partner]), ("without", [])):
        args = arguments(cache, tmp_path, between=between, imitate=[goal], decay=0.9, batch=8)
        data = train.load(args, CPU)
        job = train.make_job(name, start, None, data, args, CPU, 1)
        first = job.look()["held-out-psnr"]
        for _ in range(150):
            job.launch(1.0)
        assert job.look()["held-out-psnr"] > first, "at its own weights it learns in both"
        one = train.luma_network(partner, "")
        halfway = {key: value.lerp(job.optimizer.average[key], 0.5) for key, value in one.named_parameters()}
        low, high = data.held["clean"]
        with torch.no_grad():
            wrong = torch.func.functional_call(one, halfway, (low,)) - one(low).lerp(high, 0.5)
        ends[name] = float(wrong.square().mean())
    assert ends["with"] < 0.7 * ends["without"], ends
    with pytest.raises(ValueError, match="other.pt: is of GeneratorShape.channels=6.*weights lie between networks of one shape"):
        args = arguments(cache, tmp_path, between=[saved(tmp_path / "other.pt", 5, 6)])
        train.make_job("refused", start, None, train.load(args, CPU), args, CPU, 1)


def test_dead_channels_are_told_and_start_anew(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.manual_seed(5)
    network = Stacked(Generator(GeneratorShape(8, 3, 0, 1, False)))
    low = torch.rand(4, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.tail_kernel.mul_(5.0)
    whole = alive(network, low).sum(dim=1).tolist()
    with torch.no_grad():
        network.head_bias[2] = -9.0
        network.body_biases[0][1:] = -9.0
        network.body_biases[2][4:] = -9.0
    before = network(low)
    found = alive(network, low)
    assert not found[0, 2] and not found[1, 1:].any() and not found[3, 4:].any() and found.shape == (4, 8)
    count = int((~found).sum())
    assert revive(network, low, torch.Generator().manual_seed(2)) == count >= 12
    assert torch.allclose(network(low), before, atol=1e-6), "what it draws is as before"
    after = alive(network, low).sum(dim=1).tolist()
    assert all(now >= 6 for now in after), (whole, after)
    network(low).square().mean().backward()
    assert all(float(part.abs().sum()) > 0 for part in network.tail_kernel.grad[:, ~found[3]].unbind(1)), "and learns to use them"

    # As a command: a network with a lost layer says so, and goes on with all of it.
    lame = Generator(GeneratorShape(8, 2, 0, 1, False))
    with torch.no_grad():
        lame.body[0].bias[1:] = -9.0
    state = {"architecture": "compact", "shape": dataclasses.asdict(lame.shape), "network": lame.state_dict(), "average": lame.state_dict()}
    torch.save(state, tmp_path / "lame.pt")
    start = ["--from", str(tmp_path / "lame.pt"), "--steps", "1", "--rate", "1e-5", "--muon-rate", "1e-5"]
    assert main(command(cache, tmp_path, *start, "--name", "as-it-is")) == 0, capsys.readouterr().err
    assert "1, " in (said := capsys.readouterr().out) and "of 8. The others do nothing" in said
    assert curve(tmp_path / "as-it-is.jsonl")[-1]["dead-channels"] >= 7
    assert main(command(cache, tmp_path, *start, "--name", "whole", "--revive")) == 0
    assert "channels start anew" in (said := capsys.readouterr().out) and "do nothing" not in said
    points = curve(tmp_path / "whole.jsonl")
    assert points[0]["dead-channels"] <= 2 and points[0]["held-out-psnr"] == pytest.approx(curve(tmp_path / "as-it-is.jsonl")[0]["held-out-psnr"], abs=1e-3)


@pytest.mark.parametrize(
    "more, said",
    [
        (["--steps", "1", "--also", "general:4x1"], "must differ"),
        (["--steps", "1", "--channels", "4"], "come together"),
        (["--steps", "0"], "--steps is above 0, not 0"),
        (["--steps", "1", "--side", "8"], "--side is at least 12, not 8"),
        (["--steps", "1", "--degrade", "video=0.2", "--degrade", "video=0.2"], "names a recipe twice"),
        (["--steps", "1", "--quantise-aware", "--precision", "bf16"], "for which bf16 is too coarse"),
        (["--steps", "1", "--imitate", "no-1.pt", "no-2.pt"], "takes one network, or three for smooth places, texture and strong edges; found 2"),
        (["--steps", "1", "--between", "no.pt", "--quantise-aware"], "leave out --quantise-aware"),
        (["--steps", "1", *["--between", "no.pt"] * 4], "expected --batch of at least 8, found 6"),
        (["--steps", "1", "--imitate", "no-1.pt", "no-2.pt", "no-3.pt"], "no-1.pt: no such checkpoint"),
    ],
)
def test_wrong_options_are_one_clear_line(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], said: str) -> None:
    assert main(command(cache, tmp_path, *more)) == 1
    assert said in capsys.readouterr().err


def test_a_graph_computes_what_single_steps_do(cache: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device to capture a step on")
    device = torch.device("cuda")
    data = train.load(arguments(cache, tmp_path, degrade=[("video", 0.4)], teacher_share=0.2), device)
    assert data.batch == 6
    other = saved(tmp_path / "other.pt", 1, 16)
    imitating = dict(degrade=[("video", 0.4)], teacher_share=0.2, imitate=[other] * 3, between=[other])
    imitated = train.load(arguments(cache, tmp_path, **imitating), device)
    for kind, given, more in (("float", data, {}), ("eight", data, {"quantise_aware": True}), ("imitation", imitated, imitating)):
        ends = []
        for name, capture in (("graph", True), ("steps", False)):
            args = arguments(cache, tmp_path, steps=60, **more)
            job = train.make_job(f"{name}-{kind}", None, (16, 2), given, args, device, 1)
            job.prepare(capture)
            assert (job.graph is not None) == capture
            while job.progress() < 1.0:
                job.launch(trapezoid(job.progress(), args.hold))
            ends.append((job.look(), job.optimizer.average["body_kernels"].cpu()))
        # In 16 bits sums depend on their order, and Muon makes small differences larger.
        assert ends[0][0]["loss"] == pytest.approx(ends[1][0]["loss"], rel=0.05), kind
        assert torch.allclose(ends[0][1], ends[1][1], atol=0.05), kind
