"""JAX counterparts of functions of math, statistics, numpy and scipy, for calls with traced values.

A function is looked up by itself, never by its name: `numpy.emath.sqrt` is not `numpy.sqrt`. What has no
counterpart is refused by name.
"""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.frames import as_array
from gradmc.program.frontend.libraries import registry
from gradmc.program.frontend.libraries.arrays import array
from gradmc.program.frontend.libraries.evaluated import Evaluated
from gradmc.program.frontend.libraries.mirrored import jaxs
from gradmc.program.frontend.libraries.unsupported import NoCounterpart, random_refused, told
from gradmc.program.frontend.values import any_traced, is_traced

LISTS_OF_ARRAYS = frozenset(
    getattr(np, name)
    for name in [
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
    ]
) | {np.linalg.multi_dot}
"""numpy functions that take lists of arrays; elsewhere a list stands for the array of its items."""

AXES = frozenset(["axis", "axes", "shape", "newshape", "source", "destination"])
"""Options whose lists of whole numbers are no arrays."""
REMEDY = (
    "No compiled form of it is known. Write it with loops or with functions that have one, or call it while the "
    "program runs, with a gradient of its own: gm.external(f, gradient=...)."
)

JOINING = frozenset([np.stack, np.concatenate, np.hstack, np.vstack, np.dstack, np.column_stack])
"""Those of them that take one list of arrays, each of which may be a list."""


def counterpart(ev: Evaluation, function: Any) -> Callable[..., Any] | None:
    """What to call in place of a library function when an argument is traced; None: the function itself.

    Raises:
        ProgramError: it is a function of numbers that has no counterpart.
    """
    refuse_random(function)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return _ufunc_method(owner, function.__name__)
    if isinstance(function, np.vectorize):
        return jnp.vectorize(ev.present(function.pyfunc))
    found = registry.find(function)
    if isinstance(found, Evaluated):
        found = functools.partial(found.function, ev)
    if found is not None:
        return _adapted(function, found) if found is jaxs(function) else _without_out(found, function)
    places = [getattr(function, "__module__", None) or "", type(function).__module__, type(owner).__module__]
    if {place.split(".")[0] for place in places} & {"numpy", "scipy", "math", "cmath", "statistics"}:
        _refuse(told(function))
    return None


def _refuse(name: str) -> NoReturn:
    raise NoCounterpart(
        f"{name} cannot be applied to a value that is not known while compiling",
        location=user_line.here(),
        remedy=REMEDY,
    )


def _adapted(function: Any, found: Callable[..., Any]) -> Callable[..., Any]:
    """JAX's form of a function, taking lists as numpy does."""
    if getattr(function, "__module__", "").startswith(("scipy.linalg", "scipy.signal")):
        return _on_lists(found)  # a tuple among the arguments is a factorisation, or a shape
    if function in JOINING:
        return _without_out(_on_parts(found), function)
    if function in LISTS_OF_ARRAYS:
        return _without_out(found, function)
    return _without_out(_on_arrays(found), function)


def _without_out(found: Callable[..., Any], function: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise ProgramError(
                f"{told(function)}(out=...) cannot be compiled",
                location=user_line.here(),
                remedy="Assign the result: out[:] = ...",
            )
        kwargs.pop("out", None)
        return found(*args, **kwargs)

    return call


def _on_arrays(found: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes lists of traced values as arrays, and lists of numbers where it wants an array."""

    def traced(value: Any) -> Any:
        return array(value) if isinstance(value, list | tuple) and any_traced(value) else value

    def numbers(name: str, value: Any) -> Any:
        return np.asarray(value) if isinstance(value, list | tuple) and name not in AXES else value

    def call(*args: Any, **kwargs: Any) -> Any:
        given, named = list(map(traced, args)), {k: traced(v) for k, v in kwargs.items()}
        try:
            return found(*given, **named)
        except TypeError:
            arrays, options = [numbers("", a) for a in given], {k: numbers(k, v) for k, v in named.items()}
            before, after = [*given, *named.values()], [*arrays, *options.values()]
            if all(a is b for a, b in zip(before, after, strict=True)):
                raise
        return found(*arrays, **options)

    return call


def _on_lists(found: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes lists of numbers as arrays."""

    def taken(value: Any) -> Any:
        return array(value) if isinstance(value, list) else value

    return lambda *args, **kwargs: found(*map(taken, args), **kwargs)


def _on_parts(found: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one list of arrays that takes lists among them."""

    def call(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(arrays, list | tuple):
            arrays = [jnp.asarray(a) if isinstance(a, list | tuple) else as_array(a) for a in arrays]
        return found(arrays, *args, **kwargs)

    return call


def _ufunc_method(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    found = getattr(jaxs(ufunc), name, None) if isinstance(jaxs(ufunc), jnp.ufunc) else None
    if found is None:
        _refuse(f"{told(ufunc)}.{name}")
    return _on_arrays(found)


RANDOM = ("random", "numpy.random")


def refuse_random(function: Any) -> None:
    """Refuse random numbers: they would be drawn once, while compiling."""
    owner = getattr(function, "__self__", None)
    places = [getattr(function, "__module__", None) or "", type(owner).__module__]
    if not isinstance(function, type) and any(p == r or p.startswith(f"{r}.") for p in places for r in RANDOM):
        raise random_refused()


def full_like(content: Any, value: Any) -> Any:
    """An array of one value, of the shape and type of `content`."""
    if is_traced(content) or is_traced(value):
        return jnp.full_like(content, value)
    return np.full_like(content, value) if isinstance(content, np.ndarray) else jnp.full_like(content, value)
