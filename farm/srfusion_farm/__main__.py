"""The command srfusion-farm."""

import argparse
import json
import os
import sys

from . import simulate
from .films import Doubled, films


def parser():
    """What can be typed."""
    top = argparse.ArgumentParser(
        prog="srfusion-farm", description="Upscales films on a Ray cluster, segment by segment. Options after -- are those of srfusion upscale.",
        epilog="Exit status: 0 all done, 1 some failed, 2 wrong usage. Started again it goes on with what is there. "
               "srfusion-farm simulate --help reckons what films cost on many machines.")
    top.add_argument("inputs", nargs="+", metavar="IN", help="films, and folders of films; at the same place on every machine")
    top.add_argument("--out", required=True, metavar="DIR", help="folder for the outputs; at the same place on every machine")
    top.add_argument("--address", help="Ray cluster, 'auto' for the one of this machine; without it a cluster on this machine alone")
    top.add_argument("--command", default="srfusion", help="the command on every machine (default: srfusion)")
    top.add_argument("--cpus", type=int, default=1, metavar="N", help="cores for a segment, which also get as many threads; 0 leaves threads alone (default: 1)")
    top.add_argument("--gpus", type=float, default=0, metavar="N", help="GPUs for a segment, 0.5 for two at a time on one (default: 0)")
    top.add_argument("--json", action="store_true", help="print what happens as an object a line")
    return top


def simulation_parser():
    """What can be typed after `simulate`."""
    top = argparse.ArgumentParser(prog="srfusion-farm simulate", description=simulate.__doc__)
    figures = simulate.Figures(frames_per_second=1)
    top.add_argument("--frames-per-second", type=float, required=True, metavar="N", help="frames a second of one slot, as srfusion upscale prints it")
    top.add_argument("--hours", type=float, default=1000, help="hours of film (default: 1000)")
    top.add_argument("--films", type=int, default=600, help="films that they are (default: 600)")
    top.add_argument("--slots", type=int, nargs="+", default=[1, 10, 100, 1000, 10000], help="numbers of slots")
    for name in ("rate", "segment", "start", "join", "dispatch", "storage", "bytes_per_hour"):
        top.add_argument("--" + name.replace("_", "-"), type=float, default=getattr(figures, name))
    return top


def run_simulation(words):
    """Prints the table."""
    options = simulation_parser().parse_args(words)
    figures = simulate.Figures(**{name: getattr(options, name) for name in simulate.Figures.__dataclass_fields__})
    print(f"{'slots':>8} {'hours':>12} {'slot-hours':>12} {'efficiency':>11}")
    for slots, hours, cost, share in simulate.table(options.hours, options.films, options.slots, figures):
        print(f"{slots:>8} {hours:>12.1f} {cost:>12.0f} {share:>11.3f}")
    return 0


def text(event):
    """An event as a line for people, or nothing."""
    kind = event["event"]
    if kind == "planned":
        return f"{event['input']}: {event['segments']} segments, {event['missing']} to be made" if event["segments"] else f"{event['input']}: in one piece"
    if kind == "segment":
        return f"{event['input']}: segment {event['number']}, {event['frames']} frames, {event['frames_per_second']:.2f} per second, {event['segments_left']} left"
    if kind == "done":
        return f"{event['output']}: {event['width']}x{event['height']}, {event['frames']} frames"
    if kind == "skipped":
        return f"{event['output']}: is there already"
    return f"{event['input']}: {event['step']} failed ({event['tries']}): {event['error']}"


def main(words=None):
    """Runs the command; gives its exit status."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["simulate"]:
        return run_simulation(words[1:])
    own, further = (words[:words.index("--")], words[words.index("--") + 1:]) if "--" in words else (words, [])
    options = parser().parse_args(own)
    try:
        found = films(options.inputs, options.out)
    except (FileNotFoundError, Doubled) as error:
        print(f"srfusion-farm: {error}", file=sys.stderr)
        return 2
    if options.cpus > 0 and "--threads" not in further:
        further = [*further, "--threads", str(options.cpus)]
    # Ray's own word for not sending anything to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    from . import farm

    ray.init(address=options.address, log_to_driver=False, logging_level="error")
    settings = farm.Settings(command=options.command, options=further, cpus=max(options.cpus, 1), gpus=options.gpus)

    def tell(event):
        line = json.dumps(event) if options.json else text(event)
        print(line, file=sys.stderr if event["event"] == "failure" and not options.json else sys.stdout, flush=True)

    try:
        jobs = farm.run(found, settings, tell)
    finally:
        ray.shutdown()
    failures = [job for job in jobs if job.failure]
    for job in failures:
        print(f"srfusion-farm: {job.film.source}: {job.failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
