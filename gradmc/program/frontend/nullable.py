"""Values that are None where a condition holds that is not known while compiling.

A function that ends without `return` returns None, and `best = None` may be all that a search finds. A branch on a
traced condition that brings a value and None together leaves a `Nullable`: the value, and where it is None. Whether it
is None, what it equals and whether it counts as true may be asked in Python without an error, and have traced answers.
Whatever else uses it raises in Python where it is None, so the program is NaN there.

A variable that branches set in some cases is alike: a `Nullable` that is not set where the others hold. Reading it
raises in Python there.
"""

from typing import Any

import jax.numpy as jnp

from gradmc.program.frontend import failing
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import Nullable, Selected, Spread, Unbound, is_traced


def used(ev: Evaluation, value: Any) -> Any:
    """A value that is about to be used for what it is: the program fails where it is None.

    Raises:
        ProgramError: it is a variable that is not set.
    """
    if isinstance(value, Unbound | Spread | Selected):
        value.complain()
    if isinstance(value, Nullable):
        if value.unset and (value.met or not is_traced(value.null)):  # one `if` alone has not covered all cases
            Unbound(value.unset, value.met).complain()
        kinds = (UnboundLocalError,) if value.unset else (TypeError, AttributeError)
        failing.note(ev, value.null, *kinds)
        return value.value
    return value


def bound(ev: Evaluation, value: Any) -> Any:
    """The value of a variable that may not be set: it must not go on without a value."""
    if isinstance(value, Unbound) or (isinstance(value, Nullable) and value.unset):
        return used(ev, value)
    return value


def known(value: Any, null: Any, unset: str = "") -> Any:
    """A value that is None (or the variable `unset`) where `null` holds: one or the other, if that is known."""
    if is_traced(null) or (unset and null):
        return Nullable(value, null, unset)
    return None if null else value


def may_be_none(value: Any) -> bool:
    """Whether a value may be None, rather than not set."""
    return isinstance(value, Nullable) and not value.unset


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
