"""What it costs to stream draws to disk: `python -m tests.benchmarks.streaming`.

Samples 4 chains of 100,000 draws of a 100-dimensional normal to a Zarr store with checkpoints and prints one JSON
object: time in the store per draw (CPU time of the chain's thread, to be compared with the time of a draw), peak
resident memory, and the time to open the finished store.
"""

import argparse
import json
import resource
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gradmc as gm
from gradmc.results import Groups, Labels, ZarrStore
from gradmc.results.reading import open_draws
from gradmc.run.preparing import prepare
from gradmc.run.progress import NoProgress
from gradmc.run.recorder import Recorder
from gradmc.run.settings import Settings

DIMENSIONS = 100


class Timed(ZarrStore):
    """A store that adds up the CPU time that appending takes."""

    seconds = 0.0
    mutex = threading.Lock()

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Put, and take the time."""
        began = time.thread_time()
        super().put(chains, warmup, groups, first, last)
        with self.mutex:
            self.seconds += time.thread_time() - began


def log_density(x: jax.Array) -> jax.Array:
    """Independent standard normals."""
    return -0.5 * jnp.sum(x * x)


def peak_megabytes() -> float:
    """Peak resident memory of this program.

    Linux counts the process that started this one into `ru_maxrss`, a test runner for example; `VmHWM` is our own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(directory: Path, draws: int) -> dict[str, float]:
    """Sample, and measure."""
    density = gm.from_logdensity(log_density, np.zeros(DIMENSIONS))
    sampler = prepare(density, Settings(seed=1, warmup=200, draws=draws))
    (directory / "state").mkdir()
    store = Timed(directory / "draws.zarr", chains=4, labels=Labels.of_density(density))
    recorder = Recorder(sampler=sampler, store=store, directory=directory / "state", interval=5.0)
    began = time.perf_counter()
    sampler.run(store, NoProgress(), after_chunk=recorder.after_chunk)
    sampled = time.perf_counter() - began
    recorder.save_all()
    store.finalize({})
    opened = []
    for _ in range(5):
        began = time.perf_counter()
        tree = open_draws(directory / "draws.zarr")
        opened.append(time.perf_counter() - began)
    assert tree["posterior"].sizes["draw"] == draws
    return {
        "draws": 4 * draws,
        "sampling_seconds": sampled,
        "store_microseconds_per_draw": 1e6 * store.seconds / (4 * draws),
        "peak_megabytes": peak_megabytes(),
        "open_seconds": min(opened),
        "disk_megabytes": sum(f.stat().st_size for f in directory.rglob("*") if f.is_file()) / 1e6,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100_000, help="draws per chain")
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(measure(Path(temporary), parser.parse_args().draws), indent=2))
