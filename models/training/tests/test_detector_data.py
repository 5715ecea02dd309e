"""Mosaics from a small synthetic data folder: truth stays on the face whatever is done to it."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest

pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from srfusion_training.detect import cutouts, feeder, photographs  # noqa: E402
from srfusion_training.detect import mosaics as data  # noqa: E402

FACE = (0.3, 0.25, 0.7, 0.8)
POINTS = ((0.4, 0.42), (0.6, 0.42), (0.5, 0.55), (0.43, 0.66), (0.57, 0.66))
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache made from drawn portraits (an oval with five coloured dots) and photographs of noise."""
    root = tmp_path_factory.mktemp("data")
    (root / "train" / "face").mkdir(parents=True)
    (root / "train" / "general").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"person-{i}" for i in range(24)]
    with open(root / "faces.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "x0", "y0", "x1", "y1"] + [f"l{a}{k}" for k in range(5) for a in "xy"])
        for name in names:
            picture = np.full((256, 256, 3), (90, 60, 30), np.uint8)
            cv2.rectangle(picture, (50, 200), (206, 256), (40, 40, 60), -1)
            cv2.ellipse(picture, (128, 134), (52, 72), 0, 0, 360, (120, 150, 200), -1)
            for (x, y), colour in zip(POINTS, COLOURS):
                cv2.circle(picture, (int(x * 256), int(y * 256)), 5, colour[::-1], -1)
            cv2.imwrite(str(root / "train" / "face" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
            writer.writerow([f"train/face/{name}.jpg", *FACE, *[v for point in POINTS for v in point]])
    for i in range(24):
        noise = rng.integers(0, 255, (20, 30, 3), np.uint8)
        cv2.imwrite(str(root / "train" / "general" / f"photo-{i}.jpg"), cv2.resize(noise, (450, 300)))
    folder = tmp_path_factory.mktemp("cache")
    cutouts.prepare(root, folder, say=lambda *a, **k: None)
    return folder


def test_held_out_people_and_photographs_stay_apart(cache):
    train, other = data.Mosaics(cache, 96, 1), data.Mosaics(cache, 96, 1, validation=True)
    assert len(train.people) and len(other.people)
    assert not set(train.people) & set(other.people)
    assert len(train.backgrounds) + len(other.backgrounds) == 24
    assert cutouts.held_out("london-003-neutral.jpg") == cutouts.held_out("london-003-smiling.jpg")


def test_frames_of_clips_are_photographs_and_a_scene_stays_on_one_side(tmp_path):
    folder = tmp_path / "train" / "video"
    folder.mkdir(parents=True)
    writer = cv2.VideoWriter(str(folder / "room-a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (96, 64))
    for level in range(cutouts.CLIP_STEP + 1):
        writer.write(np.full((64, 96, 3), (20 * level, 20, 20), np.uint8))  # blue grows
    writer.release()
    frames = list(cutouts.photographs(tmp_path))
    assert [name for name, _ in frames] == ["room-a.mp4#0", f"room-a.mp4#{cutouts.CLIP_STEP}"]
    assert frames[1][1].shape == (64, 96, 3) and frames[1][1][..., 2].mean() > 120 + frames[1][1][..., 0].mean(), "RGB"
    for scene in range(40):
        assert len({cutouts.held_out(f"scene{scene}-{part}.mp4#{index}") for part in "ab" for index in (0, 8)}) == 1
    (folder / "broken.mp4").write_bytes(b"no clip")
    with pytest.raises(OSError, match=r"broken.mp4: no frame"):
        list(cutouts.clip_frames(tmp_path))


def test_the_same_seed_draws_the_same_pictures(cache):
    first, second = (data.Mosaics(cache, 96, 7) for _ in range(2))
    for _ in range(4):
        a, b = first.sample(), second.sample()
        assert (a.image == b.image).all() and a.boxes.tolist() == b.boxes.tolist()


def test_samples_hold_what_they_promise(cache):
    mosaics = data.Mosaics(cache, 128, 3)
    faces = 0
    for _ in range(40):
        sample = mosaics.sample()
        assert sample.image.shape == (128, 128, 3) and sample.image.dtype == np.uint8
        assert sample.boxes.shape[1:] == (4,) and sample.points.shape == (len(sample.boxes), 5, 2)
        sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
        assert (sides > 0).all() and np.isfinite(sample.points).all()
        assert all(np.sqrt(s.prod()) >= 8 for s in sides)
        # The middle of the five points lies in the box.
        middle = sample.points.mean(1)
        assert (middle >= sample.boxes[:, :2]).all() and (middle <= sample.boxes[:, 2:]).all()
        faces += len(sample.boxes)
    assert faces > 40


def test_points_stay_on_the_dots_under_every_turn(cache, monkeypatch):
    """A large face without recolouring: at each point that lies inside, the picture has that dot's colour."""
    mosaics = data.Mosaics(cache, 256, 11)
    monkeypatch.setattr(mosaics, "_relight", lambda patch, *rest: patch)
    monkeypatch.setattr(mosaics, "_adorn", lambda *args, **kwargs: None)
    close = total = 0
    mirrored = 0
    for _ in range(30):
        scene = data._Scene(np.zeros((256, 256, 3), np.float32), np.zeros((256, 256), np.int32))
        mosaics._paste(scene, 128, 128, 150, "card")
        _, points, _ = scene.faces[0]
        colours = np.array(COLOURS, np.float32)
        seen = [scene.canvas[int(y), int(x)] for x, y in points]
        # A mirrored portrait has its left dot on the right: the truth names points by where they are seen.
        flipped = np.linalg.norm(seen[0] - colours[1]) < np.linalg.norm(seen[0] - colours[0])
        mirrored += int(flipped)
        wanted = colours[list(data.FLIPPED_POINTS)] if flipped else colours
        for got, want in zip(seen, wanted):
            close += int(np.linalg.norm(got - want) < 120)
            total += 1
    assert close >= 0.95 * total
    assert 5 < mirrored < 25


def test_faces_in_photographs_are_where_they_are_said_to_be(cache):
    """A red face and a blue thing to be ignored, on grey: wherever the piece is cut and however it is shrunk, the boxes hold the colours."""
    mosaics = data.Mosaics(cache, 96, 11)
    full = np.full((480, 640, 3), 128, np.uint8)
    face, thing = np.array([300.0, 200.0, 330.0, 240.0]), np.array([350.0, 210.0, 380.0, 250.0])
    full[200:240, 300:330], full[210:250, 350:380] = (255, 0, 0), (0, 0, 255)
    full[205:210, 303:308] = (0, 255, 0)  # left as seen in the picture, and in a mirror right
    levels = [full, *(cv2.resize(full, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) for k in (0.5, 0.25))]
    points = np.array([[305.5, 207.5], [324.5, 207.5], [315, 220], [307, 232], [323, 232]])
    mosaics.people_seen, mosaics.close = [data._Photograph(levels, face[None], points[None], thing[None])], []
    ways = set()
    for _ in range(40):
        scene = mosaics._peopled()
        (box, marks, _), = scene.faces
        red = (scene.canvas[..., 0] > 200) & (scene.canvas[..., 2] < 100)
        rows, columns = np.nonzero(red)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(np.clip(box, 0, 96) - seen).max() < 1.6
        assert (box[:2] <= marks.min(0)).all() and (marks.max(0) <= box[2:]).all()
        ways.add(bool(scene.canvas[tuple(np.clip(marks[0], 0, 95).astype(int)[::-1])][1] > scene.canvas[tuple(np.clip(marks[1], 0, 95).astype(int)[::-1])][1]))
        for hidden in scene.ignored:
            middle = ((hidden[:2] + hidden[2:]) / 2).astype(int)
            if (middle >= 0).all() and (middle < 96).all():
                assert scene.canvas[middle[1], middle[0], 2] > 200
        assert set(np.unique(scene.owner)) <= {0, 1}
    assert len(ways) == 2  # mirrored and not, and the left eye is the one on the left of it


def test_what_is_known_of_photographs_can_be_read():
    known = photographs.known_faces()
    assert sum(len(of.boxes) for of in known.values()) > 100
    for name, of in known.items():
        assert len(of.boxes) == len(of.points) and len(of.boxes) + len(of.ignored), name
        for box in (*of.boxes, *of.ignored):
            assert box[0] < box[2] and box[1] < box[3] and (box > -0.05).all() and (box < 1.05).all(), name


def test_a_hidden_face_is_not_asked_for(cache):
    mosaics = data.Mosaics(cache, 128, 5)
    scene = data._Scene(np.zeros((128, 128, 3), np.float32), np.zeros((128, 128), np.int32))
    mosaics._paste(scene, 64, 64, 50, "card", mild=True)
    image = scene.canvas.astype(np.uint8)
    assert len(mosaics._truth(scene, image, 1.0).boxes) == 1
    assert len(mosaics._truth(scene, image, 20.0).boxes) == 0  # blurred beyond recognition
    x0, y0, x1, y1 = scene.faces[0][0].astype(int)
    scene.owner[y0:y1, x0:x0 + int(0.7 * (x1 - x0))] = 0
    half = mosaics._truth(scene, image, 1.0)
    assert len(half.boxes) == 0 and len(half.ignore) == 1
    scene.owner[:] = 0
    gone = mosaics._truth(scene, image, 1.0)
    assert len(gone.boxes) == 0 and len(gone.ignore) == 0


def test_mirroring_twice_gives_the_sample_back(cache):
    sample = data.Mosaics(cache, 96, 9).sample()
    again = feeder.mirrored(feeder.mirrored(sample))
    assert (again.image == sample.image).all()
    assert np.allclose(again.boxes, sample.boxes, atol=1e-3) and np.allclose(again.points, sample.points, atol=1e-3)


def test_a_quick_trainer_gets_all_that_is_ready(cache):
    """Samples are larger than the pipe that they come through, so at most one of them is in it."""
    source = feeder.Feeder(cache, 192, 3)
    try:
        source.batch(8, warm_up=8)
        for _ in range(300):
            if source.queue.qsize() >= 40:
                break
            time.sleep(0.1)
        source.fresh = 0
        source.batch(16, warm_up=8)
        assert source.fresh > 8
    finally:
        source.close()


def test_training_runs_stops_and_goes_on(cache, tmp_path):
    """A few steps through the command, then a few more from the checkpoint."""
    import argparse

    import torch
    from srfusion_training.commands import train_detector as train

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    common = ["--cache", str(cache), "--checkpoints", str(tmp_path), "--data", str(tmp_path), "--batch", "2", "--side", "64", "--channels", "16", "--minutes", "5"]
    assert train.run(parser.parse_args([*common, "--max-steps", "2"])) == 0
    assert torch.load(tmp_path / "detector.pt", weights_only=True)["step"] == 2
    assert train.run(parser.parse_args([*common, "--max-steps", "3"])) == 0
    assert torch.load(tmp_path / "detector.pt", weights_only=True)["step"] == 3
