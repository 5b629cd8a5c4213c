"""Log densities restricted to an interval and normalised there.

The normalising term depends on the parameters, so leaving it out is wrong whenever location or scale is
estimated. It is the log of a difference of two distribution functions, computed in the tail where they are
small (for symmetric laws the interval is mirrored when it lies above the centre), so that truncation far in a
tail keeps its digits. See `gradmc.lpdf` for what all functions have in common.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gradmc.errors import UsageError
from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import log1mexp, log_ndtr
from gradmc.lpdf.real_line import cauchy, laplace, logistic, normal, student_t
from gradmc.lpdf.tails import cauchy_lower, laplace_lower, student_t_lower


def _log_mass(lower_tail: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """log P(a < Z < b) for a symmetric law with the given log distribution function; None is an infinite
    end.
    """
    if a is None and b is None:
        return 0.0
    if a is None:
        return lower_tail(b)
    if b is None:
        return lower_tail(-a)
    mirrored = a + b > 0
    left, right = jnp.where(mirrored, -b, a), jnp.where(mirrored, -a, b)
    top = lower_tail(right)
    return top + log1mexp(lower_tail(left) - top)


def _inside(y: Value, bounds: tuple[Value, ...], has_lower: bool, has_upper: bool) -> Any:
    inside = True
    if has_lower:
        inside = y >= bounds[0]
    if has_upper:
        inside = (y <= bounds[-1]) & inside
    return inside


def _truncated(base: Callable[..., Any], tail: Callable[..., Any], extra: int, has_lower: bool, has_upper: bool) -> Law:
    """Build the law with parameters (*extra shapes, mu, sigma, *bounds)."""

    def split(parameters: tuple[Value, ...]) -> tuple[tuple[Value, ...], Value, Value, tuple[Value, ...]]:
        return parameters[:extra], parameters[extra], parameters[extra + 1], parameters[extra + 2 :]

    def density(d: Any, y: Value, *parameters: Value) -> Any:
        shapes, mu, sigma, bounds = split(parameters)
        a = (bounds[0] - mu) / sigma if has_lower else None
        b = (bounds[-1] - mu) / sigma if has_upper else None
        log_mass = _log_mass(lambda z: tail(z, *shapes), a, b)
        return base(d, *shapes, mu, sigma).log_prob(y) - log_mass

    def support(y: Value, *parameters: Value) -> Any:
        return _inside(y, split(parameters)[3], has_lower, has_upper)

    return Law(density, support if has_lower or has_upper else None)


def _family(base: Callable[..., Any], tail: Callable[..., Any], extra: int = 0) -> dict[tuple[bool, bool], Law]:
    ends = [(False, False), (True, False), (False, True), (True, True)]
    return {end: _truncated(base, tail, extra, *end) for end in ends}


FAMILIES: Mapping[Callable[..., Any], tuple[dict[tuple[bool, bool], Law], int]] = {
    normal: (_family(lambda d, mu, sigma: d.Normal(mu, sigma, **OFF), log_ndtr), 2),
    cauchy: (_family(lambda d, mu, sigma: d.Cauchy(mu, sigma, **OFF), cauchy_lower), 2),
    laplace: (_family(lambda d, mu, sigma: d.Laplace(mu, sigma, **OFF), laplace_lower), 2),
    logistic: (_family(lambda d, mu, sigma: d.Logistic(mu, sigma, **OFF), jax.nn.log_sigmoid), 2),
    student_t: (
        _family(
            lambda d, nu, mu, sigma: d.StudentT(nu, mu, sigma, **OFF),
            lambda z, nu: student_t_lower(z, nu, 0.0, 1.0),
            extra=1,
        ),
        3,
    ),
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
