"""What a number is in every iteration, for those that depend on loop indices and data only.

While a body is traced, its index `i` is symbolic, yet its values are known: 0, 1, ..., n - 1. The same holds for
`i + 1`, `group[i]`, `start[g + 1] - start[g]` and `x[i] > 0`. Their tables are noted beside the traced operations
(and computed only when asked for), so the front end knows how long an inner `range(i)` gets, that `y[t - 3:t]`
always has three elements, how often a loop runs and which iterations a condition picks, without running anything.

A table has one dimension per enclosing loop on which the number depends, labelled by that loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradmc.program import ir
from gradmc.program.exact import unbounded
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced

LARGEST = 2_000_000
"""Entries of the largest table; beyond it a number counts as unknown."""
KINDS = "bif"


@dataclass(frozen=True, eq=False)
class Table:
    """Values of a number for every combination of loop indices.

    Attributes:
        loops: the loops on which it depends, outermost first, by label.
        compute: makes the values.
    """

    loops: tuple[int, ...]
    compute: Callable[[], np.ndarray] = field(repr=False)

    @staticmethod
    def of(values: Any, loops: tuple[int, ...] = ()) -> "Table":
        """A table whose values are at hand."""
        array = np.asarray(values)
        return Table(loops, lambda: array)

    @cached_property
    def values(self) -> np.ndarray:
        """The numbers, one dimension per loop."""
        with np.errstate(all="ignore"):
            return np.asarray(self.compute())


def known(ev: Evaluation, value: Any) -> Table | None:
    """The table of a value; plain numbers have one too."""
    if is_traced(value):
        entry = ev.tables.get(id(value))
        return entry[1] if entry is not None and entry[0] is value else None
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        return Table.of(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in KINDS:
        return Table.of(value)
    return None


def plain(ev: Evaluation, value: Any) -> Any:
    """A traced number that does not depend on any loop's index, as a plain one; other values as they are."""
    table = known(ev, value) if is_traced(value) and not value.ndim else None
    return value if table is None or table.loops else table.values.item()


def note(ev: Evaluation, value: Any, table: Table | None) -> Any:
    """Note the table of a traced value; returns the value."""
    if table is not None and is_traced(value):
        ev.tables[id(value)] = (value, table)
    return value


def index(ev: Evaluation, i: Any, length: int, loop: int) -> None:
    """Note the index of a loop that is being traced."""
    ev.indices[loop] = i
    ev.lengths[loop] = length
    ev.pythons[id(i)] = (i, True)
    if length <= LARGEST:
        note(ev, i, Table((loop,), lambda: np.arange(length)))


def apply(ev: Evaluation, result: Any, operation: Callable[..., Any], *operands: Any) -> Any:
    """Note the table of the result of an operation, if it is traced and all operands are known."""
    if not is_traced(result) or result.ndim or result.dtype.kind not in KINDS:
        return result
    tables = [known(ev, o) for o in operands]
    if all(t is not None for t in tables):
        return note(ev, result, combine(ev, operation, [t for t in tables if t is not None]))
    waiting = [_pending(ev, o) for o, t in zip(operands, tables, strict=True) if t is None]
    if all(waiting):
        ev.pending[id(result)] = (result, frozenset().union(*waiting))
    return result


def wait(ev: Evaluation, value: Any, loop: int, leaf: int) -> None:
    """Note that a whole number is carried by a loop: what it is in every iteration can be found out on demand."""
    ev.pending[id(value)] = (value, frozenset({(loop, leaf)}))


def _pending(ev: Evaluation, value: Any) -> frozenset[tuple[int, int]]:
    entry = ev.pending.get(id(value))
    return entry[1] if entry is not None and entry[0] is value else frozenset()


def demand(ev: Evaluation, value: Any) -> Table | None:
    """The table of a value. If it depends on numbers that loops carry, those loops will be traced again with
    their tables, where they can be had.
    """
    table = known(ev, value)
    if table is None:
        ev.demands.update(_pending(ev, value))
    return table


def combine(ev: Evaluation, operation: Callable[..., Any], given: Sequence[Table]) -> Table | None:
    """An operation on known numbers; None if the table would be too large."""
    loops = tuple(sorted({loop for t in given for loop in t.loops}))
    lengths = ev.lengths
    if int(np.prod([lengths[loop] for loop in loops])) > LARGEST:
        return None
    return Table(loops, lambda: unbounded(operation, *(_spread(t, loops) for t in given)))


def side_by_side(given: Sequence[Table]) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Tables over the same loops: those loops, and the values of each."""
    loops = tuple(sorted({loop for t in given for loop in t.loops}))
    return loops, list(np.broadcast_arrays(*(_spread(t, loops) for t in given))) if given else []


def look(ev: Evaluation, table: Table) -> Any:
    """A table as a traced number: its value at the present iteration."""
    if not table.loops:
        return table.values.item()
    indices = [ev.indices[loop] for loop in table.loops]
    values = table.values if table.values.dtype != object else table.values.astype(np.int64)
    return note(ev, ir.load(values, *indices), table)


def _spread(table: Table, loops: tuple[int, ...]) -> np.ndarray:
    return np.expand_dims(table.values, tuple(k for k, loop in enumerate(loops) if loop not in table.loops))


def look_up(ev: Evaluation, result: Any, array: Any, indices: Sequence[Any]) -> Any:
    """Note the table of an element of a constant array."""
    if isinstance(array, np.ndarray) and array.dtype.kind in KINDS and len(indices) == array.ndim:

        def element(*at: np.ndarray) -> np.ndarray:
            inside = [np.clip(np.where(k < 0, k + n, k), 0, n - 1) for k, n in zip(at, array.shape, strict=True)]
            return array[tuple(inside)]

        if array.size:
            apply(ev, result, element, *indices)
    return result


def whole(value: Any) -> bool:
    """Whether a value is a traced whole number or truth value."""
    return is_traced(value) and value.ndim == 0 and value.dtype.kind in "bi"


def scalar(value: Any) -> bool:
    """Whether a value is a number, traced or not."""
    return value.ndim == 0 if is_traced(value) else isinstance(value, int | float | np.number | np.bool_)


def different(table: Table | None) -> bool:
    """Whether a number is surely another one in every iteration."""
    return table is not None and len(np.unique(table.values)) == table.values.size


def same(table: Table | None) -> Any:
    """The one value that a table holds everywhere; None if it varies."""
    if table is None or not table.values.size:
        return None
    first = table.values.flat[0]
    return np.asarray(first).item() if (table.values == first).all() else None
