"""Functions of truth values and small whole numbers in double precision.

JAX makes a float32 of them (`jnp.mean(x > 0)`, `jnp.sqrt(int32)`) where NumPy makes a float64, also where its own
floats are of 64 bits: half of the digits would be lost in silence.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SINGLE = frozenset(np.dtype(kind) for kind in (np.float16, np.float32, np.complex64))


def precisely(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, of floats in place of truth values and whole numbers if JAX would lose digits."""
    result = function(*args, **kwargs)
    if not _any_single(result) or not is_double() or _any_single((args, kwargs)):
        return result
    return function(*jax.tree.map(_double, args), **jax.tree.map(_double, kwargs))


def is_double() -> bool:
    """Whether JAX has floats of 64 bits at the moment."""
    return jax.dtypes.canonicalize_dtype(float) == np.float64


def _any_single(value: Any) -> bool:
    """Whether a number or array is of single precision, or its type is named."""
    return any(_is_single(leaf) for leaf in jax.tree.leaves(value))


def _is_single(leaf: Any) -> bool:
    if isinstance(leaf, type | str | np.dtype):
        return leaf in (np.float32, np.float16, jnp.float32, jnp.float16, "float32", "float16") or leaf in SINGLE
    return isinstance(leaf, np.ndarray | np.generic | jax.Array) and leaf.dtype in SINGLE


def _double(leaf: Any) -> Any:
    """A truth value or whole number as a float; others as they are."""
    if not isinstance(leaf, jax.Array):
        return leaf
    return leaf.astype(float) if leaf.dtype == bool or jnp.issubdtype(leaf.dtype, jnp.integer) else leaf
