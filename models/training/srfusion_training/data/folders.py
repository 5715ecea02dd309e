"""Folders that the commands use when none is named, each with a variable of the environment."""

from __future__ import annotations

import os
from pathlib import Path


def repository_folder() -> Path:
    """The folder that holds ``models/training``."""
    return Path(__file__).resolve().parents[4]


def default_data() -> Path:
    """``SRFUSION_DATA``, else ``../shared/data`` from the repository."""
    return Path(os.environ.get("SRFUSION_DATA") or repository_folder().parent / "shared" / "data")


def default_cache() -> Path:
    """``SRFUSION_TRAIN_CACHE``, else ``train-cache`` beside the repository."""
    return Path(os.environ.get("SRFUSION_TRAIN_CACHE") or repository_folder().parent / "train-cache")


def default_checkpoints() -> Path:
    """``SRFUSION_TRAIN_CHECKPOINTS``, else ``train-checkpoints`` beside the repository."""
    return Path(os.environ.get("SRFUSION_TRAIN_CHECKPOINTS") or repository_folder().parent / "train-checkpoints")
