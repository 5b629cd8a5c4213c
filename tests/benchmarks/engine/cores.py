"""Throughput of two chains on two cores over that on one core (eight schools and a 100-dimensional normal)."""

import statistics

import jax.numpy as jnp

from tests.benchmarks.engine.cold import ROOT
from tests.benchmarks.engine.targets import density, prepared, run

DRAWS = 100_000
REPEATS = 5


def eight_schools() -> object:
    """The shipped model."""
    import json
    import runpy

    import gradmc as gm

    model = runpy.run_path(str(ROOT / "models/eight_schools/model.py"))["eight_schools"]
    return gm.density(model, json.loads((ROOT / "models/eight_schools/data.json").read_text()))


def main() -> None:
    """Print the table."""
    print(f"{'density':16}{'1 core s':>10}{'2 cores s':>11}{'speed-up':>10}")
    for name, target, draws in (
        ("eight schools", eight_schools(), DRAWS),
        ("normal, 100", density(lambda x: -0.5 * jnp.sum(x * x), 100), DRAWS // 5),
    ):
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(REPEATS):
            for cores in times:
                times[cores].append(
                    run(prepared(target, start="uniform", seed=1, chains=2, draws=draws, cores=cores))[0]
                )
        one, two = (statistics.median(values) for values in times.values())
        gain = statistics.median(a / b for a, b in zip(times[1], times[2], strict=True))
        print(f"{name:16}{one:10.3f}{two:11.3f}{gain:10.2f}")
