"""Gauss's hypergeometric function 2F1 of real arguments below 1.

Negative z are mapped to x in (0, 1) by Pfaff's transformation, and functions that grow towards 1 to such that do not by
Euler's (DLMF 15.8.1). Near 0 the power series is summed; from
there the solution of the hypergeometric equation is continued towards x by Taylor expansions, each of which reaches
half of the way to the singularity at 1 (their coefficients follow from DLMF 15.10.1). Parameters that are large, where
either would lose digits, are left to scipy.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import scipy.special as sp
from jax import lax

from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.host import BY_DIFFERENCES, on_host

MODERATE = 10.0
"""Parameters up to this size are computed here: 1,800 random values then differ from mpmath's by 1e-15 as a median and
by 5e-11 at most, as scipy's do."""
NEAR = 0.5
"""How far the power series is used."""
MOST_TERMS = 400
TERMS = 72
"""Of an expansion whose terms fall by half each."""
NEGLIGIBLE = 1e-18


def _series(a: Any, b: Any, c: Any, x: Any) -> tuple[Any, Any]:
    """Value and slope by the power series at 0."""

    def again(state: tuple) -> Any:
        n, term, value, _ = state
        small = jnp.abs(term) <= NEGLIGIBLE * jnp.abs(value)
        return (n < MOST_TERMS) & ((n < 4) | ~jnp.all(small))

    def add(state: tuple) -> tuple:
        n, term, value, slope = state
        ratio = (a + n) * (b + n) / ((c + n) * (n + 1.0))
        return n + 1.0, term * ratio * x, value + term * ratio * x, slope + term * ratio * (n + 1.0)

    one = jnp.ones_like(x)
    _, _, value, slope = lax.while_loop(again, add, (0.0, one, one, jnp.zeros_like(x)))
    return value, slope


def _continued(a: Any, b: Any, c: Any, gap: Any, value: Any, slope: Any) -> Any:
    """The value where 1 - x is `gap`, from value and slope at 1 - NEAR."""

    def again(state: tuple) -> Any:
        left, _, _ = state
        return jnp.any(left > gap)

    def expand(state: tuple) -> tuple:
        left, value, slope = state
        step = jnp.minimum(jnp.maximum(left - gap, 0.0), 0.5 * left)
        moving = step > 0
        at = 1.0 - left
        scale = step / (at * left)
        turn, drift = 1.0 - 2.0 * at, c - (a + b + 1.0) * at

        def term(n: Any, sums: tuple) -> tuple:
            before, now, total, weighted = sums
            after = ((n + a) * (n + b) * step * scale * before - (n + 1.0) * (turn * n + drift) * scale * now) / (
                (n + 1.0) * (n + 2.0)
            )
            return now, after, total + after, weighted + (n + 2.0) * after

        first = slope * step
        sums = (value, first, value + first, first)
        _, _, total, weighted = lax.fori_loop(0, TERMS, term, sums)
        safe = jnp.where(moving, step, 1.0)
        new = jnp.where(moving, jnp.maximum(left - step, gap), left)
        return new, jnp.where(moving, total, value), jnp.where(moving, weighted / safe, slope)

    return lax.while_loop(again, expand, (jnp.full_like(gap, 1.0 - NEAR), value, slope))[1]


def _compiled(a: Any, b: Any, c: Any, z: Any) -> Any:
    """The function for z < 1 and moderate parameters."""
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    far = z < -NEAR
    x = jnp.where(far, z / (z - 1.0), z)
    gap = jnp.where(far, 1.0 / (1.0 - z), 1.0 - z)
    factor = jnp.where(far, jnp.where(far, 1.0 - z, 1.0) ** -a, 1.0)
    b = jnp.where(far, c - b, b)
    grows = c - a - b < 0
    factor = factor * jnp.where(grows, gap ** (c - a - b), 1.0)
    a, b = jnp.where(grows, c - a, a), jnp.where(grows, c - b, b)
    value, slope = _series(a, b, c, jnp.minimum(x, NEAR))
    reached = _continued(a, b, c, jnp.minimum(gap, 1.0 - NEAR), value, slope)
    return factor * jnp.where(x > NEAR, reached, value)


_on_host = on_host(
    sp.hyp2f1,
    *[BY_DIFFERENCES] * 3,
    lambda a, b, c, z: a * b / c * hyp2f1(a + 1.0, b + 1.0, c + 1.0, z),
)


def _is_easy(a: Any, b: Any, c: Any, z: Any) -> Any:
    moderate = (jnp.abs(a) <= MODERATE) & (jnp.abs(b) <= MODERATE) & (jnp.abs(c) <= MODERATE)
    return moderate & (z < 1.0) & (jnp.isfinite(z)) & ((c > 0) | (c != jnp.round(c)))


@jax.custom_jvp
def _hyp2f1(a: Any, b: Any, c: Any, z: Any) -> Any:
    easy = _is_easy(a, b, c, z)
    inside = [jnp.where(easy, v, safe) for v, safe in ((a, 1.0), (b, 1.0), (c, 2.0), (z, 0.0))]
    found = _compiled(*inside)
    outside = [jnp.where(easy, safe, v) for v, safe in ((a, 1.0), (b, 1.0), (c, 2.0), (z, 0.0))]
    other = lax.cond(jnp.all(easy), lambda *_: found, lambda *xs: _on_host(*xs), *outside)
    return jnp.where(easy, found, other)


def _jvp(xs: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
    value, total = _hyp2f1(*xs), jnp.zeros(())
    a, b, c, z = xs
    for k, dot in enumerate(dots):
        if type(dot) is jax.custom_derivatives.SymbolicZero:
            continue
        slope = a * b / c * _hyp2f1(a + 1.0, b + 1.0, c + 1.0, z) if k == 3 else _of_parameter(xs, k)
        total = total + slope * dot
    return value, jnp.broadcast_to(total, jnp.shape(value))


_hyp2f1.defjvp(_jvp, symbolic_zeros=True)


def _of_parameter(xs: Sequence[Any], k: int) -> Any:
    """The derivative with respect to a, b or c."""
    easy = _is_easy(*xs)
    inside = [jnp.where(easy, v, safe) for v, safe in zip(xs, (1.0, 1.5, 2.0, 0.0), strict=True)]

    def along(v: Any) -> Any:
        a, b, c, z = [*inside[:k], v, *inside[k + 1 :]]
        return _compiled(a, b, c, z)

    found = jax.jvp(along, (inside[k],), (jnp.ones_like(inside[k]),))[1]

    def differences(*given: Any) -> Any:
        return jax.jvp(lambda v: _on_host(*given[:k], v, *given[k + 1 :]), (given[k],), (jnp.ones_like(given[k]),))[1]

    outside = [jnp.where(easy, safe, v) for v, safe in zip(xs, (1.0, 1.5, 2.0, 0.0), strict=True)]
    other = lax.cond(jnp.all(easy), lambda *_: found, differences, *outside)
    return jnp.where(easy, found, other)


def hyp2f1(a: Any, b: Any, c: Any, z: Any) -> Any:
    """`scipy.special.hyp2f1` of real arguments."""
    xs = jnp.broadcast_arrays(*map(real, (a, b, c, z)))
    dtype = jnp.result_type(*xs)
    return _hyp2f1(*(x.astype(dtype) for x in xs))


TABLE = {sp.hyp2f1: hyp2f1}
