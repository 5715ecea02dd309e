"""Films on a cluster of several nodes of this machine: the bytes of one machine, whatever is killed."""

import os
import signal
import subprocess
import sys

import pytest
import ray
from ray.cluster_utils import Cluster
from srfusion_farm import farm
from srfusion_farm.films import films

# About half a second for each frame, one segment for every two.
SLOW = ["--general-model", "slow-x4", "--face-model", "none", "--segment-time", "1s", "--threads", "1"]


@pytest.fixture
def cluster():
    """A head that does no work, and two nodes of one core."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def alone(command, film, path, options):
    """The film as one command makes it."""
    subprocess.run([command, "upscale", film, path, "--quiet", *options], check=True)
    return path.read_bytes()


def left(folder):
    """Names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_node_that_is_killed_costs_nothing_but_time(cluster, command, make, tmp_path):
    made, nodes = cluster
    film = make("in/film.mp4", 6)
    wanted = alone(command, film, tmp_path / "whole.mp4", SLOW)
    ray.init(address=made.address, log_to_driver=False)
    events, killed = [], []

    def tell(event):
        events.append(event)
        if event["event"] == "segment" and not killed:
            # One that has a segment under way.
            killed.append(nodes[1])
            made.remove_node(nodes[1], allow_graceful=False)

    out = tmp_path / "out"
    jobs = farm.run(films([film.parent], out), farm.Settings(command=command, options=SLOW), tell)
    assert killed and [job.failure for job in jobs] == [""]
    assert (out / "film.mp4").read_bytes() == wanted
    assert left(out) == ["film.mp4"]
    made_by = [event["number"] for event in events if event["event"] == "segment"]
    assert sorted(made_by) == list(range(6)), events
    # What the segments hold was not drawn again.
    done = events[-1]
    assert (done["event"], done["frames"], done["frames_reused"]) == ("done", 12, 12)


def test_a_driver_that_is_killed_goes_on(command, make, tmp_path):
    film = make("in/film.mp4", 6)
    odd = make("in/odd.avi", 1, ("-c:v", "mjpeg"))
    broken = tmp_path / "in/broken.mp4"
    broken.write_bytes(b"nothing of a film")
    wanted = alone(command, film, tmp_path / "whole.mp4", SLOW)
    wanted_odd = alone(command, odd, tmp_path / "odd.mkv", SLOW)
    out = tmp_path / "out"
    line = [sys.executable, "-m", "srfusion_farm", str(film.parent), "--out", str(out), "--command", command, "--cpus", "1", "--json", "--", *SLOW]
    driver = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for told in driver.stdout:
        if '"event": "segment"' in told:
            break
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    work = [path for path in out.iterdir() if path.name.startswith(".srfusion-")]
    assert work, "no segment was kept"
    # What Ray leaves of the dead cluster ends by itself; commands under way end with their workers.
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "broken.mp4" in done.stderr and "neither a picture nor a video" in done.stderr
    assert (out / "film.mp4").read_bytes() == wanted
    # In one piece, as it has no index.
    assert (out / "odd.mkv").read_bytes() == wanted_odd
    assert left(out) == ["film.mp4", "odd.mkv"]
    planned = next(told for told in done.stdout.splitlines() if '"planned"' in told and "film.mp4" in told)
    assert '"missing": 6' not in planned, planned
    # Once more: nothing to do but for the one that cannot be.
    again = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert again.stdout.count('"skipped"') == 2 and again.returncode == 1


def test_wrong_words_are_told(tmp_path):
    line = [sys.executable, "-m", "srfusion_farm", str(tmp_path / "none.mp4"), "--out", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2 and "none.mp4" in done.stderr
    table = subprocess.run([*line[:3], "simulate", "--frames-per-second", "2.2", "--hours", "10", "--films", "6", "--slots", "1", "100"],
                           capture_output=True, text=True, check=True).stdout
    assert len(table.splitlines()) == 3, table
