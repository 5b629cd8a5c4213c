"""Values that are None where a condition holds that is not known while compiling.

A function that ends without `return` returns None, and `best = None` may be all that a search finds. A branch on a
traced condition that brings a value and None together leaves a `Nullable`: the value, and where it is None. Whether it
is None, what it equals and whether it counts as true may be asked in Python without an error, and have traced answers.
Whatever else uses it raises in Python where it is None, so the program is NaN there.
"""

from typing import Any

import jax.numpy as jnp

from gradmc.program.frontend import failing
from gradmc.program.frontend.values import Nullable, Selected, Spread, Unbound, is_traced


def used(value: Any) -> Any:
    """A value that is about to be used for what it is: the program fails where it is None.

    Raises:
        ProgramError: it is a variable that is not set.
    """
    if isinstance(value, Unbound | Spread | Selected):
        value.complain()
    if isinstance(value, Nullable):
        failing.note(value.null, TypeError, AttributeError)
        return value.value
    return value


def known(value: Any, null: Any) -> Any:
    """A value that is None where `null` holds: one or the other, if that is known."""
    if is_traced(null):
        return Nullable(value, null)
    return None if null else value


def compared(op: str, a: Any, b: Any, compare: Any) -> Any:
    """`a op b`, one of which may be None, for an operator that takes None."""
    if isinstance(a, Nullable):
        other, differs = b, op in ("IsNot", "NotEq")
        if isinstance(b, Nullable):
            either = jnp.logical_or(a.null, b.null)
            both_none = jnp.logical_and(a.null, b.null)
            return jnp.where(either, both_none != differs, compare(op, a.value, b.value))
        if other is None:
            return jnp.logical_not(a.null) if differs else a.null
        return jnp.where(a.null, differs, compare(op, a.value, other))
    return compared(op, b, a, compare)
