from pathlib import Path

import pytest
from srfusion_farm.films import Doubled, films


def test_every_film_has_its_output(tmp_path):
    for name in ("a.mp4", "b.avi", "deep/c.webm", "notes.txt", ".hidden.mkv", "out/old.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    out = tmp_path / "out"
    found = films([tmp_path], out)
    assert [film.output.relative_to(out) for film in found] == [Path("a.mp4"), Path("b.mkv"), Path("deep/c.webm")]
    # One that is named is taken whatever it is called.
    assert films([tmp_path / "notes.txt"], out)[0].output == out / "notes.mkv"


def test_no_film_is_lost_to_another(tmp_path):
    for name in ("a.avi", "a.mkv", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(Doubled, match=r"a\.avi.*a\.mkv"):
        films([tmp_path], tmp_path / "out")
    with pytest.raises(Doubled, match="over itself"):
        films([tmp_path / "b.mp4"], tmp_path)
    with pytest.raises(FileNotFoundError, match="none"):
        films([tmp_path / "none.mp4"], tmp_path / "out")
