"""What the tests share: the command, a film, and a cluster of several nodes on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Workers that Ray starts must find the package and the tiny networks.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "farm"), os.environ.get("PYTHONPATH", "")])
os.environ["SRFUSION_MODELS"] = str(ROOT / "models/tiny")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
sys.path.insert(0, str(ROOT / "farm"))


@pytest.fixture(scope="session")
def command():
    """The command as the workspace's build leaves it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("SRFUSION_COMMAND", target / "debug/srfusion"))
    assert path.exists(), f"{path} is not there: cargo build -p srfusion-cli"
    return str(path)


@pytest.fixture
def make(tmp_path):
    """Makes a film of a moving test picture with sound."""

    def film(name, seconds, coding=("-c:v", "libx264", "-g", "4", "-keyint_min", "4", "-sc_threshold", "0")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=s=64x66:r=2:d={seconds}", "-f", "lavfi", "-i",
                        f"sine=440:d={seconds}", *coding, "-pix_fmt", "yuv420p", "-c:a", "aac", path], check=True)
        return path

    return film
