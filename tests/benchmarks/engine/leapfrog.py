"""Microseconds per leapfrog step, everything included, against a bare single-kernel NUTS on the same density.

The yardstick has a fixed step size and metric, no warmup and no statistics; ours is the whole run from the first tick
to the last stored draw.  Both run one chain; the times are those of the processor, so that other work on the machine
counts little.  Our step size adapts; to compare like trajectories the yardstick gets the step size that ours found.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from tests.benchmarks.engine.targets import density, prepared, run, yardstick

DRAWS = 60_000
REPEATS = 7


def main() -> None:
    """Print the table."""
    reference = yardstick()
    if reference is None:
        print("skipped: the yardstick is not present beside the project")
        return
    print(f"{'density':16}{'metric':>10}{'gradmc us':>11}{'yardstick us':>14}{'ratio':>8}{'one native function':>21}")
    for name, log_density, dim in (
        ("eight schools", reference.eight_schools, 10),
        ("normal, 100", reference.gaussian, 100),
    ):
        for metric in ("low_rank", "diagonal"):
            compare(reference, name, log_density, dim, metric)


def compare(reference: object, name: str, log_density: object, dim: int, metric: str) -> None:
    """One row."""
    target = density(log_density, dim)
    settings = {"seed": 1, "chains": 1, "warmup": 500, "draws": DRAWS, "metric": metric, "cores": 1}
    settings = {**settings, "start": "uniform"}  # the step alone
    sampler = prepared(target, **settings)
    native = "xla_cpu_small_call" in sampler.plan.compiled.text()
    run(sampler)
    step = float(sampler.lanes[0].state.chain.adapted.step.value[0])
    bare = reference.make(log_density, dim, DRAWS)
    key = jax.random.PRNGKey(0)
    bare = bare.lower(jnp.zeros(dim), key, step).compile()
    ours, theirs = [], []
    for repeat in range(REPEATS):
        again = prepared(target, **{**settings, "seed": repeat})
        began = time.process_time()
        _, gradients, _ = run(again)
        ours.append((time.process_time() - began) / gradients * 1e6)
        began = time.process_time()
        _, steps = jax.block_until_ready(bare(jnp.zeros(dim), jax.random.PRNGKey(repeat), step))
        theirs.append((time.process_time() - began) / int(steps) * 1e6)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name:16}{metric:>10}{statistics.median(ours):11.3f}{statistics.median(theirs):14.3f}{ratio:8.2f}"
        f"{'yes' if native else 'no':>21}"
    )
