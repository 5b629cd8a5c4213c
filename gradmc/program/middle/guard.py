"""The guard: an identity whose derivative is cut to where it counts.

`jnp.where(x > 0, jnp.log(x), 0.0)` has the derivative NaN at x = -1 although its value does not depend on the
logarithm there: the reverse pass computes 0 * (1 / x) = 0 * inf. `guard(x, keep)` is x, and its
tangent and cotangent are zero wherever `keep` is false, whatever arrives; put at the inputs of the
side that is not taken it stops what leaks there.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

guard_p = Primitive("guard")


def guard(x: Any, keep: Any) -> Any:
    """`x`; its derivative is zero where `keep`, of the same shape, is false."""
    return guard_p.bind(x, keep)


def _identity(x: Any, keep: Any) -> Any:
    return x


def _jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    x, keep = primals
    out = guard_p.bind(x, keep)
    if isinstance(tangents[0], ad.Zero):
        return out, tangents[0]
    return out, lax.select(keep, tangents[0], jnp.zeros_like(tangents[0]))


def _batch(operands: Sequence[Any], dims: Sequence[Any]) -> tuple[Any, Any]:
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if isinstance(d, int))
    spread = [
        jnp.moveaxis(x, d, 0) if isinstance(d, int) else jnp.broadcast_to(x, (size, *x.shape))
        for x, d in zip(operands, dims, strict=True)
    ]
    return guard_p.bind(*spread), 0


guard_p.def_impl(_identity)
guard_p.def_abstract_eval(_identity)
ad.primitive_jvps[guard_p] = _jvp
batching.primitive_batchers[guard_p] = _batch
mlir.register_lowering(guard_p, mlir.lower_fun(_identity, multiple_results=False))
