"""JAX counterparts of functions of math, numpy and scipy, for calls with traced values.

numpy and `jax.numpy` share names, so a numpy function's counterpart is looked up by its name; those of math and
the differences are listed. What has no counterpart is an error that says so.
"""

import math
import statistics
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.lpdf._special import log_beta
from gradmc.program.frontend import where
from gradmc.program.frontend.values import any_traced, is_array, is_traced


def _special() -> Any:
    import jax.scipy.special

    return jax.scipy.special


def _log(x: Any, base: Any = None) -> Any:
    return jnp.log(x) if base is None else jnp.log(x) / jnp.log(base)


def _whole(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: jnp.asarray(function(x), int)


def _spread(values: Any, center: Any, ddof: int) -> Any:
    numbers = _array(values)
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
    math.factorial: lambda n: jnp.exp(_special().gammaln(n + 1.0)),
    math.comb: lambda n, k: jnp.exp(
        _special().gammaln(n + 1.0) - _special().gammaln(k + 1.0) - _special().gammaln(n - k + 1.0)
    ),
    math.acos: jnp.arccos,
    math.asin: jnp.arcsin,
    math.atan: jnp.arctan,
    math.atan2: jnp.arctan2,
    math.acosh: jnp.arccosh,
    math.asinh: jnp.arcsinh,
    math.atanh: jnp.arctanh,
    math.fsum: lambda values: jnp.sum(_array(values)),
    math.prod: lambda values, start=1: start * jnp.prod(_array(values)),
    math.hypot: lambda *xs: jnp.sqrt(sum(x * x for x in xs)),
    math.dist: lambda p, q: jnp.sqrt(jnp.sum((_array(p) - _array(q)) ** 2)),
    math.fmod: jnp.fmod,
    math.modf: lambda x: tuple(reversed((jnp.trunc(x), x - jnp.trunc(x)))),
    math.isclose: lambda a, b, *, rel_tol=1e-9, abs_tol=0.0: (
        jnp.abs(a - b) <= jnp.maximum(rel_tol * jnp.maximum(jnp.abs(a), jnp.abs(b)), abs_tol)
    ),
    statistics.mean: lambda values: jnp.mean(_array(values)),
    statistics.fmean: lambda values, weights=None: jnp.average(
        _array(values), weights=None if weights is None else _array(weights)
    ),
    statistics.median: lambda values: jnp.median(_array(values)),
    statistics.variance: lambda values, xbar=None: _spread(values, xbar, 1),
    statistics.pvariance: lambda values, mu=None: _spread(values, mu, 0),
    statistics.stdev: lambda values, xbar=None: jnp.sqrt(_spread(values, xbar, 1)),
    statistics.pstdev: lambda values, mu=None: jnp.sqrt(_spread(values, mu, 0)),
}
"""Functions of math and statistics whose counterpart is not `jax.numpy`'s of the same name."""

LISTS_OF_ARRAYS = frozenset(
    [
        "stack",
        "concatenate",
        "hstack",
        "vstack",
        "dstack",
        "column_stack",
        "block",
        "array",
        "asarray",
        "select",
        "choose",
        "piecewise",
        "broadcast_arrays",
        "einsum",
        "ix_",
        "meshgrid",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
    ]
)
"""numpy functions that take lists of arrays; elsewhere a list stands for the array of its items."""

BETA = {"betaln": log_beta, "beta": lambda a, b: jnp.exp(log_beta(a, b))}
"""Functions of scipy.special that are more accurate here than in JAX."""

JOINING = frozenset(["stack", "concatenate", "hstack", "vstack", "dstack", "column_stack"])
"""Those of them that take one list of arrays, each of which may be a list."""

RENAMED = {
    "trapz": "trapezoid",
    "in1d": "isin",
    "product": "prod",
    "asanyarray": "asarray",
    "ascontiguousarray": "asarray",
    "psi": "digamma",
    "phase": "angle",
}


def counterpart(function: Any) -> Callable[..., Any] | None:
    """What to call in place of a library function when an argument is traced; None: the function itself."""
    known = MATH.get(function) if callable(function) and _hashable(function) else None
    if known is not None:
        return known
    module: str = getattr(function, "__module__", None) or type(function).__module__ or ""
    if isinstance(function, np.ufunc):
        module = "numpy" if getattr(np, function.__name__, None) is function else "scipy.special"
    owner = getattr(function, "__self__", None)
    if module == "math":
        return _named(jnp, function, "math")
    if module == "cmath":
        complex_valued = _named(jnp, function, "cmath")
        return lambda *args: complex_valued(*(jnp.asarray(a, complex) for a in args))
    if isinstance(owner, np.ufunc):
        return _ufunc_method(owner, function.__name__)
    refuse_random(function)
    if module.split(".")[0] == "numpy":
        return _numpy(function, module)
    if module.split(".")[0] == "scipy" or type(owner).__module__.split(".")[0] == "scipy":
        return _scipy(function, module, owner)
    return None


def _hashable(function: Any) -> bool:
    try:
        hash(function)
    except TypeError:
        return False
    return True


def _named(place: Any, function: Any, library: str) -> Callable[..., Any]:
    name = str(RENAMED.get(function.__name__, function.__name__))
    found = getattr(place, name, None)
    if found is None:
        raise ProgramError(
            f"{library}.{function.__name__} cannot be applied to a value that is not known while compiling",
            location=where.here(),
            remedy=f"jax.numpy has no {function.__name__}; write it with functions that jax.numpy has.",
        )
    return found


def _numpy(function: Any, module: str) -> Callable[..., Any]:
    if isinstance(function, np.vectorize):
        from gradmc.program.frontend.calls import present

        return jnp.vectorize(present(function.pyfunc))
    place = jnp
    for part in ("linalg", "fft"):
        if module.startswith(f"numpy.{part}") and hasattr(getattr(jnp, part), function.__name__):
            place = getattr(jnp, part)
    found = _named(place, function, "numpy")
    if function.__name__ in JOINING:
        return _without_out(_on_parts(found), function)
    if function.__name__ in LISTS_OF_ARRAYS:
        return _without_out(found, function)
    return _without_out(_on_arrays(found), function)


def _on_lists(found: Callable[..., Any]) -> Callable[..., Any]:
    """A density that takes lists as arrays."""

    def call(*args: Any, **kwargs: Any) -> Any:
        given = {k: _array(v) if isinstance(v, list | tuple) else v for k, v in kwargs.items()}
        return found(*(_array(a) if isinstance(a, list | tuple) else a for a in args), **given)

    return call


def _without_out(found: Callable[..., Any], function: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise ProgramError(
                f"numpy.{function.__name__}(out=...) cannot be compiled",
                location=where.here(),
                remedy="Assign the result: out[:] = ...",
            )
        kwargs.pop("out", None)
        return found(*args, **kwargs)

    return call


def _on_arrays(found: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes lists of traced values as arrays, and lists of numbers where it wants an array."""

    def call(*args: Any, **kwargs: Any) -> Any:
        given = [_array(a) if isinstance(a, list | tuple) and any_traced(a) else a for a in args]
        try:
            return found(*given, **kwargs)
        except TypeError:
            arrays = [np.asarray(a) if isinstance(a, list | tuple) else a for a in given]
            if all(a is b for a, b in zip(arrays, given, strict=True)):
                raise
        return found(*arrays, **kwargs)

    return call


def _on_parts(found: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one list of arrays that takes lists among them."""

    def call(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(arrays, list | tuple):
            arrays = [jnp.asarray(a) if isinstance(a, list | tuple) else a for a in arrays]
        return found(arrays, *args, **kwargs)

    return call


def _array(values: Any) -> Any:
    return jnp.asarray(values) if is_array(values) or is_traced(values) else jnp.array(list(values))


def _ufunc_method(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    found = getattr(getattr(jnp, ufunc.__name__), name, None)
    if found is None:
        raise ProgramError(
            f"numpy.{ufunc.__name__}.{name} cannot be applied to a value that is not known while compiling",
            location=where.here(),
            remedy="Write it as a loop, or with functions that jax.numpy has.",
        )
    return _on_arrays(found)


def _scipy(function: Any, module: str, owner: Any) -> Callable[..., Any]:
    """scipy.special by name; the log densities of scipy.stats by distribution and method."""
    name = function.__name__ if hasattr(function, "__name__") else ""
    if isinstance(function, np.ufunc) or module.startswith("scipy.special"):
        found = BETA.get(name) or getattr(_special(), RENAMED.get(name, name), None)
        if found is not None:
            return _on_arrays(found)
    family = _family(owner)
    if family:
        import jax.scipy.stats

        from gradmc.program.frontend.densities import log_density

        found = log_density(family, name) or getattr(getattr(jax.scipy.stats, family, None), name, None)
        if found is not None:
            return _on_lists(found)
    if module.startswith("scipy.linalg"):
        import jax.scipy.linalg

        found = getattr(jax.scipy.linalg, name, None)
        if found is not None:
            return found
    if hasattr(function, "freeze"):
        frozen = _family(function)
        raise ProgramError(
            f"a frozen distribution, {frozen}(...), cannot have values that are not known while compiling",
            location=where.here(),
            remedy=f"Give them to the log density itself: {frozen}.logpdf(x, loc, scale).",
        )
    told = f"{family}.{name}" if family else name
    density = "Use the log density of gradmc.lpdf or numpyro.distributions instead."
    raise ProgramError(
        f"scipy's {told} cannot be applied to a value that is not known while compiling",
        location=where.here(),
        remedy=density if family else "jax.scipy has no such function; write it with loops, or with functions of jax.",
    )


def _family(owner: Any) -> str:
    """The name of a distribution of scipy.stats."""
    if owner is None:
        return ""
    name = getattr(owner, "name", "") or type(owner).__name__.removesuffix("_gen")
    return name if isinstance(name, str) else ""


RANDOM = ("random", "numpy.random")


def refuse_random(function: Any) -> None:
    """Refuse random numbers: they would be drawn once, while compiling."""
    owner = getattr(function, "__self__", None)
    places = [getattr(function, "__module__", None) or "", type(owner).__module__]
    if not isinstance(function, type) and any(p == r or p.startswith(f"{r}.") for p in places for r in RANDOM):
        raise ProgramError(
            "a program must not draw random numbers: it is compiled once and evaluated many times",
            location=where.here(),
            remedy="Draw them before, and pass them as data; simulators belong into @model.simulator.",
        )


def full_like(content: Any, value: Any) -> Any:
    """An array of one value, of the shape and type of `content`."""
    if is_traced(content) or is_traced(value):
        return jnp.full_like(content, value)
    return np.full_like(content, value) if isinstance(content, np.ndarray) else jnp.full_like(content, value)
