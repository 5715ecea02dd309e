"""Calls of the command srfusion, on the machine where the work is done."""

import json
import os
import shutil
import subprocess
import time

# How long to wait for others who are at the same film, in seconds: a command that outlived its worker.
PATIENCE = 600
BUSY = "another srfusion is writing it"


class Failed(RuntimeError):
    """The command ended with an error; its message is the command's."""


def call(command, film, options, more=()):
    """Runs `srfusion upscale` for `film`; gives the last object that it prints."""
    # Ray ends a worker without a word to its children: they end with it where the system can do that.
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    line = [*guard, command, "upscale", str(film.source), str(film.output), "--json", "--quiet", *options, *more]
    began = time.monotonic()
    while True:
        try:
            done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            raise Failed(f"{command} cannot be run on {os.uname().nodename}: {error}") from None
        words = done.stderr.strip()
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        if BUSY not in words or time.monotonic() - began > PATIENCE:
            raise Failed(words.removeprefix("srfusion: ") or f"{command} ended with status {done.returncode}")
        time.sleep(1)


def plan(command, film, options):
    """Numbers of the segments that are not made yet, and of all; both empty where the film is to be made in one piece."""
    film.output.parent.mkdir(parents=True, exist_ok=True)
    segments = call(command, film, options, ["--plan-segments"])["segments"]
    return [part["number"] for part in segments if not part["done"]], [part["number"] for part in segments]


def segment(command, film, options, number):
    """Makes a segment; gives what the command says of it."""
    return call(command, film, options, ["--segment", str(number)])


def whole(command, film, options):
    """Makes what is missing of a film and joins it; gives the command's summary."""
    return call(command, film, options)
