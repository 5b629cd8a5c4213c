"""What a whole number is in every iteration, for those that depend on loop indices and data only.

While a body is traced, its index `i` is symbolic, yet its values are known: 0, 1, ..., n - 1. The same holds for
`i + 1`, `group[i]` and `start[g + 1] - start[g]`. Their tables are computed beside the traced operations, so the
front end knows how long an inner `range(i)` gets, that `y[t - 3:t]` always has three elements, and how often a loop
runs, without running it.

A table has one dimension per enclosing loop on which the number depends, labelled by that loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import context
from gradmc.program.frontend.values import is_traced

LARGEST = 2_000_000
"""Entries of the largest table; beyond it a number counts as unknown."""


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Values of a number for every combination of loop indices.

    Attributes:
        values: whole numbers or truth values; one dimension per loop.
        loops: the loops (any hashable labels, outermost first), one per dimension.
    """

    values: np.ndarray
    loops: tuple[int, ...]


def known(value: Any) -> Table | None:
    """The table of a value: of a plain whole number too."""
    if is_traced(value):
        entry = context.current().tables.get(id(value))
        return entry[1] if entry is not None and entry[0] is value else None
    if isinstance(value, bool | int | np.bool_ | np.integer):
        return Table(np.asarray(value), ())
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "bi":
        return Table(value, ())
    return None


def note(value: Any, table: Table | None) -> Any:
    """Note the table of a traced value; returns the value."""
    if table is not None and is_traced(value):
        context.current().tables[id(value)] = (value, table)
    return value


def index(i: Any, length: int, loop: int) -> None:
    """Note the index of a loop that is being traced."""
    context.current().indices[loop] = i
    if length <= LARGEST:
        note(i, Table(np.arange(length), (loop,)))


def apply(result: Any, operation: Callable[..., Any], *operands: Any) -> Any:
    """Note the table of the result of an operation on whole numbers, if it is traced and all operands are known."""
    if not is_traced(result) or result.ndim or result.dtype.kind not in "bi":
        return result
    tables = [known(o) for o in operands]
    if all(t is not None for t in tables):
        return note(result, combine(operation, [t for t in tables if t is not None]))
    waiting = [_pending(o) for o, t in zip(operands, tables, strict=True) if t is None]
    if all(waiting):
        context.current().pending[id(result)] = (result, frozenset().union(*waiting))
    return result


def wait(value: Any, loop: int, leaf: int) -> None:
    """Note that a whole number is carried by a loop: what it is in every iteration can be found out on demand."""
    context.current().pending[id(value)] = (value, frozenset({(loop, leaf)}))


def _pending(value: Any) -> frozenset[tuple[int, int]]:
    entry = context.current().pending.get(id(value))
    return entry[1] if entry is not None and entry[0] is value else frozenset()


def demand(value: Any) -> Table | None:
    """The table of a value. If it depends on numbers that loops carry, those loops will be traced again with
    their tables, where they can be had."""
    table = known(value)
    if table is None:
        context.current().demands.update(_pending(value))
    return table


def combine(operation: Callable[..., Any], tables: Sequence[Table]) -> Table | None:
    """An operation on known numbers."""
    loops = tuple(sorted({loop for t in tables for loop in t.loops}))
    spread = [_spread(t, loops) for t in tables]
    if int(np.prod([max(sizes) for sizes in zip(*(s.shape for s in spread), strict=True)])) > LARGEST:
        return None
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(operation(*spread))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return Table(values, loops) if values.dtype.kind in "bi" else None


def side_by_side(given: Sequence[Table]) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Tables over the same loops: those loops, and the values of each."""
    loops = tuple(sorted({loop for t in given for loop in t.loops}))
    return loops, list(np.broadcast_arrays(*(_spread(t, loops) for t in given))) if given else []


def look(table: Table) -> Any:
    """A table as a traced number: its value at the present iteration."""
    if not table.loops:
        return table.values[()].item()
    indices = [context.current().indices[loop] for loop in table.loops]
    return note(ir.load(table.values, *indices), table)


def _spread(table: Table, loops: tuple[int, ...]) -> np.ndarray:
    return np.expand_dims(table.values, [k for k, loop in enumerate(loops) if loop not in table.loops])


def look_up(result: Any, array: Any, indices: Sequence[Any]) -> Any:
    """Note the table of an element of a constant array of whole numbers."""
    if isinstance(array, np.ndarray) and array.dtype.kind in "bi" and len(indices) == array.ndim:

        def element(*at: np.ndarray) -> np.ndarray:
            inside = [np.clip(np.where(k < 0, k + n, k), 0, n - 1) for k, n in zip(at, array.shape, strict=True)]
            return array[tuple(inside)]

        if array.size:
            apply(result, element, *indices)
    return result


def whole(value: Any) -> bool:
    """Whether a value is a whole number or truth value, traced or not."""
    if is_traced(value):
        return value.ndim == 0 and value.dtype.kind in "bi"
    return isinstance(value, int | np.integer | np.bool_)


def same(table: Table | None) -> Any:
    """The one value that a table holds everywhere; None if it varies."""
    if table is None or not table.values.size:
        return None
    first = table.values.flat[0]
    return first.item() if (table.values == first).all() else None
