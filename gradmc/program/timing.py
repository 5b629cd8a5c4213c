"""What value and gradient of a jaxpr cost: time, measured inside of one compiled function, and memory."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import eval_jaxpr
from jax.extend.core import Jaxpr

SECONDS = 0.05
"""How long a measurement may take once the function is compiled."""

REPEATS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of value and gradient: seconds, and bytes of working memory (0 where everything stays in registers)."""

    seconds: float
    memory: int


def gradient_cost(lowered: Jaxpr, inputs: Sequence[Any]) -> Cost:
    """Compile value and gradient with respect to all floating-point inputs, and time them.

    The gradient is repeated inside one compiled function, as it is in a sampler, each time at a slightly different
    point so that it cannot be moved out of the loop.
    """
    values = [jnp.asarray(x) for x in inputs]
    moving = [k for k, x in enumerate(values) if jnp.issubdtype(x.dtype, jnp.floating)]

    def value(some: list[Any]) -> Any:
        full = list(values)
        for k, x in zip(moving, some, strict=True):
            full[k] = x
        out = eval_jaxpr(lowered, lowered.consts, *full)
        return sum((jnp.sum(o) for o in out if jnp.issubdtype(o.dtype, jnp.floating)), jnp.zeros(()))

    def repeated(count: Any, some: list[Any]) -> Any:
        def once(_: Any, some: list[Any]) -> list[Any]:
            gradient = jax.grad(value)(some)
            return [x + 1e-12 * jnp.tanh(g) for x, g in zip(some, gradient, strict=True)]

        return jax.lax.fori_loop(0, count, once, some)

    some = [values[k] for k in moving]
    run = jax.jit(repeated).lower(1, some).compile()

    def seconds(count: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(run(count, some))
        return time.perf_counter() - start

    def best(count: int) -> float:
        return min(seconds(count) for _ in range(REPEATS))  # other work on the machine only adds

    count, spent = 1, 0.0
    while spent < SECONDS / 8 and count < 1 << 22:
        count *= 4
        spent = best(count)
    memory = getattr(run.memory_analysis(), "temp_size_in_bytes", 0)
    return Cost(spent / count, int(memory))
