"""Read and update ``models.toml``, the catalogue that the engine reads.

The file is a list of ``[[model]]`` tables. :func:`update` rewrites the table of one model and leaves every other byte of
the file as it stands, so that two trainings may record their results independently and comments survive.

Keys are in kebab case. A generator's table holds::

    name, role = "generator", subject = "general" | "face", file, sha256, scale, layout = "nchw" | "nhwc",
    channels = "rgb" | "bgr" | "y", range = [a, b] (the tensor's values for sample 0 and sample 255),
    receptive-radius (low-resolution pixels), parameters, licence, trained-on,
    input = "picture" | "interpolated" (is given the bicubic enlargement and gives its size; default: picture),
    stride (sides of its input are multiples of it, and tiles begin at such; default: 1),
    int8-file, int8-sha256 (an eight-bit copy of the same network, if there is one),
    near-radius (low-resolution pixels beyond which the rest of the receptive radius changes a sample by three levels of 255 at most)

A detector's table has role = "detector" and ``family`` besides what its family needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Iterator, Mapping

HEADER = """\
# The models that ship with srfusion, one [[model]] table each. Written by `python -m srfusion_training export-*`.
# `sha256` is of the file; a file that does not match is refused.
"""

_TABLE = re.compile(r"^\s*\[\[\s*model\s*\]\]\s*(#.*)?$")
_OTHER_TABLE = re.compile(r"^\s*\[")
_NAME = re.compile(r"""^\s*name\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


def models_folder() -> Path:
    """The repository's ``models`` folder, which holds this package in ``training``."""
    return Path(__file__).resolve().parents[2]


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _value(value: Any) -> str:
    """One TOML value: bool, int, float, str, or a flat list of those."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are a subset of a TOML basic string's; only DEL needs care and never occurs in our text.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"models.toml holds no value of type {type(value).__name__}")


def format_block(entry: Mapping[str, Any]) -> str:
    """One ``[[model]]`` table in the order of the mapping, ending in a newline."""
    lines = ["[[model]]"]
    for key, value in entry.items():
        if not _BARE_KEY.match(key):
            raise ValueError(f"key {key!r} is not a bare TOML key")
        lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _blocks(lines: list[str]) -> Iterator[tuple[int, int, str | None]]:
    """(first line, line after the last, name) of each ``[[model]]`` table.

    Blank and comment lines at the end of a table are left outside it: they introduce what follows.
    """
    start = 0
    while start < len(lines):
        if not _TABLE.match(lines[start]):
            start += 1
            continue
        end = start + 1
        name = None
        while end < len(lines) and not _OTHER_TABLE.match(lines[end]):
            found = _NAME.match(lines[end])
            if found and name is None:
                name = found.group(1) if found.group(1) is not None else found.group(2)
            end += 1
        last = end
        while last > start + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        yield start, last, name
        start = end


def replace_block(text: str, entry: Mapping[str, Any]) -> str:
    """``text`` of a models.toml with the table named ``entry["name"]`` replaced, or appended where there was none."""
    name = entry["name"]
    block = format_block(entry)
    lines = text.splitlines(keepends=True)
    for first, last, found in _blocks(lines):
        if found == name:
            return "".join(lines[:first]) + block + "".join(lines[last:])
    head = text if text.strip() else HEADER
    return head.rstrip("\n") + "\n\n" + block


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``folder`` itself: nothing is left behind, and a process that dies lets go."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def update(entry: Mapping[str, Any], models: Path | str | None = None) -> dict[str, Any]:
    """Write ``entry`` into ``models/models.toml`` and return it with ``sha256`` filled in from ``entry["file"]``.

    ``models`` is the folder with models.toml and the ONNX files, default :func:`models_folder`. The file is replaced
    in one rename, so that a reader never sees half of it.
    """
    folder = Path(models) if models is not None else models_folder()
    complete: dict[str, Any] = {}
    digest = sha256_of(folder / entry["file"])
    for key, value in entry.items():
        if key != "sha256":
            complete[key] = value
        if key == "file":
            complete["sha256"] = digest
    catalogue = folder / "models.toml"
    with _locked(folder):
        text = catalogue.read_text(encoding="utf-8") if catalogue.exists() else ""
        changed = replace_block(text, complete)
        _replace(catalogue, changed)
    return complete


def entry_of(file: str, models: Path | str) -> dict[str, Any] | None:
    """The table of models.toml in ``models`` whose ``file`` is this one, if both are there."""
    catalogue = Path(models) / "models.toml"
    if not catalogue.exists():
        return None
    return next((entry for entry in _tables(catalogue.read_text(encoding="utf-8")) if entry.get("file") == file), None)


def _tables(text: str) -> Iterator[dict[str, Any]]:
    """Keys and values of each ``[[model]]`` table, as far as they are numbers, strings, booleans or flat lists, which are JSON's too."""
    lines = text.splitlines(keepends=True)
    for first, last, _ in _blocks(lines):
        entry: dict[str, Any] = {}
        for line in lines[first + 1 : last]:
            key, _, value = line.partition("=")
            with contextlib.suppress(json.JSONDecodeError):
                entry[key.strip()] = json.loads(value)
        yield entry


def extend(file: str, fields: Mapping[str, Any], models: Path | str | None = None) -> None:
    """Set ``fields`` in the table of models.toml whose ``file`` is this one, in place or at its end; all else stays as it is.

    ValueError if there is no such table.
    """
    folder = Path(models) if models is not None else models_folder()
    catalogue = folder / "models.toml"
    if not catalogue.exists():
        raise FileNotFoundError(f"{catalogue}: not there")
    with _locked(folder):
        lines = catalogue.read_text(encoding="utf-8").splitlines(keepends=True)
        for first, last, _ in _blocks(lines):
            table = lines[first:last]
            if any(re.match(rf"^\s*file\s*=\s*[\"']{re.escape(file)}[\"']", line) for line in table):
                break
        else:
            raise ValueError(f"{catalogue}: no [[model]] has the file {file}")
        for key, value in fields.items():
            written = f"{key} = {_value(value)}\n"
            places = [index for index, line in enumerate(table) if re.match(rf"^\s*{re.escape(key)}\s*=", line)]
            if places:
                table[places[0]] = written
            else:
                if not table[-1].endswith("\n"):
                    table[-1] += "\n"
                table.append(written)
        _replace(catalogue, "".join([*lines[:first], *table, *lines[last:]]))


def _replace(file: Path, text: str) -> None:
    """Write a file in one rename, so that a reader never sees half of it."""
    handle, temporary = tempfile.mkstemp(prefix=f".{file.stem}-", suffix=file.suffix, dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, file)
