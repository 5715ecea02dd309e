#!/usr/bin/env python3
"""Runs `cargo build` for meson: builds packages, copies their files out and writes a depfile of their sources.

Called by meson.build only. Touches cargo's target folder, the outputs and the depfile. Standard library only.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def workspace_version(manifest: Path) -> str:
    """The version under [workspace.package], read without a TOML parser: Python 3.10 and older have none."""
    section = ""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\s*\[(.+)\]\s*$", line):
            section = header[1]
        elif section == "workspace.package" and (found := re.match(r'\s*version\s*=\s*"([^"]+)"', line)):
            return found[1]
    sys.exit(f"{manifest}: expected a version under [workspace.package], found none")


def sources_of(dep_info: Path) -> list[str]:
    """The prerequisites that cargo lists in a file such as libgstsrfusion.d, still escaped for make."""
    try:
        text = dep_info.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    sources = []
    for line in text.splitlines():
        _, separator, prerequisites = line.partition(": ")
        if separator:
            sources += re.findall(r"(?:\\.|[^\s\\])+", prerequisites)
    return sources


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--print-version", action="store_true", help="print the workspace's version and end")
    parser.add_argument("--cargo", default="cargo", help="cargo to run")
    parser.add_argument("--profile", choices=["dev", "release"], default="release")
    parser.add_argument("--target-dir", type=Path, default=ROOT / "target")
    parser.add_argument("--depfile", type=Path)
    parser.add_argument("--package", nargs=3, action="append", default=[], metavar=("PACKAGE", "FILE", "OUTPUT"),
                        help="build PACKAGE and copy FILE from cargo's output to OUTPUT; may be given more than once")
    options = parser.parse_args()
    if options.print_version:
        print(workspace_version(ROOT / "Cargo.toml"))
        return 0

    command = [options.cargo, "build", "--locked", "--profile", options.profile,
               "--manifest-path", str(ROOT / "Cargo.toml"), "--target-dir", str(options.target_dir)]
    for package, _, _ in options.package:
        command += ["--package", package]
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        return status

    built = options.target_dir / ("debug" if options.profile == "dev" else options.profile)
    rules = []
    for _, name, output in options.package:
        # Under a new name and then renamed: a running pipeline keeps the file that it has mapped.
        partial = f"{output}.partial"
        shutil.copy2(built / name, partial)
        os.utime(partial)
        os.replace(partial, output)
        sources = sources_of((built / name).with_suffix(".d"))
        sources += [str(path).replace(" ", "\\ ") for path in (ROOT / "Cargo.toml", ROOT / "Cargo.lock")]
        rules.append(f"{output}: {' '.join(sources)}\n")
    if options.depfile:
        options.depfile.write_text("".join(rules), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
