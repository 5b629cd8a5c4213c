"""Functions of Python's own math, cmath and statistics, for traced values."""

import bisect
import cmath
import functools
import math
import statistics
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import failing, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries.arrays import array
from gradmc.program.frontend.libraries.evaluated import Evaluated


def _log_factorial(n: Any) -> Any:
    return _special().gammaln(n + 1.0)


def _log_binomial(n: Any, k: Any) -> Any:
    return _log_factorial(n) - _log_factorial(k) - _log_factorial(n - k)


MOST_COUNTED = 10_000
"""Entries of a table of factorials that is made exactly."""


def _counting(ev: Evaluation, function: Callable[..., int], log: Callable[..., Any], *numbers: Any) -> Any:
    """A factorial or binomial coefficient: exact where its arguments depend on loops and data only."""
    given = [tables.known(ev, n) for n in numbers]
    if all(t is not None for t in given):
        loops, columns = tables.side_by_side([t for t in given if t is not None])
        if columns[0].size <= MOST_COUNTED and all((c >= 0).all() for c in columns):
            exact = np.asarray([function(*map(int, row)) for row in zip(*map(np.ravel, columns), strict=True)], object)
            exact = exact.reshape(columns[0].shape)
            fits = max(exact.flat, default=0) < 1 << 62
            return tables.look(ev, tables.Table.of(exact.astype(np.int64 if fits else float), loops))
    value = jnp.exp(log(*numbers))
    return jnp.where(value < 1e12, jnp.round(value), value)


def _special() -> Any:
    import jax.scipy.special

    return jax.scipy.special


def _log(x: Any, base: Any = None) -> Any:
    return jnp.log(x) if base is None else jnp.log(x) / jnp.log(base)


def _whole(function: Callable[[Any], Any]) -> Evaluated:
    return Evaluated(lambda ev, x: failing.whole(ev, function(jnp.asarray(x))))


def _spread(values: Any, center: Any, ddof: int) -> Any:
    numbers = array(values)
    deviations = numbers - (jnp.mean(numbers) if center is None else center)
    return jnp.sum(deviations**2) / (numbers.size - ddof)


MATH: dict[Any, Callable[..., Any] | Evaluated] = {
    math.log: _log,
    math.pow: lambda x, y: jnp.power(jnp.asarray(x, float), y),
    math.fabs: jnp.abs,
    math.floor: _whole(jnp.floor),
    math.ceil: _whole(jnp.ceil),
    math.trunc: _whole(jnp.trunc),
    math.lgamma: lambda x: _special().gammaln(x),
    math.gamma: lambda x: _special().gamma(x),
    math.erf: lambda x: _special().erf(x),
    math.erfc: lambda x: _special().erfc(x),
    math.factorial: Evaluated(lambda ev, n: _counting(ev, math.factorial, _log_factorial, n)),
    math.comb: Evaluated(lambda ev, n, k: _counting(ev, math.comb, _log_binomial, n, k)),
    math.gcd: lambda *xs: functools.reduce(jnp.gcd, xs, 0),
    math.lcm: lambda *xs: functools.reduce(jnp.lcm, xs, 1),
    math.sumprod: lambda p, q: jnp.sum(array(p) * array(q), axis=0),
    math.acos: jnp.arccos,
    math.asin: jnp.arcsin,
    math.atan: jnp.arctan,
    math.atan2: jnp.arctan2,
    math.acosh: jnp.arccosh,
    math.asinh: jnp.arcsinh,
    math.atanh: jnp.arctanh,
    math.fsum: lambda values: jnp.sum(array(values)),
    math.prod: lambda values, start=1: start * jnp.prod(array(values), axis=0),
    math.hypot: lambda *xs: jnp.sqrt(sum(x * x for x in xs)),
    math.dist: lambda p, q: jnp.sqrt(jnp.sum((array(p) - array(q)) ** 2)),
    math.fmod: jnp.fmod,
    math.remainder: lambda x, y: x - y * jnp.round(x / y),
    math.modf: lambda x: tuple(reversed((jnp.trunc(x), x - jnp.trunc(x)))),
    math.isclose: lambda a, b, *, rel_tol=1e-9, abs_tol=0.0: (
        jnp.abs(a - b) <= jnp.maximum(rel_tol * jnp.maximum(jnp.abs(a), jnp.abs(b)), abs_tol)
    ),
    bisect.bisect_left: lambda a, x: jnp.searchsorted(array(a), x, side="left"),
    bisect.bisect_right: lambda a, x: jnp.searchsorted(array(a), x, side="right"),
    statistics.mean: lambda values: jnp.mean(array(values)),
    statistics.fmean: lambda values, weights=None: jnp.average(
        array(values), weights=None if weights is None else array(weights)
    ),
    statistics.median: lambda values: jnp.median(array(values)),
    statistics.variance: lambda values, xbar=None: _spread(values, xbar, 1),
    statistics.pvariance: lambda values, mu=None: _spread(values, mu, 0),
    statistics.stdev: lambda values, xbar=None: jnp.sqrt(_spread(values, xbar, 1)),
    statistics.pstdev: lambda values, mu=None: jnp.sqrt(_spread(values, mu, 0)),
}
"""Functions of math, statistics and bisect whose counterpart has another name or form."""

SAME = (
    "sin cos tan sinh cosh tanh exp exp2 expm1 log1p log2 log10 sqrt cbrt copysign degrees radians "
    "isnan isinf isfinite ldexp frexp nextafter"
)
MATH |= {getattr(math, name): getattr(jnp, name) for name in SAME.split()}

INVERSE = {name: f"arc{name[1:]}" for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh")}
SAME_COMPLEX = "cos cosh exp log10 sin sinh sqrt tan tanh isnan isinf isfinite"
COMPLEX: dict[Any, Callable[..., Any]] = {cmath.phase: jnp.angle, cmath.log: _log} | {
    getattr(cmath, name): getattr(jnp, INVERSE.get(name, name)) for name in (*INVERSE, *SAME_COMPLEX.split())
}
"""Functions of cmath, whose arguments become complex numbers."""


def _on_complex(found: Callable[..., Any], *args: Any) -> Any:
    return found(*(jnp.asarray(a, complex) for a in args))


TABLE = MATH | {function: functools.partial(_on_complex, found) for function, found in COMPLEX.items()}
