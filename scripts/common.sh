# What scripts/setup, scripts/demo, scripts/test and .ci/run share: messages, where things are, which Python.
# Sourced, never run. Sets variables and functions; touches no file until a function is called.
# shellcheck shell=bash disable=SC2034 # The variables are used by the scripts that source this.

# Name in front of every message; the script that sources this sets its own.
: "${program:=srfusion}"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One line of progress. Goes to standard error, so that standard output carries results only.
say() { printf '%s: %s\n' "$program" "$*" >&2; }

# Ends the script: what went wrong, then (further arguments) the way on, one line each.
die() {
    printf '%s: error: %s\n' "$program" "$1" >&2
    shift
    while [ $# -gt 0 ]; do
        printf '%s:   %s\n' "$program" "$1" >&2
        shift
    done
    exit 1
}

# Ends the script for a wrong command line, with status 2 as the srfusion command does.
usage_error() {
    printf '%s: error: %s\n%s:   see: scripts/%s --help\n' "$program" "$1" "$program" "$program" >&2
    exit 2
}

# Where scripts/setup puts ONNX Runtime and where the engine looks for it.
data_home=${XDG_DATA_HOME:-}
if [ -z "$data_home" ]; then
    [ -n "${HOME:-}" ] || die "neither HOME nor XDG_DATA_HOME is set" \
        "set one of them: ONNX Runtime is installed below it"
    data_home=$HOME/.local/share
fi
runtime_dir=$data_home/srfusion/runtime
cache_dir=${XDG_CACHE_HOME:-${HOME:-$data_home}/.cache}/srfusion

# Cargo's output, wherever the user keeps it.
target_dir=${CARGO_TARGET_DIR:-$root/target}
case $target_dir in /*) ;; *) target_dir=$PWD/$target_dir ;; esac

# Path of the installed ONNX Runtime library; status 1 if there is none.
installed_runtime() {
    local file
    for file in "$runtime_dir"/onnxruntime/capi/libonnxruntime.so.1.*; do
        [ -f "$file" ] && printf '%s\n' "$file" && return 0
    done
    return 1
}

# Where scripts/setup puts the programs that only tests and checks use.
tools_dir=$cache_dir/tools

# True if this machine has no network at all: no proxy is set, and no interface but the loopback has a route. Everything else
# that keeps something from being fetched (a proxy that refuses, a registry that is down, a package that is gone) is a failure.
network_absent() {
    [ -z "${http_proxy:-}${https_proxy:-}${all_proxy:-}${HTTP_PROXY:-}${HTTPS_PROXY:-}${ALL_PROXY:-}" ] || return 1
    [ -r /proc/net/route ] || return 1
    awk '(FILENAME ~ /ipv6_route$/ ? $10 : (FNR > 1 ? $1 : "lo")) != "lo" { found = 1 } END { exit found }' \
        /proc/net/route "$([ -r /proc/net/ipv6_route ] && echo /proc/net/ipv6_route || echo /dev/null)"
}

# A Python that can import what is named (for instance gi): python3 of the PATH first, then the system's, because the
# one in front is often pyenv's or conda's and does not see Debian's python3-gi.
python_with() {
    local python
    for python in python3 /usr/bin/python3; do
        if command -v "$python" >/dev/null 2>&1 && "$python" -c "import $1" >/dev/null 2>&1; then
            command -v "$python"
            return 0
        fi
    done
    return 1
}

# Prints the path of a Python whose pip works. Debian's Python may come without pip (then a throw-away virtual
# environment lends one) and is marked as externally managed (which does not concern pip's --target and download).
# $1: an empty folder for that environment.
python_with_pip() {
    local python
    if python_with pip; then
        return 0
    fi
    for python in python3 /usr/bin/python3; do
        if command -v "$python" >/dev/null 2>&1 && "$python" -m venv "$1" >/dev/null 2>&1; then
            printf '%s\n' "$1/bin/python3"
            return 0
        fi
    done
    return 1
}

# pip without the settings of the user's that would get in the way (PIP_USER excludes --target), quietly.
run_pip() {
    local python=$1
    shift
    PIP_USER=no PIP_REQUIRE_VIRTUALENV=no "$python" -m pip --quiet --disable-pip-version-check --no-input "$@"
}

# Lets GStreamer find the plugin that cargo built, and nothing else under target/: the scan is recursive and would load
# every shared object below target/<profile>/deps. Sets GST_PLUGIN_PATH_1_0 and a registry of its own, because the
# user's registry may remember an earlier build. $1: folder of the profile, debug or release.
use_built_plugin() {
    local folder=$target_dir/gstreamer-1.0/$1
    [ -f "$target_dir/$1/libgstsrfusion.so" ] ||
        die "no plugin at $target_dir/$1/libgstsrfusion.so" "build it: cargo build -p gst-plugin-srfusion"
    mkdir -p "$folder"
    ln -sfn "../../$1/libgstsrfusion.so" "$folder/libgstsrfusion.so"
    export GST_PLUGIN_PATH_1_0="$folder${GST_PLUGIN_PATH_1_0:+:$GST_PLUGIN_PATH_1_0}"
    export GST_REGISTRY_1_0="$folder/registry.bin"
    # The element looks for models/ in the folders above the plugin: that fails if target/ is kept elsewhere.
    case $target_dir/ in "$root"/*) ;; *) export SRFUSION_MODELS="${SRFUSION_MODELS:-$root/models}" ;; esac
}
