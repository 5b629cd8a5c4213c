"""Means and standard deviations of draws, with their errors: run by `test_shards` in one process, or in several.

`rows`, `draws` and `seed` as arguments, and, of one of several processes, address, number of processes and its own.
"""

import json
import sys
from typing import Any

import arviz_stats
import numpy as np

import gradmc as gm
from gradmc.run.peers import joined
from tests.density.rows import data, line


def main() -> None:
    """Print them, by name."""
    rows, draws, seed = map(int, sys.argv[1:4])
    if sys.argv[4:]:
        address, processes, process = sys.argv[4:]
        with joined(address, int(processes), int(process)):
            tell(gm.sample(line, data(rows), shard="n", **options(draws, seed)))
    else:
        tell(gm.sample(line, data(rows), **options(draws, seed)))


def options(draws: int, seed: int) -> dict[str, Any]:
    """How it is sampled."""
    keep = gm.Keep(exclude=("log_likelihood/*",))  # which have an entry for each row
    short = {"kernel": "hmc", "start": "uniform", "check": False, "progress": "none", "keep": keep}
    return {"chains": 2, "warmup": 150, "draws": draws, "seed": seed, **short}


def tell(tree: Any) -> None:
    """Print mean, standard deviation and the errors of both; followers have nothing."""
    if tree is None:
        return
    found = {}
    for name, array in tree["posterior"].ds.data_vars.items():
        values = array.values.reshape(*array.shape[:2], -1)
        for k in range(values.shape[2]):
            own = values[..., k]
            errors = [float(arviz_stats.mcse(own, method=method)) for method in ("mean", "sd")]
            found[f"{name}[{k}]"] = [float(np.mean(own)), float(np.std(own)), *errors]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
