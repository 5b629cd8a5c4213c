"""Lists of numbers as arrays, and functions that take either."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

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


def like(value: Any) -> Any:
    """A range, or a list of plain numbers, as the array that numpy makes of it; others as they are."""
    if isinstance(value, range):
        return np.arange(value.start, value.stop, value.step)
    plain = isinstance(value, list) and value and all(isinstance(v, int | float) for v in value)
    return np.asarray(value) if plain else value
