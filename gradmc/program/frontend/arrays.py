"""Functions of numpy and scipy on arrays, where JAX's own form asks for more than theirs, or does not exist."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend.values import is_traced


def like(value: Any) -> Any:
    """A range, or a list of plain numbers, as the array that numpy makes of it; others as they are."""
    if isinstance(value, range):
        return np.arange(value.start, value.stop, value.step)
    plain = isinstance(value, list) and value and all(isinstance(v, int | float) for v in value)
    return np.asarray(value) if plain else value


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    counted = np.asarray(x)
    length = max(int(counted.max(initial=-1)) + 1, minlength)
    each = jnp.ones(counted.shape) if weights is None else jnp.asarray(weights)
    return jnp.zeros(length, each.dtype).at[counted].add(each)


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    return jnp.convolve(jnp.atleast_1d(a), jnp.atleast_1d(v), mode=mode)


def _lfilter(b: Any, a: Any, x: Any) -> Any:
    """A rational filter of one series, in the transposed direct form II."""
    b, a, x = (jnp.atleast_1d(jnp.asarray(v, float)) for v in (b, a, x))
    order = max(b.size, a.size)
    b = jnp.pad(b, (0, order - b.size)) / a[0]
    a = jnp.pad(a, (0, order - a.size)) / a[0]

    def step(z: Any, u: Any) -> tuple[Any, Any]:
        y = b[0] * u + z[0]
        return jnp.append(z[1:], 0.0) + b[1:] * u - a[1:] * y, y

    if order == 1:
        return b[0] * x
    return jax.lax.scan(step, jnp.zeros(order - 1), x)[1]


def found(function: Any, args: tuple, kwargs: dict[str, Any]) -> Callable[..., Any] | None:
    """What to call in place of a function with these arguments, some of which are traced."""
    if function is np.bincount:
        return None if is_traced(args[0]) else _bincount
    if function is np.convolve:
        return _convolve
    signal = sys.modules.get("scipy.signal")
    one = len(args) == 3 and not kwargs and np.ndim(args[2]) == 1
    return _lfilter if signal is not None and function is signal.lfilter and one else None


JOINING = (np.r_, np.c_)
"""Objects of numpy that join what stands in their brackets."""


def joined(owner: Any, parts: Any) -> Any:
    """`np.r_[...]` or `np.c_[...]`."""
    given = parts if isinstance(parts, tuple) else (parts,)
    arrays = tuple(jnp.asarray(p) if isinstance(p, list | tuple) else p for p in given)
    return (jnp.r_ if owner is np.r_ else jnp.c_)[arrays]
