"""numpy's functions that JAX lacks, or that need sizes JAX cannot know."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend.libraries.arrays import array, real
from gradmc.program.frontend.values import CannotRoll, any_traced


def _extended(function: Callable[..., Any], beyond: Callable[[Any], Any], x: Any) -> Any:
    """A function of numpy.emath: complex where its argument is outside of the real function's domain."""
    x = array(x) if isinstance(x, list | tuple) else jnp.asarray(x)
    if jnp.iscomplexobj(x):
        return function(x)
    x = real(x)
    outside = beyond(x)
    inside = function(jnp.where(outside, 1.0, x))
    return jnp.where(outside, function(jnp.where(outside, x, 2.0).astype(complex)), inside)


def _negative(x: Any) -> Any:
    return x < 0


def _logn(n: Any, x: Any) -> Any:
    return _extended(jnp.log, _negative, x) / _extended(jnp.log, _negative, n)


def _power(x: Any, p: Any) -> Any:
    return jnp.power(jnp.asarray(x, complex), p) if jnp.ndim(x) else jnp.power(jnp.asarray(x).astype(complex), p)


def _real_if_close(a: Any, tol: float = 100) -> Any:
    return jnp.real(a) if not jnp.iscomplexobj(a) else a


def _bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if any_traced(x):
        raise CannotRoll("the length of numpy.bincount(x) depends on x", "Add up in a loop: count[x[i]] += 1.")
    places = np.asarray(x)
    length = max(int(minlength), int(places.max(initial=-1)) + 1)
    if weights is None:
        return np.bincount(places, minlength=length)
    return jnp.zeros(length).at[places].add(real(weights))


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    return jnp.convolve(jnp.atleast_1d(real(a)), jnp.atleast_1d(real(v)), mode=mode)


def _ix(*places: Any) -> Any:
    taken = [jnp.asarray(array(p)) for p in places]
    return jnp.ix_(*(jnp.nonzero(t)[0] if t.dtype == bool else t for t in taken))


def _chosen(condition: Any, axis: int | None, a: Any) -> Any:
    """The entries along an axis for which a condition holds, which must not depend on parameters."""
    if any_traced(condition):
        raise CannotRoll("how many entries a condition on parameters selects is not known", "Use np.where.")
    return jnp.take(jnp.asarray(array(a)), np.flatnonzero(condition), axis=axis)


def _choose(a: Any, choices: Any, mode: str = "raise") -> Any:
    arrays = [jnp.asarray(array(choice)) for choice in choices]
    if mode == "raise":
        if any_traced(a):
            raise CannotRoll(
                "numpy.choose raises where a number is outside", 'Say what is meant: mode="clip" or "wrap".'
            )
        if np.min(a, initial=0) < 0 or np.max(a, initial=0) >= len(arrays):
            raise ValueError("invalid entry in choice array")
        mode = "clip"
    return jnp.choose(jnp.asarray(array(a)), arrays, mode=mode)


def _windows(x: Any, window_shape: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Any:
    x = jnp.asarray(array(x))
    sizes = window_shape if isinstance(window_shape, tuple) else (window_shape,)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(sizes) != len(axes):
        raise ValueError("sliding_window_view needs one size for each axis")
    for size, along in zip(sizes, axes, strict=True):
        starts = np.arange(x.shape[along] - size + 1)[:, None]
        x = jnp.moveaxis(jnp.take(x, starts + np.arange(size), axis=along), along % x.ndim + 1, -1)
    return x


TABLE: dict[Any, Callable[..., Any]] = {
    np.compress: lambda condition, a, axis=None: _chosen(condition, axis, a),
    np.extract: lambda condition, arr: _chosen(np.ravel(condition), None, arr),
    np.choose: _choose,
    np.lib.stride_tricks.sliding_window_view: _windows,
    np.bincount: _bincount,
    np.fromiter: lambda values, dtype, count=-1: array(values)[: None if count < 0 else count].astype(dtype),
    np.convolve: _convolve,
    np.fix: lambda x: jnp.trunc(real(x)),
    np.asarray_chkfinite: lambda a, dtype=None, order=None: jnp.asarray(array(a), dtype),
    np.asfortranarray: lambda a, dtype=None: jnp.asarray(array(a), dtype),
    np.emath.sqrt: functools.partial(_extended, jnp.sqrt, _negative),
    np.emath.log: functools.partial(_extended, jnp.log, _negative),
    np.emath.log2: functools.partial(_extended, jnp.log2, _negative),
    np.emath.log10: functools.partial(_extended, jnp.log10, _negative),
    np.emath.logn: _logn,
    np.emath.power: _power,
    np.emath.arccos: functools.partial(_extended, jnp.arccos, lambda x: jnp.abs(x) > 1),
    np.emath.arcsin: functools.partial(_extended, jnp.arcsin, lambda x: jnp.abs(x) > 1),
    np.emath.arctanh: functools.partial(_extended, jnp.arctanh, lambda x: jnp.abs(x) > 1),
    np.ix_: _ix,
    np.real_if_close: _real_if_close,
}
