"""The face detector's parts, on pictures made here: no data folder is needed."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from srfusion_training.commands import evaluate_detector, export_detector  # noqa: E402
from srfusion_training.detect import detectors as evaluate, export  # noqa: E402
from srfusion_training.losses.detection import DetectorLoss, assign, cells, complete_iou  # noqa: E402
from srfusion_training.nets.face_detector import (  # noqa: E402
    ROWS,
    STRIDES,
    FaceDetector,
    folded,
)


def test_predictions_have_fifteen_rows_and_one_column_per_cell():
    model = FaceDetector(16).eval()
    with torch.no_grad():
        out = model(torch.rand(2, 3, 64, 96))
    assert out.shape == (2, ROWS, 8 * 12 + 4 * 6 + 2 * 3)
    assert (out[:, 4] > 0).all() and (out[:, 4] < 1).all()
    assert (out[:, 2:4] > 0).all()


def test_cells_follow_the_order_of_the_output():
    """With zero offsets a decoded centre is its cell's centre, in the order that training assumes."""
    grid = cells(64, 96)
    places = []
    for stride in STRIDES:
        h, w = 64 // stride, 96 // stride
        place, marks = FaceDetector.decode(torch.zeros(1, 4, h, w), torch.zeros(1, 10, h, w), stride)
        assert torch.allclose(marks[0, 0], place[0, 0]) and torch.allclose(marks[0, 9], place[0, 1])
        places.append(place)
    place = torch.cat(places, 2)[0].numpy()
    assert np.allclose(place[:2].T, grid[:, :2])
    assert np.allclose(place[2], grid[:, 2]) and np.allclose(place[3], grid[:, 2])


def test_folding_changes_nothing_and_removes_normalisation():
    torch.manual_seed(0)
    model = FaceDetector(16)
    model.train()
    for _ in range(3):
        model(torch.rand(2, 3, 64, 64))
    model.eval()
    flat = folded(model)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(images), flat(images), atol=1e-3)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in flat.modules())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


def test_the_shipped_width_fits_its_limit():
    assert len(export.to_onnx(FaceDetector().eval())) < 1_500_000


@pytest.mark.parametrize("side, strides", [(12, {8}), (40, {8, 16}), (70, {16}), (100, {16, 32}), (250, {32})])
def test_faces_go_to_the_strides_of_their_size(side, strides):
    grid = cells(320, 320)
    box = np.array([[160 - side * 0.4, 150 - side / 2, 160 + side * 0.4, 150 + side / 2]], np.float32)
    chosen, skipped = assign(grid, box, np.zeros((0, 4), np.float32))
    assert set(grid[chosen == 0, 2].astype(int)) == strides
    assert not skipped.any()
    near = np.abs(grid[chosen == 0, :2] - [160, 150]).max(1) / grid[chosen == 0, 2]
    assert near.max() < 1.25


def test_every_face_has_a_cell_and_ignored_ground_counts_nothing():
    grid = cells(96, 96)
    boxes = np.array([[10, 10, 17, 20], [50, 50, 90, 92]], np.float32)
    chosen, skipped = assign(grid, boxes, np.array([[0, 60, 30, 96], [48, 48, 94, 94]], np.float32))
    assert {0, 1} <= set(chosen.tolist())
    assert skipped.any() and not (skipped & (chosen >= 0)).any()


def test_complete_iou_is_one_for_equal_boxes_and_falls_with_distance():
    a = torch.tensor([[10.0, 10, 8, 12], [10, 10, 8, 12], [10, 10, 8, 12]])
    b = torch.tensor([[10.0, 10, 8, 12], [14, 10, 8, 12], [60, 10, 8, 12]])
    complete, iou = complete_iou(a, b)
    assert torch.allclose(complete[0], torch.tensor(1.0), atol=1e-4)
    assert iou[1] == pytest.approx(1 / 3, abs=1e-3)
    assert complete[0] > complete[1] > complete[2]
    assert iou[2] == 0 and complete[2] < 0


def _white_square_samples():
    pytest.importorskip("cv2")
    from srfusion_training.detect.mosaics import Sample

    samples = []
    for x, y in ((30, 40), (60, 30), (50, 64), (34, 60)):
        image = np.full((96, 96, 3), 40, np.uint8)
        image[y - 10:y + 10, x - 8:x + 8] = 230
        points = np.array([[[x - 4, y - 4], [x + 4, y - 4], [x, y], [x - 3, y + 5], [x + 3, y + 5]]], np.float32)
        samples.append(Sample(image, np.array([[x - 8, y - 10, x + 8, y + 10]], np.float32), points, np.zeros((0, 4), np.float32)))
    return samples


def test_a_few_steps_learn_white_squares():
    """Network, assignment, loss and decoding pull the same way: squares are found after a short training."""
    from srfusion_training.detect.train import Average, to_tensor

    samples = _white_square_samples()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = FaceDetector(16)
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    loss_of, average = DetectorLoss(), Average(model)
    history = []
    for step in range(80):
        model.train()
        losses = loss_of(model.raw(to_tensor([s.image for s in samples])), samples)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        average.update(model, step)
        history.append(losses)
    last = history[-10:]
    assert np.mean([h.total.item() for h in last]) < 0.5 * history[0].total.item()
    assert np.mean([h.points for h in last]) < 0.5 * history[0].points
    assert np.mean([h.iou for h in last]) > 0.5
    # The best cells of the averaged network lie on the squares, taken together: one of them may lie at its edge, on one kind of processor
    # and not on another.
    with torch.no_grad():
        found = average.model(to_tensor([s.image for s in samples])).numpy()
    best = np.stack([rows[:2, rows[4].argmax()] for rows in found])
    centres = np.concatenate([(s.boxes[:, :2] + s.boxes[:, 2:]) / 2 for s in samples])
    assert np.all(np.abs(best - centres).mean(axis=0) < 8)


def test_a_batch_without_faces_has_a_finite_loss():
    samples = _white_square_samples()[:1]
    samples[0].boxes, samples[0].points = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
    model = FaceDetector(16)
    losses = DetectorLoss()(model.raw(torch.rand(1, 3, 96, 96)), samples)
    losses.total.backward()
    assert np.isfinite(losses.total.item())


def test_export_is_free_in_batch_and_size_and_equals_the_network(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from srfusion_training.detect import export

    model = FaceDetector(16).eval()
    data = export.to_onnx(model)
    assert export.check(data, model) < 1e-2
    graph = onnx.load_from_string(data)
    assert [o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")] == [17]
    assert [i.name for i in graph.graph.input] == ["images"]
    assert [o.name for o in graph.graph.output] == ["predictions"]
    assert not any(node.op_type in ("BatchNormalization", "NonMaxSuppression") for node in graph.graph.node)


def test_export_command_records_the_file(tmp_path):
    pytest.importorskip("onnxruntime")
    tomllib = pytest.importorskip("tomllib")
    from srfusion_training.catalogue import sha256_of

    model = FaceDetector(16)
    checkpoint = tmp_path / "detector.pt"
    torch.save({"average": model.state_dict(), "channels": 16, "step": 3}, checkpoint)
    parser = argparse.ArgumentParser()
    export_detector.add_arguments(parser)
    assert export_detector.run(parser.parse_args(["--checkpoint", str(checkpoint), "--models", str(tmp_path), "--min-confidence", "0.45"])) == 0
    entry = tomllib.loads((tmp_path / "models.toml").read_text())["model"][0]
    assert entry["name"] == "face-detector" and entry["family"] == "yolo" and entry["stride"] == 32
    assert entry["min-confidence"] == 0.45 and entry["range"] == [0.0, 1.0]
    assert entry["sha256"] == sha256_of(tmp_path / "face-detector.onnx")
    assert evaluate.catalogue_threshold(tmp_path, "face-detector") == 0.45
    assert evaluate.catalogue_threshold(tmp_path, "another") == 0.5
    assert evaluate.catalogue_longest(tmp_path, "face-detector") == entry["input-size"] == 960
    assert evaluate.catalogue_longest(tmp_path, "another") == 640


def test_suppression_keeps_the_best_of_each_heap():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40], [0, 0, 10, 9]], np.float32)
    assert evaluate.suppress(boxes, np.array([0.6, 0.9, 0.5, 0.8], np.float32)).tolist() == [1, 2]
    assert evaluate.suppress(boxes[:0], np.zeros(0, np.float32)).tolist() == []


def test_matching_serves_each_face_once_and_leaves_ignored_boxes_alone():
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    ignore = np.array([[50, 50, 60, 60]], np.float32)
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [51, 51, 59, 59], [80, 80, 90, 90]], np.float32)
    found, false = evaluate.match(boxes, truth, ignore, 0.4)
    assert found.tolist() == [True, False]
    assert false.tolist() == [False, True, False, True]
    found, false = evaluate.match(boxes[:0], truth, ignore, 0.4)
    assert not found.any() and not len(false)


def test_rows_are_decoded_to_corners_and_points():
    rows = np.zeros((15, 3), np.float32)
    rows[:5, 0] = [20, 30, 10, 16, 0.9]
    rows[5:, 0] = np.arange(10)
    rows[:5, 1] = [21, 30, 10, 16, 0.7]
    rows[:5, 2] = [80, 30, 10, 16, 0.2]
    result = evaluate.decode_rows(rows, 0.5)
    assert result.boxes.tolist() == [[15, 22, 25, 38]]
    assert result.points[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert result.scaled(2).boxes.tolist() == [[30, 44, 50, 76]]


def test_pictures_are_fed_as_the_engine_feeds_them():
    picture = np.full((100, 1280, 3), 200, np.uint8)
    fed, factor = evaluate.letterboxed(picture, 640)
    assert factor == 0.5 and fed.shape == (64, 640, 3)
    assert (fed[:50] == 200).all() and (fed[50:] == 0).all()
    small = np.zeros((33, 64, 3), np.uint8)
    fed, factor = evaluate.letterboxed(small, 640)
    assert factor == 1.0 and fed.shape == (64, 64, 3)


def test_evaluate_needs_its_data_and_says_so(tmp_path):
    parser = argparse.ArgumentParser()
    evaluate_detector.add_arguments(parser)
    with pytest.raises(FileNotFoundError, match="boxes.json"):
        evaluate_detector.run(parser.parse_args(["--data", str(tmp_path)]))


def test_evaluate_reports_each_group(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    from PIL import Image
    from srfusion_training.detect import export

    folder = tmp_path / "dev" / "detect"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(folder / "a.png")
    (folder / "boxes.json").write_text(json.dumps([{"file": "a.png", "width": 96, "height": 64, "boxes": [[10, 10, 50, 50]], "ignore": [], "truth": "annotated"}]))
    (tmp_path / "m.onnx").write_bytes(export.to_onnx(FaceDetector(16).eval()))
    parser = argparse.ArgumentParser()
    evaluate_detector.add_arguments(parser)
    arguments = ["--data", str(tmp_path), "--model", str(tmp_path / "m.onnx"), "--threshold", "0.99"]
    assert evaluate_detector.run(parser.parse_args([*arguments, "--json"])) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["detectors"]["m"]["annotated"]["faces"] == 1
    assert report["detectors"]["m"]["annotated"]["by-size"]["32-64"] == [0, 1]
    assert evaluate_detector.run(parser.parse_args(arguments)) == 0
    assert "annotated: 1 pictures" in capsys.readouterr().out


def test_evaluate_counts_the_frames_of_a_clip(tmp_path, capsys):
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("onnxruntime")
    from srfusion_training.detect import export

    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for k in range(6):
        writer.write(np.full((64, 96, 3), 40 * k, np.uint8))
    writer.release()
    (tmp_path / "m.onnx").write_bytes(export.to_onnx(FaceDetector(16).eval()))
    parser = argparse.ArgumentParser()
    evaluate_detector.add_arguments(parser)
    arguments = ["--data", str(tmp_path), "--model", str(tmp_path / "m.onnx"), "--video", str(clip), "--json"]
    assert evaluate_detector.run(parser.parse_args([*arguments, "--threshold", "0.0", "--every", "2"])) == 0
    report = json.loads(capsys.readouterr().out)["clip.avi"]
    assert report["frames"] == 3 and report["detectors"]["m"]["with-face"] == 3
    assert evaluate_detector.run(parser.parse_args([*arguments, "--threshold", "0.99"])) == 0
    report = json.loads(capsys.readouterr().out)["clip.avi"]
    assert report["frames"] == 6 and report["detectors"]["m"]["longest-gap"] == 6
