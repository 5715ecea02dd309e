#!/usr/bin/env python3
"""Makes a Python wheel of the command, the plugin and the models, without a build backend.

Called by scripts/package. Everything lies in the one folder `srfusion` of site-packages, where the command finds its models and the
wrapper the library of ONNX Runtime's own wheel, on which this one depends. Standard library only; the same files make the same bytes.
"""

import argparse
import base64
import hashlib
import platform
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Earliest time that a zip file can hold.
TIME = (1980, 1, 1, 0, 0, 0)

WRAPPER = '''"""srfusion: upscales video four times, with a network of its own for faces.

The command `srfusion` comes with this package. `environment()` has GStreamer find the element `srfusion`, in a process that is started
with it:

    subprocess.run(["gst-inspect-1.0", "srfusion"], env=srfusion.environment())
"""

import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _runtime():
    """The library of ONNX Runtime's wheel, unless the user names another."""
    found = importlib.util.find_spec("onnxruntime")
    for folder in (found.submodule_search_locations or []) if found else []:
        libraries = sorted(Path(folder, "capi").glob("libonnxruntime.so.1.*"))
        if libraries:
            return str(libraries[-1])
    return None


def environment(base=None):
    """A copy of `base` (this process's environment) in which GStreamer finds the element, and the element its runtime."""
    made = dict(os.environ if base is None else base)
    runtime = _runtime()
    if runtime and not made.get("ORT_DYLIB_PATH"):
        made["ORT_DYLIB_PATH"] = runtime
    plugins = [str(_HERE / "lib" / "gstreamer-1.0"), made.get("GST_PLUGIN_PATH_1_0", "")]
    made["GST_PLUGIN_PATH_1_0"] = os.pathsep.join(filter(None, plugins))
    return made


def main():
    """Becomes the command."""
    program = str(_HERE / "bin" / "srfusion")
    os.execve(program, ["srfusion", *sys.argv[1:]], environment())
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--built", type=Path, required=True, help="folder of cargo's output")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    info = f"srfusion-{options.version}.dist-info"
    tag = f"py3-none-linux_{platform.machine()}"
    files: list[tuple[str, bytes, int]] = [
        ("srfusion/__init__.py", WRAPPER.encode(), 0o644),
        ("srfusion/bin/srfusion", (options.built / "srfusion").read_bytes(), 0o755),
        ("srfusion/lib/gstreamer-1.0/libgstsrfusion.so", (options.built / "libgstsrfusion.so").read_bytes(), 0o644),
    ]
    models = ROOT / "models"
    for path in [models / "models.toml", *sorted(models.glob("*.onnx")), *sorted((models / "cards").iterdir())]:
        files.append((f"srfusion/share/srfusion/models/{path.relative_to(models)}", path.read_bytes(), 0o644))
    for name in ("LICENSE-MIT", "LICENSE-APACHE", "NOTICE"):
        files.append((f"{info}/licenses/{name}", (ROOT / name).read_bytes(), 0o644))
    metadata = [
        "Metadata-Version: 2.1",
        "Name: srfusion",
        f"Version: {options.version}",
        "Summary: Upscales video four times, with a network of its own for faces: a command and a GStreamer element",
        "License: MIT OR Apache-2.0",
        "Requires-Python: >=3.9",
        # The oldest whose interface the engine uses.
        "Requires-Dist: onnxruntime >=1.17",
        "Description-Content-Type: text/markdown",
        "",
        (ROOT / "README.md").read_text(encoding="utf-8"),
    ]
    files += [
        (f"{info}/METADATA", "\n".join(metadata).encode(), 0o644),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: srfusion\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644),
        (f"{info}/entry_points.txt", b"[console_scripts]\nsrfusion = srfusion:main\n", 0o644),
    ]
    record = []
    for name, content, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(content)}\n")
    record.append(f"{info}/RECORD,,\n")
    files.append((f"{info}/RECORD", "".join(record).encode(), 0o644))

    options.out.mkdir(parents=True, exist_ok=True)
    wheel = options.out / f"srfusion-{options.version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in files:
            entry = zipfile.ZipInfo(name, TIME)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    print(wheel)


if __name__ == "__main__":
    main()
