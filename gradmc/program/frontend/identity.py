"""Which object a variable holds after a loop's body: Python's aliasing across iterations.

A loop carries arrays and lists by their content. That is the whole truth while each variable is the only way to its
object. `settle` finds the cases in which it is not, at the end of a body:

* a variable that ends as an object from outside (`now = new`, where the loop stores into `new`) is that object
  from the second iteration on: the first one is then run by itself (`Peel`), so that all others are alike;
* two variables that end as one object are one object after the loop;
* what cannot be told apart by content (a store into an object that two variables share) is refused.
"""

from collections.abc import Sequence
from typing import Any

from gradmc.program.frontend.bodies import Outcome
from gradmc.program.frontend.memory import Memory
from gradmc.program.frontend.values import ALIKE, CannotRoll, is_array

SHARED = "two variables mean the same array or list at the end of an iteration, and the next one stores into it"
REMEDY = "Copy the array when you keep it under a second name (now = new.copy())."


class Peel(BaseException):
    """The first iteration differs from the others: it must be run by itself. The text says in what it differs."""

    def __init__(self, why: str, remedy: str = ALIKE) -> None:
        super().__init__(why)
        self.remedy = remedy


def has_identity(value: Any) -> bool:
    """Whether a value is an object that can change: other names of it would see that."""
    return isinstance(value, list) or is_array(value)


def settle(
    entry: Sequence[Any], seen: Sequence[Any], outcome: Outcome, tokens: dict[int, Any], memory: Memory
) -> dict[int, Any]:
    """Compare the objects of variables at the beginning and at the end of a body.

    Args:
        entry: the variables before the loop.
        seen: the variables at the beginning of the body.
        outcome: what the body left; its frame is still open.
        tokens: objects from outside that the loop changes.
        memory: contents of objects.

    Returns:
        For variables by number: the object that they hold after the loop, in place of a new one.

    Raises:
        Peel: the first iteration has to be run by itself.
        CannotRoll: objects are shared in a way that contents do not tell.
    """
    written = {id(token) for token, _ in outcome.written} | set(tokens)
    outside = {id(v): v for v in entry if has_identity(v)} | tokens
    stored = {k for k, v in enumerate(seen) if v is not entry[k] and _stored_into(v, memory)}
    after: dict[int, Any] = {}
    holders: dict[int, list[int]] = {}
    for k, value in enumerate(outcome.values):
        if not has_identity(value) or value is seen[k] is entry[k]:
            continue
        holders.setdefault(id(value), []).append(k)
        if outside.get(id(value)) is value:
            after[k] = value
            if (id(value) in written or k in stored) and entry[k] is not value:
                raise Peel(SHARED, REMEDY)
    if any(len(group) > 1 and stored & set(group) for group in holders.values()):
        raise CannotRoll(SHARED, REMEDY)
    if any(_reachable(entry, k, tokens, memory) for k in stored):
        raise CannotRoll(SHARED, REMEDY)
    return after


def shared(values: Sequence[Any]) -> list[list[int]]:
    """Groups of variables that hold one object."""
    holders: dict[int, list[int]] = {}
    for k, value in enumerate(values):
        if has_identity(value):
            holders.setdefault(id(value), []).append(k)
    return [group for group in holders.values() if len(group) > 1]


def _stored_into(value: Any, memory: Memory) -> bool:
    cell = memory.cells.get(id(value))
    return has_identity(value) and cell is not None and cell.token is value and cell.content is not value


def _reachable(entry: Sequence[Any], k: int, tokens: dict[int, Any], memory: Memory) -> bool:
    """Whether the object that variable `k` held before the loop is known under another name."""
    mine = entry[k]
    if not has_identity(mine):
        return False
    others = any(value is mine for m, value in enumerate(entry) if m != k)
    return others or id(mine) in tokens or any(view.parent is mine for view in memory.views.values())
