"""Functions that log densities share, written so that large terms which would cancel are never computed.

JAX's `betaln` loses up to 1e-6 once an argument is 8 or more, and a difference of log gamma functions loses as many
digits as its terms have before the point. By Stirling's formula with its remainder, as in TOMS 708 (Didonato & Morris
1992, section 3), the large terms are gone before anything is computed.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

FAR = 10.0
"""From here on the series of the remainder has all digits of double precision, and so has the continued fraction."""

COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
LOG_2 = math.log(2.0)


def log_beta(a: Any, b: Any) -> Any:
    """log B(a, b) = log G(a) + log G(b) - log G(a + b) of numbers > 0, G the gamma function."""
    if _known(a) and _known(b):
        small, large, log, log1p = min(a, b), max(a, b), math.log, math.log1p
    else:
        small, large, log, log1p = jnp.minimum(a, b), jnp.maximum(a, b), jnp.log, jnp.log1p
    remainder = _stirling(small) + _stirling(large) - _stirling(small + large)
    share = (small - 0.5) * -log1p(large / small) - large * log1p(small / large)
    return HALF_LOG_2PI - 0.5 * log(large) + remainder + share


def log_gamma_gain(x: Any, more: Any) -> Any:
    """log G(x + more) - log G(x) - more log(x + more) of x > 0 and more >= 0."""
    log1p = math.log1p if _known(x) and _known(more) else jnp.log1p
    return (x - 0.5) * log1p(more / x) - more + _stirling(x + more) - _stirling(x)


def is_vast(z: Any) -> Any:
    """Whether z is so large that the 1 of 1 + z^2 / nu does not count, while z^2 is a number for what is not."""
    return jnp.abs(z) > jnp.finfo(jnp.result_type(z)).max ** 0.3


def log1p_square(z: Any, over: Any = 1.0, log_over: Any = 0.0) -> Any:
    """log(1 + z^2 / over), also where z^2 is too large for a number."""
    far = is_vast(z)
    inside = jnp.where(far, 0.0, z)
    return jnp.where(far, 2.0, 1.0) * jnp.log1p(jnp.where(far, jnp.abs(z), inside * inside / over)) - jnp.where(
        far, log_over, 0.0
    )


def log_gamma_rest(x: Any) -> Any:
    """log G(x) - x log x + x: what is left of the log gamma function of x > 0, without its large terms."""
    return HALF_LOG_2PI - 0.5 * (math.log if _known(x) else jnp.log)(x) + _stirling(x)


def _stirling(x: Any) -> Any:
    """log G(x) less Stirling's formula, (x - 1/2) log x - x + log(2 pi) / 2."""
    if _known(x):
        return _series(1.0 / x) if x >= FAR else math.lgamma(x) - (x - 0.5) * math.log(x) + x - HALF_LOG_2PI
    far = x >= FAR
    near = jnp.where(far, FAR, x)
    exact = gammaln(near) - (near - 0.5) * jnp.log(near) + near - HALF_LOG_2PI
    return jnp.where(far, _series(1.0 / jnp.where(far, x, FAR)), exact)


def _series(inverse: Any) -> Any:
    """The remainder of Stirling's formula at 1 / inverse."""
    total = 0.0
    for coefficient in reversed(COEFFICIENTS):
        total = total * inverse**2 + coefficient
    return total * inverse


def _known(x: Any) -> bool:
    """Whether x is a plain number: its gamma function costs no compile time then."""
    return isinstance(x, float) and 0.0 < x < math.inf


def times_log(factor: Any, x: Any) -> Any:
    """factor log(x) of x >= 0, and 0 log(0) = 0, with finite derivatives there."""
    return factor * jnp.log(jnp.where((factor == 0) & (x == 0), 1.0, x))


def times_log1m(factor: Any, x: Any) -> Any:
    """factor log(1 - x) of x <= 1, and 0 log(0) = 0, with finite derivatives there."""
    return factor * jnp.log1p(-jnp.where((factor == 0) & (x == 1), 0.0, x))


def log_ratio(excess: Any, ratio: Any) -> Any:
    """log(ratio) of a ratio >= 0 that is 1 + excess, whichever of the two keeps the digits."""
    near = jnp.abs(excess) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), jnp.log(jnp.where(near, 1.0, ratio)))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)); its derivative keeps its digits far out and is 1/2 at 0."""
    above = x >= 0.0
    return jnp.where(above, x, 0.0) + jnp.log1p(jnp.exp(jnp.where(above, -x, x)))


def log1mexp(x: Any) -> Any:
    """log(1 - exp(x)) for x < 0, accurate at both ends (Mächler 2012)."""
    near_zero = x > -LOG_2
    return jnp.where(
        near_zero,
        jnp.log(-jnp.expm1(jnp.where(near_zero, x, -1.0))),
        jnp.log1p(-jnp.exp(jnp.where(near_zero, -1.0, x))),
    )


def log_ndtr(x: Any) -> Any:
    """log Phi(x), Phi the normal distribution function; below -20 JAX's own has an error of 1e-9, and its derivative
    loses all digits.
    """
    far, inside = _sides(x)
    return jnp.where(far, _log_mills(x) - 0.5 * x * x, jax.scipy.special.log_ndtr(inside))


def log_ndtr_scaled(x: Any) -> Any:
    """log(Phi(x) exp(x^2 / 2)), Phi the normal distribution function, for x that is not large."""
    far, inside = _sides(x)
    return jnp.where(far, _log_mills(x), jax.scipy.special.log_ndtr(inside) + 0.5 * inside * inside)


def _sides(x: Any) -> tuple[Any, Any]:
    far = x < -FAR
    return far, jnp.where(far, 0.0, x)


def _log_mills(x: Any) -> Any:
    """log(Phi(x) exp(x^2 / 2)) for x < -10, by Laplace's continued fraction t + 1 / (t + 2 / (t + 3 / ...))."""
    t = jnp.maximum(-x, FAR)
    fraction = t
    for k in (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        fraction = t + k / fraction
    return -jnp.log(fraction) - HALF_LOG_2PI
