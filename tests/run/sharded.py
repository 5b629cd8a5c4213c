"""Compares the draws of many chains on one device and on eight: run by `test_sharding` in a process of its own.

Devices are forced by `XLA_FLAGS` before JAX starts.
"""

import json
import sys

import jax
import numpy as np

from gradmc.run.executor import Batch
from tests.run.doubles import run, whole
from tests.targets import FAMILY, exact_draws


def main() -> None:
    """Run."""
    chains = int(sys.argv[1])
    initial = list(exact_draws("normal", np.random.default_rng(0), chains))
    tables, told = [], {"devices": jax.local_device_count()}
    for devices in (1, jax.local_device_count()):
        executor = Batch(vectorised=True, devices=devices)
        sink, sampler = run(FAMILY, executor=executor, chains=chains, warmup=10, draws=6, initial=initial)
        tables.append(np.stack([whole(sink, chain) for chain in range(chains)]))
        text = sampler.plan.compiled.text() or ""
    state = sampler.lanes[0].state.chain.transition
    told["placed_on"] = len(state.sharding.device_set) if isinstance(state, jax.Array) else 0
    told["collectives"] = [name for name in ("all-gather", "all-reduce", "collective", "all-to-all") if name in text]
    told["difference"] = float(np.max(np.abs(tables[0] - tables[1])))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
