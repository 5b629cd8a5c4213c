"""Logarithms of the incomplete gamma and beta functions, with derivatives in all arguments.

JAX's functions are 0 in floating point far out, and the incomplete beta function has no derivative in its shapes. Here
each tail is its largest term times an integral: with t = x exp(-v) in the incomplete gamma function

    G(a) P(a, x) = x^a exp(-x) times the integral over v > 0 of exp(h(v)),  h(v) = x (1 - exp(-v)) - a v,

and likewise with t = x exp(v) for the upper tail, and with odds(t) = odds(x) exp(-v) for the beta function. For all
shapes h is concave and 0 at v = 0; on the side of the mean where the tail lies it also falls there. So the integrand
falls from 1 to exp(-DEPTH) over an interval whose end Newton's method finds, and Gauss and Legendre's rule integrates
it there. A tail on the other side of the mean is 1 less the opposite one. Lower tails are integrated by parts once,

    integral of exp(h(v)) = (1 + x times the integral of exp(h(v) - v)) / a,

since for a small a the interval would be long, and h straight but for its beginning.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc.lpdf._special import log1mexp, log_gamma_rest, log_ratio

DEPTH = 40.0
"""exp(-40) is beyond the digits of double precision."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
NODES, WEIGHTS = 0.5 * (NODES + 1.0), 0.5 * WEIGHTS
STEPS = 5
"""Of Newton's method, from above: it descends to the root of a convex function and never beyond."""


def gamma_tails(a: Any, x: Any) -> tuple[Any, Any]:
    """log P(a, x) and log Q(a, x), the regularised incomplete gamma functions, of a > 0 and x > 0."""
    a, x = _arrays(a, x)
    below = x < a
    sign = jnp.where(below, -1.0, 1.0)
    power = jnp.where(below, a + 1.0, a)
    gap = sign * (x - power)
    near = _root(gap, jnp.where(below, x / 3.0, 0.5 * x))
    far = jnp.where(below, (DEPTH + x) / power, jnp.maximum(1.0, jnp.log(4.0 * DEPTH / x)))
    end = jnp.where(below & (near > 1.0), far, jnp.where(below, near, jnp.minimum(near, far)))
    integral = _integral(_gamma_exponent, (power, x, sign), end)
    largest = a * log_ratio((x - a) / a, x / a) - (x - a) - log_gamma_rest(a)  # log of x^a exp(-x) / G(a)
    found = largest + jnp.log(jnp.where(below, (1.0 + x * integral) / a, integral))
    other = log1mexp(found)
    return jnp.where(below, found, other), jnp.where(below, other, found)


def _arrays(*values: Any) -> Sequence[Any]:
    """Arrays of one dtype and shape."""
    dtype = jnp.result_type(*values)
    return jnp.broadcast_arrays(*(jnp.asarray(value, dtype) for value in values))


def _gamma_exponent(v: Any, a: Any, x: Any, sign: Any) -> tuple[Any, Any]:
    """h and its derivative; `sign` is -1 in the lower tail, 1 in the upper one."""
    growth = jnp.expm1(sign * v)
    return sign * a * v - x * growth, sign * (a - x * (1.0 + growth))


def beta_tail(a: Any, b: Any, x: Any, y: Any) -> Any:
    """log I_x(a, b), the regularised incomplete beta function, of a, b > 0 and 0 < x < 1, where y = 1 - x."""
    a, b, x, y = _arrays(a, b, x, y)
    gap = a * y - b * x  # a - (a + b) x
    lower = gap >= 0.0
    a, b = jnp.where(lower, a, b), jnp.where(lower, b, a)
    x, y = jnp.where(lower, x, y), jnp.where(lower, y, x)
    gap, n = jnp.abs(gap), a + b
    found = _largest_term(a, b, x, y, gap) + jnp.log((1.0 + n * x * _beta_integral(a + 1.0, b, x, y, gap + y)) / a)
    return jnp.where(lower, found, log1mexp(found))


def _largest_term(a: Any, b: Any, x: Any, y: Any, gap: Any) -> Any:
    """log of x^a y^b / B(a, b)."""
    n = a + b
    powers = a * log_ratio(-gap / a, n * x / a) + b * log_ratio(gap / b, n * y / b)
    return powers - log_gamma_rest(a) - log_gamma_rest(b) + log_gamma_rest(n)


def _beta_integral(a: Any, b: Any, x: Any, y: Any, gap: Any) -> Any:
    n = a + b
    # log(1 + x (exp(-v) - 1)) = -v + log(1 + y (exp(v) - 1)): the one with less to cancel.
    plain = x < 0.5
    parameters = (jnp.where(plain, -a, b), n, jnp.where(plain, x, y), jnp.where(plain, -1.0, 1.0))
    near = _root(gap, n * x * y / (2.0 * np.e))
    far = jnp.minimum((DEPTH - n * jnp.log(y)) / a, jnp.where(plain, np.inf, _steepest(y)))
    return _integral(_beta_exponent, parameters, jnp.where(near < 1.0, near, far))


def _beta_exponent(v: Any, power: Any, n: Any, share: Any, sign: Any) -> tuple[Any, Any]:
    """h and its derivative."""
    growth = jnp.expm1(sign * v)
    inside = share * growth
    return power * v - n * jnp.log1p(inside), power - n * share * sign * (1.0 + growth) / (1.0 + inside)


def _steepest(x: Any) -> float:
    """Of which exp(v) is far from the largest number: 600 in float64."""
    return 0.85 * math.log(jnp.finfo(x.dtype).max)


def _root(slope: Any, curvature: Any) -> Any:
    """The positive root v of slope v + curvature v^2 = DEPTH."""
    return 2.0 * DEPTH / (slope + jnp.sqrt(slope * slope + 4.0 * DEPTH * curvature))


def _integral(exponent: Callable[..., tuple[Any, Any]], parameters: tuple[Any, ...], end: Any) -> Any:
    """The integral of exp(h(v)) over v > 0, where h is concave and at most -DEPTH at `end`."""
    nodes, weights = (table.reshape(*[1] * end.ndim, -1).astype(end.dtype) for table in (NODES, WEIGHTS))
    fixed = [lax.stop_gradient(p) for p in parameters]
    end = lax.stop_gradient(end)
    for _ in range(STEPS):
        height, slope = exponent(end, *fixed)
        end = end - (height + DEPTH) / slope
    heights, _ = exponent(end[..., None] * nodes, *(p[..., None] for p in parameters))
    return end * jnp.sum(weights * jnp.exp(heights), axis=-1)
