"""Elementwise functions that their own library computes while the program runs, with derivatives written down here.

The derivative with respect to an argument is a formula, or, where the field knows none (the order of a Bessel
function), a difference quotient of eighth order in steps of `STEP`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import external
from gradmc.program.frontend.libraries.arrays import real

STEP = 0.01
"""Truncation is then below STEP**8 times the ninth derivative over 630, and rounding 1e-16 / STEP."""
QUOTIENT = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}

BY_DIFFERENCES = object()
"""A derivative for which there is no formula."""


def on_host(function: Callable[..., Any], *slopes: Any, outputs: int = 1) -> Callable[..., Any]:
    """An elementwise function of numbers.

    Args:
        function: from NumPy arrays to one.
        slopes: for each argument its derivative as a function of the arguments; None if it takes whole numbers or has
            none, in which case the derivative counts as 0 for whole numbers and is refused otherwise.
        outputs: how many results there are; the slopes then return as many.
    """

    @jax.custom_jvp
    def call(*xs: Any) -> Any:
        shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in xs))

        def values(*arrays: Any) -> Any:
            with np.errstate(all="ignore"):
                found = function(*arrays)
            return found[:outputs] if outputs > 1 else [found]

        spread = [jnp.broadcast_to(x, shape) for x in xs]
        out = external.on_host(values, [shape] * outputs, *spread, batched=True)
        return tuple(out) if outputs > 1 else out[0]

    def jvp(xs: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
        value = call(*xs)
        total: Any = [0.0] * outputs
        for k, (slope, dot) in enumerate(zip(slopes, dots, strict=True)):
            if type(dot) is jax.custom_derivatives.SymbolicZero:
                continue
            if slope is None:
                raise NotImplementedError(f"the derivative of {function.__name__} with respect to argument {k + 1}")
            found = _quotient(call, xs, k) if slope is BY_DIFFERENCES else slope(*xs)
            parts = found if outputs > 1 else [found]
            total = [t + p * dot for t, p in zip(total, parts, strict=True)]
        total = [jnp.broadcast_to(t, v.shape) for t, v in zip(total, value if outputs > 1 else [value], strict=True)]
        return value, tuple(total) if outputs > 1 else total[0]

    call.defjvp(jvp, symbolic_zeros=True)
    return lambda *xs: call(*map(real, xs))


def _quotient(call: Callable[..., Any], xs: Sequence[Any], k: int) -> Any:
    def at(shift: float) -> Any:
        return call(*xs[:k], xs[k] + shift, *xs[k + 1 :])

    return sum(w * (at(n * STEP) - at(-n * STEP)) for n, w in QUOTIENT.items()) / STEP
