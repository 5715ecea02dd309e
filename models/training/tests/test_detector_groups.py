"""Recall by group: the same places for everybody, boxes where the face is, groups from the set's own table."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from srfusion_training.detect import groups, skin  # noqa: E402
from srfusion_training.detect.detectors import Detections  # noqa: E402

FACE = np.array([150.0, 130.0, 350.0, 400.0])


def head(person: str) -> groups.Head:
    """A red oval that fills the face's box on blue; the mask is the oval."""
    picture, mask = np.zeros((512, 512, 3), np.uint8), np.zeros((512, 512), np.uint8)
    picture[..., 2] = 255
    cv2.ellipse(picture, (250, 265), (100, 135), 0, 0, 360, (255, 0, 0), -1)
    cv2.ellipse(mask, (250, 265), (100, 135), 0, 0, 360, 255, -1)
    return groups.Head(person, picture, mask, FACE)


def place(**changes) -> groups.Place:
    black = np.zeros((groups.HEIGHT, groups.WIDTH, 3))
    return groups.Place(**{"canvas": black.astype(np.uint8), "spot": np.array([0.3, 0.8]), "tilt": 0.0, "light": 1.0, "grain": black.astype(np.float32), **changes})


@pytest.mark.parametrize("height", groups.HEIGHTS)
@pytest.mark.parametrize("tilt", [0.0, 14.0])
def test_the_box_holds_the_face(height, tilt):
    picture, box = groups.compose(head("001"), place(tilt=tilt), height)
    ys, xs = np.nonzero(picture[..., 0] > 127)
    seen = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert np.abs(seen - box).max() <= 1.6
    assert picture[..., 2].max() < 140, "what the mask leaves out must not be seen"


def test_places_are_the_same_for_the_same_seed():
    photographs = [np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)]
    first, again = groups.places(photographs, 2), groups.places(photographs, 2)
    assert all((a.canvas == b.canvas).all() and (a.grain == b.grain).all() and (a.spot == b.spot).all() for a, b in zip(first, again))
    assert (first[0].canvas != first[1].canvas).any()


def test_groups_are_counted_and_compared(tmp_path):
    table = tmp_path / groups.TABLE
    table.write_text("face_id,face_age,face_sex,face_eth\nX001,24,female,white\nX002,30,male,black\n")
    kinds = groups.read_table(table)
    summary = groups.summarise({"001": [3, 4], "002": [4, 4], "009": [0, 4]}, kinds["ethnicity"])
    assert summary == {"black": (1, 4, 4), "white": (1, 3, 4), "not told": (1, 0, 4)}
    assert groups.spread(summary) == pytest.approx(0.25)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="face_eth"):
        groups.read_table(table)


@pytest.mark.parametrize(("lab", "name"), [((80, 10, 12), "very light"), ((65, 12, 20), "tan"), ((55, 14, 20), "brown"), ((30, 12, 14), "very dark")])
def test_skin_tones_are_read_off_the_cheeks(lab, name):
    """Of a face of one colour, whose eyes, mouth and surroundings are another."""
    colour = cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_LAB2RGB)[0, 0] * 255
    picture = np.zeros((512, 512, 3), np.uint8)
    cv2.ellipse(picture, (250, 265), (100, 135), 0, 0, 360, [float(v) for v in colour], -1)
    points = np.array([[210.0, 240], [290, 240], [250, 290], [220, 340], [280, 340]])
    for x, y in points:
        cv2.circle(picture, (int(x), int(y)), 8, (20, 20, 200), -1)
    assert skin.tone(skin.typology_angle(picture, FACE, points)) == name
    assert skin.tone(skin.typology_angle(picture[:, ::-1], np.array([512 - FACE[2], FACE[1], 512 - FACE[0], FACE[3]]), points[[1, 0, 2, 4, 3]] * [-1, 1] + [512, 0])) == name


def test_a_detector_that_sees_only_the_bright_finds_only_those():
    def bright(picture, threshold):
        ys, xs = np.nonzero(picture[..., 0] > 127)
        if not len(ys):
            return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
        return Detections(np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32), np.ones(1, np.float32))

    result = groups.measure(bright, [head("001")], [place(), place(light=0.3)], 0.5, 0.5)
    assert all(row["people"] == {"001": [1, 2]} and row["false"] == 0 for row in result.values())
