"""Which files become which outputs. Reads names only."""

from dataclasses import dataclass
from pathlib import Path

# What the command writes; all else becomes Matroska, which holds nearly everything.
WRITABLE = {".mp4", ".m4v", ".mov", ".mkv", ".webm"}
# What is taken for a film in a folder; files that are named are taken whatever they are.
FILMS = WRITABLE | {".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".vob", ".mxf"}


@dataclass(frozen=True)
class Film:
    """A film and its output, both as absolute paths: every machine must see them there."""

    source: Path
    output: Path


class Doubled(ValueError):
    """Two films would become one output."""


def films(inputs, out):
    """The films of `inputs`, files and folders, with their outputs in the folder `out`, in order.

    Raises FileNotFoundError for an input that is not there, Doubled where two would have one output.
    """
    out = Path(out).absolute()
    found, taken = [], {}
    for name in inputs:
        source = Path(name).absolute()
        if source.is_dir():
            pairs = [(path, path.relative_to(source)) for path in sorted(source.rglob("*"))
                     if path.suffix.lower() in FILMS and path.is_file() and not out_of(path, source, out)]
        elif source.is_file():
            pairs = [(source, Path(source.name))]
        else:
            raise FileNotFoundError(f"{name}: no such file or folder")
        for path, place in pairs:
            suffix = place.suffix if place.suffix.lower() in WRITABLE else ".mkv"
            output = (out / place).with_suffix(suffix)
            if output in taken:
                raise Doubled(f"{taken[output]} and {path} would both become {output}; rename one of them")
            if output == path:
                raise Doubled(f"{path} would be written over itself; name another folder with --out")
            taken[output] = path
            found.append(Film(path, output))
    return found


def out_of(path, source, out):
    """Whether a file below the folder `source` is hidden, or an output of an earlier run."""
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return hidden or (out in path.parents and out != source)
