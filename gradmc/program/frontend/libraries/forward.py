"""Adaptive computations, differentiated forwards.

An integrator runs a loop of unknown length, which JAX differentiates in forward mode only. What it computes has few
inputs as a rule (rates, initial values), so all its derivatives are carried along (forward sensitivities: Hairer,
Nørsett & Wanner 1993, section I.14) and multiplied with what comes in or goes out, in either mode.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def forward(values: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays whose derivatives in either mode are those that forward mode computes.

    Args:
        values: from arrays of floats to a pytree of arrays of floats.
    """

    @jax.custom_jvp
    def call(*xs: Any) -> Any:
        return values(*xs)

    def jvp(xs: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
        moving = [k for k, d in enumerate(dots) if type(d) is not jax.custom_derivatives.SymbolicZero]
        sizes = [int(np.prod(jnp.shape(xs[k]))) for k in moving]
        ends = np.cumsum([0, *sizes])

        def along(direction: Any) -> Any:
            tangents = [jnp.zeros_like(x) for x in xs]
            for k, a, b in zip(moving, ends[:-1], ends[1:], strict=True):
                tangents[k] = direction[a:b].reshape(jnp.shape(xs[k]))
            return jax.jvp(values, tuple(xs), tuple(tangents))

        if not moving or not ends[-1]:
            out = call(*xs)
            return out, jax.tree.map(jnp.zeros_like, out)
        out, slopes = jax.vmap(along, out_axes=(None, 0))(jnp.eye(ends[-1], dtype=jnp.result_type(float)))
        dot = jnp.concatenate([jnp.ravel(dots[k]) for k in moving])
        return out, jax.tree.map(lambda s: jnp.tensordot(dot, s, 1), slopes)

    call.defjvp(jvp, symbolic_zeros=True)
    return call
