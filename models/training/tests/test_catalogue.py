"""The catalogue keeps what it does not own."""

from srfusion_training import catalogue

BEFORE = """\
# head
[[model]]
name = "a"
file = "a.onnx"
sha256 = "old"

# about b
[[model]]
name = "b"
file = "b.onnx"
"""


def test_a_block_is_replaced_and_the_others_stay(tmp_path):
    (tmp_path / "models.toml").write_text(BEFORE)
    (tmp_path / "a.onnx").write_bytes(b"weights")
    written = catalogue.update({"name": "a", "file": "a.onnx", "range": [0.0, 1.0], "scale": 4}, tmp_path)
    text = (tmp_path / "models.toml").read_text()
    assert written["sha256"] == catalogue.sha256_of(tmp_path / "a.onnx")
    assert text.startswith("# head\n[[model]]\nname = \"a\"\n")
    assert "old" not in text
    assert "range = [0.0, 1.0]\nscale = 4\n" in text
    assert text.endswith(BEFORE[BEFORE.index("\n# about b"):])


def test_a_new_block_is_appended_and_a_second_update_changes_nothing(tmp_path):
    (tmp_path / "models.toml").write_text(BEFORE)
    (tmp_path / "c.onnx").write_bytes(b"c")
    catalogue.update({"name": "c", "file": "c.onnx", "licence": 'a "quoted" one'}, tmp_path)
    first = (tmp_path / "models.toml").read_text()
    assert first.startswith(BEFORE)
    assert first.count("[[model]]\n") == 3
    catalogue.update({"name": "c", "file": "c.onnx", "licence": 'a "quoted" one'}, tmp_path)
    assert (tmp_path / "models.toml").read_text() == first


def test_the_file_is_made_where_there_is_none(tmp_path):
    (tmp_path / "d.onnx").write_bytes(b"d")
    catalogue.update({"name": "d", "file": "d.onnx"}, tmp_path)
    text = (tmp_path / "models.toml").read_text()
    assert text.startswith("# The models") and text.count("\n[[model]]\n") == 1
