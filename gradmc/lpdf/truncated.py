"""Log densities restricted to an interval and normalised there.

The normalising term depends on the parameters, so leaving it out is wrong whenever location or scale is
estimated. It is the log of a difference of two distribution functions, computed in the tail where they are
small (for symmetric laws the interval is mirrored when it lies above the centre), so that truncation far in a
tail keeps its digits. Where an interval is so narrow that the two agree in their leading digits, the mass is a closed
form (Cauchy, Laplace, logistic) or the density's Taylor series at the centre, integrated. See `gradmc.lpdf` for what
all functions have in common.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from gradmc.errors import UsageError
from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import HALF_LOG_2PI, log1mexp, log_ndtr
from gradmc.lpdf.real_line import cauchy, laplace, logistic, normal, student_t, student_t_density
from gradmc.lpdf.tails import cauchy_lower, laplace_lower, student_t_lower


@dataclass(frozen=True, slots=True)
class Symmetric:
    """A law that is symmetric about 0.

    Args:
        law: numpyro's distribution, of (d, *shapes, mu, sigma).
        lower: log P(Z < z), of (z, *shapes).
        between: log P(a < Z < b), of (a, b, b - a, *shapes), where the width has digits that the ends have not.
        shapes: how many.
    """

    law: Callable[..., Any]
    lower: Callable[..., Any]
    between: Callable[..., Any]
    shapes: int = 0

    def log_mass(self, a: Any, b: Any, width: Any, shapes: tuple[Any, ...]) -> Any:
        """log P(a < Z < b); None is an infinite end."""
        if a is None and b is None:
            return 0.0
        if a is None:
            return self.lower(b, *shapes)
        return self.lower(-a, *shapes) if b is None else self.between(a, b, width, *shapes)


NARROW = 0.05
"""Intervals shorter than this, in terms of the distance over which the density changes, are integrated by series."""
ORDER = 8
"""Of that series: what is left out is of relative size NARROW^10 < 1e-13, less where the density is flat."""


def _difference(lower: Callable[..., Any], a: Any, b: Any, narrow: Any) -> Any:
    """log P(a < Z < b) by log distribution functions; where the interval is narrow, something finite."""
    mirrored = a + b > 0
    left, right = jnp.where(mirrored, -b, a), jnp.where(mirrored, -a, b)
    top = lower(right)
    return top + log1mexp(lower(jnp.where(narrow, right - 1.0, left)) - top)


def _series(half: Any, following: Callable[[int, Any, Any], Any]) -> Any:
    """log of the mass of an interval over its width times the density at its centre.

    Args:
        half: half of the width.
        following: (k, c_k, c_k-1) -> c_k+1, Taylor coefficients at the centre of the density over its value there.
    """
    before, now, total, power = 0.0, 1.0, 0.0, 1.0
    for k in range(ORDER):
        before, now = now, following(k, now, before)
        power = power * half
        if k % 2:
            total = total + now * power / (k + 2)
    return jnp.log1p(total)


def _normal_between(a: Any, b: Any, width: Any) -> Any:
    half = 0.5 * width
    narrow = half * (jnp.abs(a + half) + 1.0) < NARROW
    m, half = (jnp.where(narrow, value, 0.0) for value in (a + half, half))
    inside = _series(half, lambda k, now, before: -(m * now + before) / (k + 1))  # of f' = -z f
    density = -0.5 * m * m - HALF_LOG_2PI
    short = density + jnp.log(jnp.where(narrow, width, 1.0)) + inside
    return jnp.where(narrow, short, _difference(log_ndtr, a, b, narrow))


def _student_t_between(a: Any, b: Any, width: Any, nu: Any) -> Any:
    def steepness(z: Any) -> Any:
        return (nu + 1) / (nu + z * z)

    def following(k: int, now: Any, before: Any) -> Any:  # of (nu + z^2) f' = -(nu + 1) z f
        return -((2 * k + nu + 1) * m * now + (k + nu) * before) / ((nu + m * m) * (k + 1))

    half = 0.5 * width
    m = a + half
    narrow = half * (steepness(m) * jnp.abs(m) + jnp.sqrt(steepness(m))) < NARROW
    m, half = (jnp.where(narrow, value, 0.0) for value in (m, half))
    density = student_t_density(None, m, nu, 0.0, 1.0)
    short = density + jnp.log(jnp.where(narrow, width, 1.0)) + _series(half, following)
    return jnp.where(narrow, short, _difference(lambda z: student_t_lower(z, nu, 0.0, 1.0), a, b, narrow))


def _cauchy_between(a: Any, b: Any, width: Any) -> Any:
    finite = jnp.isfinite(a) & jnp.isfinite(b)
    left, right, wide = (jnp.where(finite, value, other) for value, other in ((a, -1.0), (b, 1.0), (width, 2.0)))
    closed = jnp.log(jnp.arctan2(wide, 1.0 + left * right)) - math.log(math.pi)
    return jnp.where(finite, closed, _difference(cauchy_lower, a, b, finite))


def _laplace_between(a: Any, b: Any, width: Any) -> Any:
    apart = (a >= 0) | (b <= 0)
    nearest = jnp.where(a >= 0, -a, b)
    across = -0.5 * (jnp.expm1(jnp.where(apart, -1.0, a)) + jnp.expm1(jnp.where(apart, -1.0, -b)))
    return jnp.where(apart, nearest + log1mexp(-width) - math.log(2.0), jnp.log(across))


def _logistic_between(a: Any, b: Any, width: Any) -> Any:
    return jax.nn.log_sigmoid(-a) + jax.nn.log_sigmoid(b) + log1mexp(-width)


def _inside(y: Value, bounds: tuple[Value, ...], has_lower: bool, has_upper: bool) -> Any:
    inside = True
    if has_lower:
        inside = y >= bounds[0]
    if has_upper:
        inside = (y <= bounds[-1]) & inside
    return inside


def _truncated(base: Symmetric, has_lower: bool, has_upper: bool) -> Law:
    """Build the law with parameters (*shapes, mu, sigma, *bounds)."""
    extra = base.shapes

    def split(parameters: tuple[Value, ...]) -> tuple[tuple[Value, ...], Value, Value, tuple[Value, ...]]:
        return parameters[:extra], parameters[extra], parameters[extra + 1], parameters[extra + 2 :]

    def density(d: Any, y: Value, *parameters: Value) -> Any:
        shapes, mu, sigma, bounds = split(parameters)
        a = (bounds[0] - mu) / sigma if has_lower else None
        b = (bounds[-1] - mu) / sigma if has_upper else None
        width = (bounds[-1] - bounds[0]) / sigma
        return base.law(d, *shapes, mu, sigma).log_prob(y) - base.log_mass(a, b, width, shapes)

    def support(y: Value, *parameters: Value) -> Any:
        return _inside(y, split(parameters)[3], has_lower, has_upper)

    return Law(density, support if has_lower or has_upper else None)


def _family(base: Symmetric) -> dict[tuple[bool, bool], Law]:
    return {end: _truncated(base, *end) for end in [(True, False), (False, True), (True, True)]}


FAMILIES: Mapping[Callable[..., Any], tuple[dict[tuple[bool, bool], Law], int]] = {
    law: (_family(base), base.shapes + 2)
    for law, base in {
        normal: Symmetric(lambda d, mu, sigma: d.Normal(mu, sigma, **OFF), log_ndtr, _normal_between),
        cauchy: Symmetric(lambda d, mu, sigma: d.Cauchy(mu, sigma, **OFF), cauchy_lower, _cauchy_between),
        laplace: Symmetric(lambda d, mu, sigma: d.Laplace(mu, sigma, **OFF), laplace_lower, _laplace_between),
        logistic: Symmetric(lambda d, mu, sigma: d.Logistic(mu, sigma, **OFF), jax.nn.log_sigmoid, _logistic_between),
        student_t: Symmetric(
            lambda d, nu, mu, sigma: d.StudentT(nu, mu, sigma, **OFF),
            lambda z, nu: student_t_lower(z, nu, 0.0, 1.0),
            _student_t_between,
            shapes=1,
        ),
    }.items()
}
"""Symmetric laws with location and scale: one law for each set of ends, and the number of parameters."""


def truncated(
    law: Callable[..., Any],
    y: Value,
    *parameters: Value,
    lower: Value | None = None,
    upper: Value | None = None,
    pointwise: bool = False,
) -> Any:
    """A law given that its value lies in [lower, upper]: `truncated(normal, y, mu, sigma, lower=0.0)`.

    Args:
        law: `normal`, `cauchy`, `laplace`, `logistic` or `student_t` of `gradmc.lpdf`.
        y: value, in [lower, upper].
        *parameters: those of the law before truncation, such as mu and sigma > 0.
        lower: lower end, or None for no lower end.
        upper: upper end, > lower, or None for no upper end.
        pointwise: return one term per entry instead of their sum.

    Raises:
        UsageError: the law is another, neither end is given, or the parameters are not as many as the law has.
    """
    names = [known.__name__ for known in FAMILIES]
    if law not in FAMILIES:
        raise UsageError(
            f"truncated() expects one of the laws {', '.join(names)}, got {getattr(law, '__name__', law)!r}"
        )
    family, count = FAMILIES[law]
    if len(parameters) != count:
        raise UsageError(
            f"truncated({law.__name__}, y, ...) expects {count} parameters of the law, got {len(parameters)}"
        )
    if lower is None and upper is None:
        raise UsageError(
            f"truncated() expects lower=..., upper=... or both, got neither; use {law.__name__}(y, ...) itself"
        )
    bounds = [bound for bound in (lower, upper) if bound is not None]
    return family[lower is not None, upper is not None](y, *parameters, *bounds, pointwise=pointwise)
