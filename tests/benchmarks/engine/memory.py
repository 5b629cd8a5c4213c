"""Resident memory while 4 x 100,000 draws of a 100-dimensional normal stream to Zarr."""

import subprocess
import sys
import tempfile
import time

PROGRAM = """
import resource, sys
import jax.numpy as jnp, numpy as np
import gradmc as gm
from gradmc.results.zarr_store import ZarrStore
from gradmc.results.labels import Labels
from gradmc.run.progress import NoProgress
from gradmc.run.sampler import prepare
from gradmc.run.settings import Settings
target = gm.from_logdensity(lambda x: -0.5 * jnp.sum(x * x), np.zeros(100))
sampler = prepare(target, Settings(seed=1, warmup=500, draws=100_000))
store = ZarrStore(sys.argv[1], chains=4, labels=Labels.of_density(target))
sampler.run(store, NoProgress())
store.finalize({})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        answer = subprocess.run(
            [sys.executable, "-c", PROGRAM, f"{folder}/draws.zarr"], check=True, capture_output=True, text=True
        )
        print(f"peak resident memory {float(answer.stdout.split()[-1]):.0f} MB, {time.perf_counter() - began:.1f} s")
