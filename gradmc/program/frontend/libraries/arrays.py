"""Lists of numbers as arrays, and functions that take either."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gradmc.program import ir
from gradmc.program.frontend.values import is_array, is_traced


def array(values: Any) -> Any:
    """A list, tuple or array of numbers as an array."""
    return jnp.asarray(values) if is_array(values) or is_traced(values) else jnp.array(list(values))


def real(value: Any) -> Any:
    """A number, list or array as an array of floats."""
    found = array(value) if isinstance(value, list | tuple) else jnp.asarray(value)
    return found if jnp.issubdtype(found.dtype, jnp.inexact) else found.astype(float)


def at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of floats as one equation of the program, which costs less time to compile; it takes lists, too."""
    return lambda *args: ir.as_one(function, *map(real, args))
