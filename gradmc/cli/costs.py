"""`gradmc sample --dry-run`: everything but the sampling, and what the sampling would cost.

The time per gradient is measured; how many gradients a draw takes is not known before sampling, so the wall
time is given as a range.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.cli.problem import Problem
from gradmc.config import Config
from gradmc.results.keep import Keep
from gradmc.run.progress import duration

LEAPFROGS = (7, 63)
"""Gradients per transition for an easy and for a hard posterior (trees of depth 3 and 6)."""

TICK_SECONDS = 3e-7
"""What the sampler adds to each gradient on a small model (`docs/performance.md`)."""

MEASURE_SECONDS = 0.5
BATCH_SECONDS = 0.02
STEP = 1e-9
"""Moves the point a little at each gradient, so that no gradient can be taken out of the loop."""

BASE_BYTES = 400e6
"""Resident memory of Python, JAX and the compiled code (measured on the shipped models)."""


def predict_costs(config: Config, problem: Problem, adapted: list[dict[str, Any]] | None, common: Common) -> int:
    """Compile, time one gradient, and print what the run would cost; `adapted` is that of a warm start."""
    from gradmc.run.preparing import prepare, without_terms
    from gradmc.run.warm_start import warm_start

    with problem.density.differentiating():
        sampler = prepare(problem.density, problem.settings, initial=problem.initial)
    if adapted is not None:
        warm_start(sampler, adapted)
    density, batches, settings = problem.density, sampler.subsampled, problem.settings
    seconds = gradient_seconds(density if batches is None else batches.one_batch)
    expand = density.expand if batches is None else without_terms(density.expand)
    rounds = -(-settings.chains // min(settings.threads, settings.chains))
    transitions = (settings.warmup + settings.draws) * rounds
    low, high = ((seconds + TICK_SECONDS) * leapfrogs * transitions for leapfrogs in LEAPFROGS)
    stored = bytes_per_draw(density, expand, config, sampler.plan.machine.statistics)
    kept = settings.chains * (settings.draws + settings.warmup * settings.keep_warmup) / config.output.thin
    content = {
        "parameters": problem.density.dim,
        "compile_seconds": sampler.compile_seconds,
        "gradient_seconds": seconds,
        "wall_seconds": [low, high],
        "disk_bytes": stored * kept,
        "memory_bytes": BASE_BYTES + 2 * settings.chains * sampler.plan.compiled.rows * stored,
    }
    disk, memory = content["disk_bytes"] / 1e6, content["memory_bytes"] / 1e6
    lines = [
        f"Model and data are in order: {problem.density.dim} unconstrained parameters.",
        f"Compiled in {duration(sampler.compile_seconds)}; one gradient takes {microseconds(seconds)}.",
        f"Sampling would take {span(low, high)} "
        f"({LEAPFROGS[0]} to {LEAPFROGS[1]} gradients per transition, {rounds} round(s) of chains),",
        f"about {disk:,.1f} MB of disk and {memory:,.0f} MB of memory.",
    ]
    emit("\n".join(lines), content, as_json=common.json)
    return 0


def gradient_seconds(density: Any) -> float:
    """Time of one value and gradient inside compiled code, where the sampler evaluates it: the best of several."""
    import jax

    def move(x: jax.Array, arguments: Any) -> jax.Array:
        value, gradient = jax.value_and_grad(density.logdensity)(x, arguments)
        return x + STEP * jax.numpy.tanh(value) * jax.numpy.tanh(gradient)

    def repeat(x: jax.Array, arguments: Any, times: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, times, lambda _, x: move(x, arguments), x)

    point = np.random.default_rng(0).uniform(-1, 1, density.dim)
    best, times = np.inf, 1
    with density.scope():
        call = jax.jit(repeat)
        position = jax.numpy.asarray(point, density.dtype)
        jax.block_until_ready(call(position, density.arguments, np.int32(1)))
        end = time.perf_counter() + MEASURE_SECONDS
        while time.perf_counter() < end:
            began = time.perf_counter()
            jax.block_until_ready(call(position, density.arguments, np.int32(times)))
            seconds = time.perf_counter() - began
            best = min(best, seconds / times)
            times = int(np.clip(BATCH_SECONDS / max(seconds / times, 1e-9), 1, 1e6))
    return float(best)


def bytes_per_draw(density: Any, expand: Any, config: Config, statistics: Mapping[str, np.dtype]) -> float:
    """Bytes of one kept draw before compression, which gains little on draws."""
    import jax

    output = config.output
    variables = None if output.variables is None else tuple(output.variables)
    keep = Keep(variables=variables, exclude=tuple(output.exclude), float32=output.float32)
    with density.scope():
        position = jax.ShapeDtypeStruct((density.dim,), density.dtype)
        groups = jax.eval_shape(expand, position, density.arguments)
    total = sum(float(keep.dtype(dtype).itemsize) for dtype in statistics.values())
    for group, shapes in groups.items():
        for name, shape in shapes.items():
            if keep.wants(group, name):
                total += shape.size * keep.dtype(np.dtype(shape.dtype)).itemsize
    return total


def span(low: float, high: float) -> str:
    """A range of times for people."""
    return "less than a second" if high < 1 else f"{duration(low)} to {duration(high)}"


def microseconds(seconds: float) -> str:
    """A short time for people."""
    return f"{1e6 * seconds:.3g} µs" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"
