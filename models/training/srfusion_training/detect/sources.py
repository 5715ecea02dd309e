"""What detectors are trained on: one line a subject, and nothing else of the detector's training knows their names.

A source draws pictures with their truth (``sample()``); where its objects are boxes alone ``points`` is 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import cutouts, mosaics, text_scenes


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the training pictures of one detector come from."""

    make: Callable[[Path, int, int, bool], Any]  #: (cache, side, seed, held out or not) -> what has ``sample()``
    prepare: Callable[[Path, Path], None]  #: (data folder, cache): fills the cache, once
    points: int  #: landmarks of an object
    mirrors: bool  #: whether an object seen in a mirror is still one
    longest: int  #: side to which the engine shrinks larger frames for it: models.toml's input-size
    judged: int  #: side of the held-out pictures that the threshold is chosen on
    trained_on: str  #: for models.toml
    rules: dict[str, Any] = dataclasses.field(default_factory=dict)  #: likewise: how the engine follows and masks its objects


SOURCES = {
    "face": Source(
        mosaics.Mosaics, cutouts.prepare, 5, True, 960, 288,
        "CivilServiceUSA portraits (MIT), Face Research Lab London set (CC BY 4.0), 498 photographs and frames of 16 clips (CC0, CC BY(-SA), free use, Unsplash, Pexels, Pixabay, MIT, BSD, Apache)",
    ),
    "text": Source(
        text_scenes.TextScenes, text_scenes.prepare, 0, False, 640, 320,
        "words rendered with free fonts (OFL, Apache-2.0, Bitstream Vera) over photographs without text: CC BY(-SA), CC0, free use (models/cards/text-detector.md)",
        {"min-size": 5.0, "max-objects": 96, "mask-padding": 0.2},
    ),
}  # fmt: skip
