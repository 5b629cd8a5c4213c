"""Columns of pandas frames in a program: what pandas does with plain values it does itself; with traced ones, this.

pandas is not needed here: its objects are known by the module of their type. A `TracedSeries` is what a Series becomes
when it meets a traced value: an array along the same index, whose missing entries stay missing and are skipped by sums
and means, as pandas does. Entries that are missing are known, so that nothing is computed of them.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import failing, tables, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.values import CannotRoll, SeriesLabels, TracedSeries, any_traced, is_traced
from gradmc.program.tabular import is_frame, is_pandas, is_series, numbers

REMEDY = 'Take the numbers out of the frame: x = df["x"].to_numpy(), and write it with functions of numpy or a loop.'


jax.tree_util.register_pytree_node(
    TracedSeries, lambda c: ([c.filled], c.labels), lambda labels, parts: TracedSeries(parts[0], labels)
)


def column(series: Any) -> TracedSeries:
    """A Series of pandas as a column."""
    array = numbers(series)
    if array.dtype == object:
        raise CannotRoll("a column of a frame that does not hold numbers meets a traced value", REMEDY)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    some = array[~missing][:1]
    filled = np.where(missing, some[0] if some.size else 1.0, array) if missing.any() else array
    return TracedSeries(filled, SeriesLabels(getattr(series, "index", series), missing))


def involved(values: Sequence[Any]) -> bool:
    """Whether a column or a Series is among operands that are not all pandas' own business."""
    columns = any(isinstance(v, TracedSeries) for v in values)
    return columns or (any(map(is_pandas, values)) and any(map(is_traced, values)))


def elementwise(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """An operation entry by entry, on columns, Series, arrays of the same length and numbers.

    Raises:
        CannotRoll: pandas would match the entries of different indices.
    """
    if any(map(is_frame, operands)):
        refuse("an operation on a whole frame")
    columns = [column(o) if is_series(o) else o for o in operands]
    given = [c for c in columns if isinstance(c, TracedSeries)]
    index = given[0].labels.index
    if any(c.labels.index is not index and not index.equals(c.labels.index) for c in given[1:]):
        refuse("an operation on columns of different indices")
    missing = functools.reduce(np.logical_or, (c.labels.missing for c in given))
    heap = ev.heap
    plain = [c.filled if isinstance(c, TracedSeries) else heap.content(c) for c in columns]
    if any(np.ndim(p) > 1 or (np.ndim(p) == 1 and len(p) != len(missing)) for p in plain):
        raise ValueError("operands of different lengths")
    return TracedSeries(operation(*plain), replace(given[0].labels, missing=missing))


def compared(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """A comparison, entry by entry: what is missing compares as NaN does."""
    result = elementwise(ev, operation, *operands)
    return jnp.where(result.labels.missing, operation(np.nan, 0.0), result.filled)


def product(a: Any, b: Any) -> Any:
    """`a @ b`, where one is a frame or column.

    Raises:
        CannotRoll: pandas would match the entries of different indices.
    """
    inner = (a.columns if is_frame(a) else index_of(a)), index_of(b)
    if all(index is not None for index in inner) and not inner[0].equals(inner[1]):
        refuse("an operation on columns of different indices")
    left, right = (real(v) if isinstance(v, list | tuple) else as_array(v) for v in (a, b))
    result = left @ right
    if np.ndim(result) == 1 and (is_frame(a) or is_frame(b)):
        owner = a if is_frame(a) else b
        index = owner.index if owner is a else owner.columns
        return TracedSeries(result, SeriesLabels(index, np.zeros(result.shape, bool)))
    return result


def index_of(value: Any) -> Any:
    """The index of a column, Series or frame; None for others."""
    if isinstance(value, TracedSeries):
        return value.labels.index
    return value.index if is_series(value) or is_frame(value) else None


def as_array(value: Any) -> Any:
    """A column, Series or frame as an array, for functions of numpy and scipy; others as they are."""
    if isinstance(value, TracedSeries):
        return value.values
    return numbers(value) if is_series(value) or is_frame(value) else value


def refuse(what: str) -> NoReturn:
    """Refuse something that pandas does and that is not done here."""
    raise ProgramError(f"{what} with traced values in it cannot be compiled", location=user_line.here(), remedy=REMEDY)


# --- items of columns ------------------------------------------------------------------------------


WHOLE = ("values", "array")


def attribute(owner: TracedSeries, name: str) -> Any:
    """An attribute of a column."""
    if name in WHOLE:
        return owner.values
    if name == "index":
        return owner.labels.index
    if name in ("iloc", "iat"):
        return Indexer(owner, by_label=False)
    if name in ("loc", "at"):
        return Indexer(owner, by_label=True)
    if name in ("size", "shape", "ndim"):
        return getattr(owner.labels.missing, name)
    refuse(f"Series.{name}")


@dataclass(frozen=True, eq=False, slots=True)
class Indexer:
    """`iloc` or `loc` of a column, Series or frame, for symbolic indices."""

    owner: Any
    by_label: bool


def item(ev: Evaluation, owner: Any, key: Any, load: Callable[[Any, Any], Any], *, by: str = "") -> Any:
    """`owner[key]`, `owner.loc[key]` or `owner.iloc[key]`, of a column, or of a Series with a symbolic index."""
    labels = owner.labels if isinstance(owner, TracedSeries) else SeriesLabels(owner.index, np.zeros(len(owner), bool))
    if by != "iloc" and np.ndim(key) == 0 and not isinstance(key, slice):
        key = _placed(ev, labels, key, load)
    if not isinstance(owner, TracedSeries):
        return load(numbers(owner), key)
    if isinstance(key, slice) or np.ndim(key):
        if any_traced(key):
            refuse("a selection of entries")
        part = _places(labels.index, key, by)
        return TracedSeries(load(owner.filled, part), SeriesLabels(labels.index[part], labels.missing[part]))
    return load(owner.values, key)


def _places(index: Any, key: Any, by: str) -> np.ndarray:
    """The places of several entries, by labels, places, a slice or a mask, as pandas finds them."""
    from pandas import Series  # where a column is, pandas is

    places = Series(np.arange(len(index)), index=index)
    return np.asarray((getattr(places, by) if by else places)[key])


def _placed(ev: Evaluation, labels: SeriesLabels, key: Any, load: Callable[[Any, Any], Any]) -> Any:
    """The place of a label."""
    index = labels.index
    if not is_traced(key):
        return index.get_loc(key)
    if labels.whole():
        return key
    known = np.asarray(index)
    if known.dtype.kind not in "iu" or not index.is_unique or not known.size or np.ptp(known) > WIDEST:
        raise CannotRoll("a row of a frame is sought by its label", "Use iloc, or reset_index(drop=True) before.")
    places = np.full(np.ptp(known) + 1, -1)
    places[known - known.min()] = np.arange(len(known))
    place = load(places, ev.binary("Sub", key, int(known.min())))
    table = tables.known(ev, place)
    if table is None or (table.values < 0).any():
        failing.note(ev, place < 0)
    return place


WIDEST = 1_000_000
"""Labels that lie further apart are not looked up in a table."""


def cell(ev: Evaluation, owner: Any, key: Any, load: Callable[[Any, Any], Any], *, by_label: bool) -> Any:
    """`df.iloc[i]`, `df.loc[i, "x"]` and the like, with a symbolic row."""
    row, column = key if isinstance(key, tuple) else (key, None)
    if is_traced(column):
        raise CannotRoll("a column of a frame is chosen by a symbolic index", REMEDY)
    if by_label:
        row = _placed(ev, SeriesLabels(owner.index, np.zeros(len(owner), bool)), row, load)
    if column is None:
        return FrameRow(owner, row)
    return load(numbers(owner[column] if by_label else owner.iloc[:, column]), row)


@dataclass(frozen=True, eq=False, slots=True)
class FrameRow:
    """A row of a frame at a symbolic place: a column's entry is looked up when it is asked for."""

    frame: Any
    place: Any

    def entry(self, name: Any, load: Callable[[Any, Any], Any]) -> Any:
        """The entry of one column."""
        if name not in self.frame.columns:
            raise KeyError(name)
        return load(numbers(self.frame[name]), self.place)


ROWS = (TracedSeries, FrameRow, Indexer)


def load(ev: Evaluation, owner: Any, key: Any, element: Callable[[Any, Any], Any]) -> Any:
    """`owner[key]`, of an object of pandas or one of these."""
    if isinstance(owner, FrameRow):
        return owner.entry(key, element)
    if isinstance(owner, Indexer):
        return item(ev, owner.owner, key, element, by="loc" if owner.by_label else "iloc")
    if isinstance(owner, TracedSeries):
        return item(ev, owner, key, element)
    symbolic = any_traced(key)
    if not symbolic:
        return owner[as_array(key) if isinstance(key, TracedSeries) else key]
    name = type(owner).__name__
    if name in LOCATORS:
        place = LOCATORS[name]
        if is_frame(owner.obj):
            return cell(ev, owner.obj, key, element, by_label=place)
        return item(ev, owner.obj, key, element, by="loc" if place else "iloc")
    if is_series(owner):
        return item(ev, owner, key, element) if hasattr(owner, "index") else element(owner.tolist(), key)
    refuse(f"an item of a {name}")


LOCATORS = {"_iLocIndexer": False, "_iAtIndexer": False, "_LocIndexer": True, "_AtIndexer": True}
"""What `iloc`, `iat`, `loc` and `at` give, and whether it seeks by label."""
