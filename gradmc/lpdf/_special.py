"""The logarithm of the beta function, of which JAX's `betaln` loses up to 1e-6 once an argument is 8 or more.

By Stirling's formula with its remainder, as in TOMS 708 (Didonato & Morris 1992, section 3): the large terms, which
would cancel in a difference of log gamma functions, are gone before anything is computed.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import gammaln

FAR = 10.0
"""From here on the series of the remainder has all digits of double precision."""

COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_beta(a: Any, b: Any) -> Any:
    """log B(a, b) = log G(a) + log G(b) - log G(a + b) of numbers > 0, G the gamma function."""
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    remainder = _stirling(small) + _stirling(large) - _stirling(small + large)
    share = (small - 0.5) * -jnp.log1p(large / small) - large * jnp.log1p(small / large)
    return HALF_LOG_2PI - 0.5 * jnp.log(large) + remainder + share


def _stirling(x: Any) -> Any:
    """log G(x) less Stirling's formula, (x - 1/2) log x - x + log(2 pi) / 2."""
    far = x >= FAR
    inverse = 1.0 / jnp.where(far, x, FAR)
    series = jnp.zeros_like(inverse)
    for coefficient in reversed(COEFFICIENTS):
        series = series * inverse**2 + coefficient
    near = jnp.where(far, FAR, x)
    exact = gammaln(near) - (near - 0.5) * jnp.log(near) + near - HALF_LOG_2PI
    return jnp.where(far, series * inverse, exact)
