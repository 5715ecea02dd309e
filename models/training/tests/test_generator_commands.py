"""Every generator command, through the command line, on made-up pictures in a scratch folder."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from srfusion_training.__main__ import main
from srfusion_training.data import patches, pictures, resize
from srfusion_training.data.colour import luma
from srfusion_training.evaluate.measures import psnr, ssim


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """uint8[height, width, 3] with detail at several sizes."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), dtype=np.float32)
    for scale in (4, 16, 64):
        coarse = random.uniform(-60, 60, (height // scale + 2, width // scale + 2, 3))
        image += resize.resize(coarse, float(scale))[:height, :width]
    return resize.to_u8(image + 128.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two photographs, two portraits for training, and one development picture of each kind."""
    root = tmp_path / "data"
    # Names whose checksum puts them on both sides of the split between training and held-out pictures.
    names = [f"picture-{index}.png" for index in range(200)]
    inside = next(name for name in names if not pictures.is_held_out(name))
    outside = next(name for name in names if pictures.is_held_out(name))
    rows = ["path,x0,y0,x1,y1"]
    for seed, name in enumerate((inside, outside)):
        for subject, size in (("general", (480, 520)), ("face", (512, 512))):
            path = root / "train" / subject / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(texture(*size, seed)).save(path)
        rows.append(f"train/face/{name},0.25,0.2,0.7,0.75")
    for index, name in enumerate(("Set5", "Set14", "BSD100", "Urban100")):
        high = texture(90, 101, 10 + index)
        for kind, picture in (("HR", high), ("LRx4", resize.resize_u8(resize.mod4(high), 0.25))):
            (root / "dev" / "general" / name / kind).mkdir(parents=True)
            Image.fromarray(picture).save(root / "dev" / "general" / name / kind / "one.png")
    (root / "dev" / "face").mkdir(parents=True)
    Image.fromarray(texture(300, 280, 20)).save(root / "dev" / "face" / "one.png")
    rows.append("dev/face/one.png,0.2,0.1,0.7,0.8")
    (root / "faces.csv").write_text("\n".join(rows) + "\n")
    return root


def test_prepare_train_resume_export_and_evaluate(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cache, checkpoints, models = (str(tmp_path / name) for name in ("cache", "checkpoints", "models"))
    Path(models).mkdir()
    assert main(["prepare", "--data", str(folder), "--cache", cache]) == 0
    train = ["train-generator", "--cache", cache, "--checkpoints", checkpoints, "--side", "96", "--batch", "2"]
    small = ["--channels", "8", "--convolutions", "2", "--expansion", "16", "--every", "2"]
    assert main([*train, *small, "--subject", "general", "--steps", "3"]) == 0
    assert main([*train, *small, "--subject", "general", "--steps", "5"]) == 0, "it goes on from step 3"
    assert main([*train, "--subject", "face", "--from", f"{checkpoints}/general.pt", "--steps", "4", "--every", "2"]) == 0
    curve = [json.loads(line)["steps"] for line in Path(checkpoints, "general.jsonl").read_text().splitlines()]
    assert curve == [2, 3, 4, 5]
    for subject in ("general", "face"):
        export = ["export-generator", "--subject", subject, "--checkpoint", f"{checkpoints}/{subject}.pt"]
        # The mean of one and the same is that one.
        same = [] if subject == "general" else ["--mean-with", f"{checkpoints}/face.pt", "--mean-with", f"{checkpoints}/face.pt"]
        assert main([*export, *same, "--models", models, "--trained-on", "nothing real"]) == 0
    assert Path(models, "models.toml").read_text().count("receptive-radius = 4") == 2
    run = onnxruntime.InferenceSession(f"{models}/face-x4.onnx", providers=["CPUExecutionProvider"])
    assert run.run(None, {"input": np.zeros((2, 3, 5, 6), np.float32)})[0].shape == (2, 3, 20, 24)
    capsys.readouterr()
    assert main(["evaluate-generator", "--data", str(folder), "--models", models, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["general"]) == {"Set5", "Set14", "BSD100", "Urban100"}
    assert set(result["face"]["32 px"]) == {"bicubic", "general", "face"}
    assert main(["evaluate-generator", "--data", str(folder), "--models", models, "--noise", "12", "--json"]) == 0
    noisy = json.loads(capsys.readouterr().out)
    assert noisy["general"]["Set5"]["bicubic"]["psnr"] < result["general"]["Set5"]["bicubic"]["psnr"]
    assert main(["evaluate-generator", "--data", str(folder), "--models", models, "--noise", "0"]) == 1


def test_a_missing_folder_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["prepare", "--data", str(tmp_path / "none"), "--cache", str(tmp_path / "cache")]) == 1
    assert "none/train/general: no such folder of pictures" in capsys.readouterr().err


def test_jitter_stays_in_range_and_keeps_some() -> None:
    import torch

    high = torch.from_numpy(texture(40, 40, 3)).permute(2, 0, 1).float().expand(64, 3, 40, 40)
    changed = patches.jitter(high, np.random.default_rng(0))
    assert changed.min() >= 0.0 and changed.max() <= 255.0 and torch.equal(changed, changed.round())
    kept = (changed == high).flatten(1).all(dim=1).float().mean()
    assert 0.1 < kept < 0.5


def test_a_turned_box_stays_on_its_face() -> None:
    image = np.zeros((200, 240, 3), dtype=np.uint8)
    image[80:120, 90:130] = 255
    cut, box = pictures._rotated(image, 10.0, [90.0, 80.0, 130.0, 120.0])
    rows, columns = np.nonzero(cut[..., 0] > 128)
    assert abs(rows.mean() + 0.5 - (box[1] + box[3]) / 2) < 1.0
    assert abs(columns.mean() + 0.5 - (box[0] + box[2]) / 2) < 1.0


def test_measures_agree_with_known_values() -> None:
    flat = np.full((20, 20), 100.0)
    assert psnr(flat, flat + 10.0) == pytest.approx(28.1308, abs=1e-4)
    assert ssim(flat, flat) == pytest.approx(1.0)
    assert luma(np.array([[[255, 255, 255], [0, 0, 0]]], dtype=np.uint8)) == pytest.approx(np.array([[235.0, 16.0]]), abs=0.01)


def test_ssim_agrees_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    first, second = (texture(60, 70, seed)[..., 1].astype(np.float64) for seed in (1, 2))
    second = 0.7 * first + 0.3 * second
    theirs, full = metrics.structural_similarity(
        first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0, full=True
    )
    assert ssim(first, second) == pytest.approx(float(full[5:-5, 5:-5].mean()), abs=1e-9)
