#!/usr/bin/env python3
"""Makes PyTorch's Linux wheel importable on a machine without a GPU, without NVIDIA's libraries (4 GB).

PyPI has PyTorch for Linux only as built for CUDA. Its libraries are linked with cuBLAS, cuDNN, NCCL and others, which are
needed for the import to succeed although nothing on a CPU ever calls them. For each of these that is not installed this
program builds a small library of the same name in torch/lib: every function that PyTorch refers to is there and returns 1,
which NVIDIA's libraries use for an error. CUDA's runtime itself (2 MB) must be the real one: it is asked how many devices
there are and says none.

Usage: torch_cpu.py SITE_PACKAGES, with PyTorch, nvidia-cuda-runtime and nvidia-cuda-cupti installed there. Needs cc and
readelf. Used by scripts/setup; the real libraries take their place when they are installed and torch/lib/srfusion-stand-ins
(the list of what was made) is removed with the files it names.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

# Libraries without symbol versions are told by what their functions' names begin with.
PREFIXES = {"libnccl": "nccl", "libcusparseLt": "cusparseLt", "libcufile": "cuFile", "libnvshmem_host": "nvshmem"}
SYMBOL = re.compile(r"^\s*\d+: [0-9a-f]+\s+\S+\s+\S+\s+GLOBAL\s+\S+\s+UND\s+(\w+)(?:@(\S+))?", re.MULTILINE)


def readelf(option: str, library: pathlib.Path) -> str:
    """What `readelf` prints about `library`."""
    return subprocess.run(["readelf", "--wide", option, library], check=True, capture_output=True, text=True).stdout


def is_nvidia(soname: str) -> bool:
    """Whether `soname` names a library of NVIDIA's. That of the driver is not linked with, only looked for when asked."""
    return bool(re.match(r"lib(cu|nv|nccl)", soname)) and not soname.startswith("libcuda.")


def missing(site: pathlib.Path) -> dict[str, collections.defaultdict[str, set[str]]]:
    """Sonames that torch/lib needs and nobody provides, each with the functions wanted, by symbol version ("" for none)."""
    libraries = sorted((site / "torch/lib").glob("*.so*"))
    needed = {name for library in libraries for name in re.findall(r"NEEDED.*\[(.+)\]", readelf("--dynamic", library))}
    present = {path.name for path in [*libraries, *(site / "nvidia").glob("*/lib/*.so*")]}
    wanted = {name: collections.defaultdict(set) for name in needed if is_nvidia(name) and name not in present}
    for library in libraries:
        for symbol, version in SYMBOL.findall(readelf("--dyn-syms", library)):
            for soname, symbols in wanted.items():
                prefix = PREFIXES.get(soname.split(".")[0])
                if version == soname or (prefix and symbol.startswith(prefix)):
                    symbols[version].add(symbol)
    return wanted


def build(soname: str, symbols: dict[str, set[str]], folder: pathlib.Path) -> None:
    """Builds the stand-in for `soname` in `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = pathlib.Path(scratch, "stand_in.c"), pathlib.Path(scratch, "stand_in.map")
        names = sorted(set().union(*symbols.values()))
        source.write_text("".join(f"int {name}(void) {{ return 1; }}\n" for name in names) or "typedef int nothing;\n")
        nodes = [f"{version} {{ global: {'; '.join(sorted(of))}; }};\n" for version, of in symbols.items() if version]
        versions.write_text("".join(nodes))
        script = [f"-Wl,--version-script={versions}"] if nodes else []
        command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", "-nostdlib", f"-Wl,-soname,{soname}", *script]
        subprocess.run([*command, "-o", folder / soname, source], check=True)


def main() -> None:
    """Builds what is missing."""
    site = pathlib.Path(sys.argv[1])
    wanted = missing(site)
    for soname, symbols in sorted(wanted.items()):
        build(soname, symbols, site / "torch/lib")
    listed = site / "torch/lib/srfusion-stand-ins"
    before = listed.read_text().split() if listed.exists() else []
    listed.write_text("".join(f"{name}\n" for name in sorted({*before, *wanted})))
    print(f"stand-ins for {len(wanted)} libraries: {' '.join(sorted(wanted))}")


if __name__ == "__main__":
    main()
