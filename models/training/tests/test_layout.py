"""The package's rooms: import-linter's contracts of pyproject.toml hold."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_rooms_import_downwards_and_never_in_circles() -> None:
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if tool is None:
        print("skipped: import-linter is not installed; scripts/setup --training installs it")
        pytest.skip("import-linter is not installed")
    found = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})
    assert found.returncode == 0, found.stdout + found.stderr
