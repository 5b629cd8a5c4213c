"""What shards give, beside what the whole data give: run by `test_shards` in processes of its own.

`rows` and `draws` as arguments, and, of one of several processes, address, number of processes and its own.
"""

import json
import sys
from typing import Any

import jax
import numpy as np

import gradmc as gm
from gradmc.density.shards import COMMON, OWN, Shards, devices
from gradmc.run.executor import Batch
from gradmc.run.peers import joined
from tests.density.rows import POINT, data, line


def far(one: Any, other: Any) -> float:
    """The largest difference, relative to the size of the second."""
    return float(np.max(np.abs(np.asarray(one) - other) / np.maximum(np.abs(other), 1e-300)))


def main() -> None:
    """Print how far they are apart."""
    rows, draws = int(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:]:
        address, processes, process = sys.argv[3:]
        with joined(address, int(processes), int(process)):
            compare(rows, draws)
    else:
        compare(rows, draws)


def compare(rows: int, draws: int) -> None:
    """Value and gradient, and draws if some are asked for."""
    density = gm.density(line, data(rows))
    shards = Shards.of(density, "n", jax.device_count())
    mesh = devices()
    with density.scope():
        both = jax.shard_map(
            jax.value_and_grad(shards.logdensity),
            mesh=mesh,
            in_specs=(COMMON, (OWN, COMMON)),
            out_specs=COMMON,
            check_vma=False,
        )
        arguments = shards.arguments(mesh)
        compiled = jax.jit(both).lower(POINT, arguments).compile()
        value, gradient = jax.tree.map(np.asarray, compiled(POINT, arguments))
    told: dict[str, Any] = {
        "devices": jax.device_count(),
        "all_reduces": (compiled.as_text() or "").count(" all-reduce("),
    }
    if jax.process_index() == 0:
        expected = density.value_and_grad(POINT)
        told |= {"value": far(value, expected[0]), "gradient": far(gradient, expected[1])}
    if draws:
        told["draws"] = compare_draws(density, draws)
    if jax.process_index() == 0:
        print(json.dumps(told))


def compare_draws(density: gm.Density, draws: int) -> dict[str, float]:
    """How far the first draws of each chain, and their means, are apart from those of one device, by executor."""

    def drawn(**options: Any) -> Any:
        tree = gm.sample(
            density,
            kernel="hmc",
            chains=2,
            warmup=draws,
            draws=draws,
            seed=1,
            start="uniform",
            check=False,
            progress="none",
            **options,
        )
        return None if tree is None else tree["posterior"]["a"].values

    one = drawn()
    return {
        str(executor): float(np.max(np.abs(drawn(shard="n", executor=executor) - one)))
        for executor in ("threads", Batch(vectorised=True))
    }


if __name__ == "__main__":
    main()
