"""Functions of math, cmath, statistics, numpy and scipy that JAX has too: one table, keyed by the function itself.

A name says little: `numpy.emath.sqrt` is not `numpy.sqrt`, `math.remainder` is not `numpy.remainder`. JAX mirrors some
modules under the same names (`NAMESPACES`), which makes most of the table, when a function of theirs is first asked
for; the others are listed. A function that is not in the table has no counterpart.
"""

import cmath
import functools
import importlib
import math
import statistics
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.lpdf._special import log_beta
from gradmc.program.exact import is_hashable
from gradmc.program.frontend import failing, tables
from gradmc.program.frontend.values import is_array, is_traced


def array(values: Any) -> Any:
    """A list, tuple or array of numbers as an array."""
    return jnp.asarray(values) if is_array(values) or is_traced(values) else jnp.array(list(values))


def _log_factorial(n: Any) -> Any:
    return _special().gammaln(n + 1.0)


MOST_COUNTED = 10_000
"""Entries of a table of factorials that is made exactly."""


def _counting(function: Callable[..., int], log: Callable[..., Any], *numbers: Any) -> Any:
    """A factorial or binomial coefficient: exact where its arguments depend on loops and data only."""
    given = [tables.known(n) for n in numbers]
    if all(t is not None for t in given):
        loops, columns = tables.side_by_side([t for t in given if t is not None])
        if columns[0].size <= MOST_COUNTED and all((c >= 0).all() for c in columns):
            exact = np.asarray([function(*map(int, row)) for row in zip(*map(np.ravel, columns), strict=True)], object)
            exact = exact.reshape(columns[0].shape)
            fits = max(exact.flat, default=0) < 1 << 62
            return tables.look(tables.Table.of(exact.astype(np.int64 if fits else float), loops))
    value = jnp.exp(log(*numbers))
    return jnp.where(value < 1e12, jnp.round(value), value)


def _special() -> Any:
    import jax.scipy.special

    return jax.scipy.special


def _log(x: Any, base: Any = None) -> Any:
    return jnp.log(x) if base is None else jnp.log(x) / jnp.log(base)


def _whole(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: failing.whole(function(jnp.asarray(x)))


def _spread(values: Any, center: Any, ddof: int) -> Any:
    numbers = array(values)
    deviations = numbers - (jnp.mean(numbers) if center is None else center)
    return jnp.sum(deviations**2) / (numbers.size - ddof)


MATH: dict[Any, Callable[..., Any]] = {
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
    math.factorial: lambda n: _counting(math.factorial, lambda n: _log_factorial(n), n),
    math.comb: lambda n, k: _counting(
        math.comb, lambda n, k: _log_factorial(n) - _log_factorial(k) - _log_factorial(n - k), n, k
    ),
    math.gcd: lambda *xs: functools.reduce(jnp.gcd, xs, 0),
    math.lcm: lambda *xs: functools.reduce(jnp.lcm, xs, 1),
    math.sumprod: lambda p, q: jnp.sum(array(p) * array(q)),
    math.acos: jnp.arccos,
    math.asin: jnp.arcsin,
    math.atan: jnp.arctan,
    math.atan2: jnp.arctan2,
    math.acosh: jnp.arccosh,
    math.asinh: jnp.arcsinh,
    math.atanh: jnp.arctanh,
    math.fsum: lambda values: jnp.sum(array(values)),
    math.prod: lambda values, start=1: start * jnp.prod(array(values)),
    math.hypot: lambda *xs: jnp.sqrt(sum(x * x for x in xs)),
    math.dist: lambda p, q: jnp.sqrt(jnp.sum((array(p) - array(q)) ** 2)),
    math.fmod: jnp.fmod,
    math.modf: lambda x: tuple(reversed((jnp.trunc(x), x - jnp.trunc(x)))),
    math.isclose: lambda a, b, *, rel_tol=1e-9, abs_tol=0.0: (
        jnp.abs(a - b) <= jnp.maximum(rel_tol * jnp.maximum(jnp.abs(a), jnp.abs(b)), abs_tol)
    ),
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
"""Functions of math and statistics whose counterpart has another name or form."""

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

NAMESPACES: dict[str, str] = {
    "numpy": "jax.numpy",
    "numpy.linalg": "jax.numpy.linalg",
    "numpy.fft": "jax.numpy.fft",
    "scipy.special": "jax.scipy.special",
    "scipy.linalg": "jax.scipy.linalg",
    "scipy.stats": "jax.scipy.stats",
    "scipy.fft": "jax.scipy.fft",
    "scipy.integrate": "jax.scipy.integrate",
    "scipy.ndimage": "jax.scipy.ndimage",
    "scipy.signal": "jax.scipy.signal",
    "scipy.cluster.vq": "jax.scipy.cluster.vq",
}
"""Modules whose functions JAX has again, in a module of its own, each under the same name."""

RENAMED: dict[str, dict[str, str]] = {
    "numpy": {"asanyarray": "asarray", "ascontiguousarray": "atleast_1d"},
    "scipy.special": {"psi": "digamma"},
}
"""Functions that JAX has under another name."""

DIFFERENT: dict[str, frozenset[str]] = {
    "numpy": frozenset(["roots", "polydiv", "printoptions", "set_printoptions", "get_printoptions"]),
    "scipy.linalg": frozenset(["hankel"]),
}
"""Functions that JAX means otherwise: another order or shape of the result, or nothing that is computed."""

OURS: dict[str, dict[str, Callable[..., Any]]] = {
    "scipy.special": {
        "betaln": log_beta,
        "beta": lambda a, b: jnp.exp(log_beta(a, b)),
        "exp10": lambda x: jnp.power(10.0, x),
        "log_expit": lambda x: -jnp.logaddexp(0.0, -x),
        **{name: getattr(jnp, name) for name in ("cbrt", "exp2", "expm1", "log1p")},
    },
}
"""Functions that are more accurate here than in JAX, or that JAX has elsewhere."""


@functools.cache
def _namespace(name: str) -> dict[Any, Callable[..., Any]]:
    """The functions of one module that JAX has, and JAX's."""
    library, jaxs = vars(sys.modules[name]), vars(importlib.import_module(NAMESPACES[name]))
    renamed = RENAMED.get(name, {})
    names = {key: renamed.get(key, key) for key in library if not key.startswith("_")}
    pairs = {key: jaxs[other] for key, other in names.items() if other in jaxs} | OURS.get(name, {})
    wanted = pairs.keys() - DIFFERENT.get(name, frozenset())
    return {library[key]: pairs[key] for key in wanted if _computes(library[key])}


def _computes(function: Any) -> bool:
    """Whether an object of a module computes something: a function, or a type of numbers."""
    if isinstance(function, type):
        return issubclass(function, np.number | np.bool_) and function.__module__ == "numpy" and _is_number(function)
    return (
        callable(function)
        and is_hashable(function)
        and not hasattr(function, "logpdf")
        and not hasattr(function, "logpmf")
    )


def _is_number(kind: type) -> bool:
    return (
        kind not in (np.number, np.integer, np.inexact, np.floating, np.complexfloating) and not kind.__subclasses__()
    )


def jaxs(function: Any) -> Callable[..., Any] | None:
    """JAX's own form of a function of numpy or scipy; None if it has none."""
    if not is_hashable(function):
        return None
    for name in NAMESPACES:
        if name in sys.modules and function in _namespace(name):
            return _namespace(name)[function]
    return None


def told(function: Any) -> str:
    """A library's function, by name."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{told(owner)}.{function.__name__}"
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if isinstance(function, np.ufunc):
        return f"{'numpy' if getattr(np, function.__name__, None) is function else 'scipy.special'}.{function.__name__}"
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{name}" if name else f"an object of {type(function).__module__}.{type(function).__qualname__}"
