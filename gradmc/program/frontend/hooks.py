"""The hooks that converted functions call, under the names that `functionalise` and `expressions` write."""

from collections.abc import Callable
from types import CellType
from typing import Any

from gradmc.errors import ProgramError
from gradmc.program.frontend import context, nullable, where
from gradmc.program.frontend.branches import choose, if_
from gradmc.program.frontend.calls import (
    attribute,
    call,
    delete_attribute,
    method,
    returned,
    set_attribute,
    subject,
)
from gradmc.program.frontend.comprehensions import comprehension, generate
from gradmc.program.frontend.failing import assert_, raised
from gradmc.program.frontend.iterables import iterate
from gradmc.program.frontend.loops import for_
from gradmc.program.frontend.operators import (
    and_,
    binary,
    chain,
    compare,
    inplace,
    made,
    not_,
    or_,
    truth,
    unary,
)
from gradmc.program.frontend.stores import delete_item, store, store_inplace
from gradmc.program.frontend.subscripts import load, slice_, unpack
from gradmc.program.frontend.text import formatted, joined
from gradmc.program.frontend.trying import attempt, attempted, catching, step, suppressed, try_
from gradmc.program.frontend.values import Nullable, Unbound
from gradmc.program.frontend.whiles import while_

__all__ = [
    "and_",
    "assert_",
    "attempt",
    "attempted",
    "attribute",
    "binary",
    "bound",
    "call",
    "catching",
    "chain",
    "choose",
    "compare",
    "comprehension",
    "delete_attribute",
    "delete_item",
    "for_",
    "formatted",
    "generate",
    "if_",
    "inplace",
    "iterate",
    "joined",
    "load",
    "made",
    "method",
    "not_",
    "or_",
    "owns",
    "raised",
    "returned",
    "set_attribute",
    "sets",
    "slice_",
    "step",
    "store",
    "store_inplace",
    "subject",
    "suppressed",
    "truth",
    "try_",
    "unary",
    "unbound",
    "unpack",
    "while_",
]


def unbound(name: str) -> Unbound:
    """The value of a variable that is not set yet."""
    return Unbound(name)


def owns(*variables: Callable[[], Any]) -> None:
    """A function begins to run, some of whose variables functions inside of it set. Each is told by a lambda."""
    for variable in variables:
        context.current().memory.own_variable(_cell(variable))


def sets(*variables: Callable[[], Any]) -> None:
    """The next statement sets variables of a function around the one that runs."""
    for variable in variables:
        name = variable.__code__.co_freevars[0]
        if not context.current().memory.set_variable(_cell(variable), name):
            raise ProgramError(
                f"a function sets {name!r}, which was made outside of the program and outlasts its evaluation",
                location=where.here(),
                remedy="Make the function in the program, or pass the value as an argument and return the new one.",
            )


def _cell(variable: Callable[[], Any]) -> CellType:
    assert variable.__closure__ is not None
    return variable.__closure__[0]


def bound(value: Any) -> Any:
    """The value of a variable that may not be set."""
    if isinstance(value, Unbound) or (isinstance(value, Nullable) and value.unset):
        return nullable.used(value)
    return value
