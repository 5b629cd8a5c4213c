"""Methods of columns of traced values: what pandas' Series do, along one index, skipping what is missing.

Which entries are missing is known while compiling, so that windows, shifts and groups are gathers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import comprehensions, operators
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.frames import as_array, column, elementwise, index_of, product, refuse
from gradmc.program.frontend.values import LEAF, Rows, SeriesLabels, TracedSeries, any_traced, is_traced
from gradmc.program.tabular import is_series


def _variance(column: TracedSeries, ddof: int = 1) -> Any:
    return jnp.var(column.present(), ddof=ddof)


REDUCING: dict[str, Callable[..., Any]] = {
    "sum": lambda c: jnp.sum(c.present()),
    "mean": lambda c: jnp.mean(c.present()),
    "prod": lambda c: jnp.prod(c.present()),
    "max": lambda c: jnp.max(c.present()),
    "min": lambda c: jnp.min(c.present()),
    "median": lambda c: jnp.median(c.present()),
    "var": _variance,
    "std": lambda c, ddof=1: jnp.sqrt(_variance(c, ddof)),
    "count": lambda c: len(c.present()),
}
"""Methods that skip what is missing; variances divide by n - 1."""
FUNCTIONS: dict[Any, tuple[str, tuple]] = {
    getattr(np, name): (name, ()) for name in ("sum", "mean", "prod", "max", "min", "cumsum", "abs")
}
"""Functions of numpy that hand columns on to their methods."""
OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mult",
    "div": "Div",
    "truediv": "Div",
    "pow": "Pow",
    "radd": "Add",
    "rmul": "Mult",
}
COMPARISONS = {"lt": "Lt", "le": "LtE", "gt": "Gt", "ge": "GtE", "eq": "Eq", "ne": "NotEq"}


def _running(function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    """A running sum or the like, which passes over what is missing."""

    def method(c: TracedSeries) -> TracedSeries:
        return replace(c, filled=function(jnp.where(c.labels.missing, neutral, c.filled)))

    return method


def _taken(c: TracedSeries, places: np.ndarray) -> TracedSeries:
    """The entries at these places, in an index of their own."""
    return TracedSeries(jnp.asarray(c.filled)[places], SeriesLabels(c.labels.index[places], c.labels.missing[places]))


def _shift(c: TracedSeries, periods: int = 1, fill_value: Any = None) -> TracedSeries:
    n = len(c)
    places = np.arange(n) - periods
    beyond = (places < 0) | (places >= n)
    places = np.clip(places, 0, n - 1)
    missing = c.labels.missing[places]
    if fill_value is None:
        return TracedSeries(jnp.asarray(c.filled)[places], replace(c.labels, missing=missing | beyond))
    filled = jnp.where(beyond, fill_value, jnp.asarray(c.filled)[places])
    return TracedSeries(filled, replace(c.labels, missing=missing & ~beyond))


def _diff(ev: Evaluation, c: TracedSeries, periods: int = 1) -> TracedSeries:
    return elementwise(ev, lambda a, b: a - b, c, _shift(c, periods))


def _beside(c: TracedSeries, value: Any) -> Any:
    """The entries of another column, which pandas would match by their labels; others as they are."""
    labels = index_of(value)
    if labels is not None and not labels.equals(c.labels.index):
        refuse("an operation on columns of different indices")
    return as_array(value)


def _fillna(c: TracedSeries, value: Any) -> TracedSeries:
    other = _beside(c, value)
    return TracedSeries(jnp.where(c.labels.missing, other, c.filled), replace(c.labels, missing=np.zeros(len(c), bool)))


def _clip(c: TracedSeries, lower: Any = None, upper: Any = None) -> TracedSeries:
    return replace(c, filled=jnp.clip(c.filled, lower, upper))


def _where(c: TracedSeries, cond: Any, other: Any = None) -> TracedSeries:
    """The entries where a condition holds, and others, or none, where it does not."""
    holds = _beside(c, cond)
    if other is None and is_traced(holds):
        refuse("Series.where and Series.mask by a condition on parameters, without other values,")
    if other is None:
        return replace(c, labels=replace(c.labels, missing=c.labels.missing | ~np.asarray(holds, bool)))
    if is_traced(holds) and c.labels.missing.any():
        refuse("Series.where and Series.mask of missing entries by a condition on parameters")
    missing = c.labels.missing if is_traced(holds) else c.labels.missing & np.asarray(holds, bool)
    return TracedSeries(jnp.where(holds, c.filled, _beside(c, other)), replace(c.labels, missing=missing))


def _mask(c: TracedSeries, cond: Any, other: Any = None) -> TracedSeries:
    return _where(c, ~_beside(c, cond), other)


def _between(ev: Evaluation, c: TracedSeries, left: Any, right: Any) -> Any:
    return elementwise(ev, lambda x, low, high: (x >= low) & (x <= high), c, left, right)


def _astype(c: TracedSeries, dtype: Any) -> TracedSeries:
    if np.dtype(dtype).kind != "f":
        refuse(f"Series.astype({dtype!r})")
    return replace(c, filled=jnp.asarray(c.filled, float))


def _applied(ev: Evaluation, c: TracedSeries, function: Any) -> TracedSeries:
    """A function of each entry."""
    if not callable(function):
        refuse("Series.map with a dict or Series, of traced values,")
    if isinstance(function, np.ufunc):
        return ev.call(function, c)
    values = comprehensions.Generation(ev, c.filled, None, None, lambda v: ev.call(function, v), 10)
    return replace(c, filled=operators.whole_array(ev, ev.heap.listing(comprehensions.as_list(ev, values))))


def _reset(c: TracedSeries, drop: bool = False) -> TracedSeries:
    if not drop:
        refuse("Series.reset_index() without drop=True")
    from pandas import RangeIndex  # where a column is, pandas is

    return TracedSeries(c.filled, SeriesLabels(RangeIndex(len(c)), c.labels.missing))


MAKING: dict[str, Callable[..., Any]] = {
    "cumsum": _running(jnp.cumsum, 0.0),
    "cumprod": _running(jnp.cumprod, 1.0),
    "cummax": _running(jax.lax.cummax, -np.inf),
    "cummin": _running(jax.lax.cummin, np.inf),
    "abs": lambda c: replace(c, filled=jnp.abs(c.filled)),
    "dropna": lambda c: _taken(c, np.flatnonzero(~c.labels.missing)),
    "fillna": _fillna,
    "shift": _shift,
    "clip": _clip,
    "head": lambda c, n=5: _taken(c, np.arange(len(c))[:n]),
    "tail": lambda c, n=5: _taken(c, np.arange(len(c))[len(c) - n if n else len(c) :]),
    "reset_index": _reset,
    "where": _where,
    "mask": _mask,
    "round": lambda c, decimals=0: replace(c, filled=jnp.round(c.filled, decimals)),
    "quantile": lambda c, q=0.5: jnp.quantile(c.present(), q),
    "astype": _astype,
    "isna": lambda c: c.labels.missing,
    "isnull": lambda c: c.labels.missing,
    "notna": lambda c: ~c.labels.missing,
    "notnull": lambda c: ~c.labels.missing,
    "copy": lambda c: c,
    "rolling": lambda c, window, min_periods=None: Rolling(c, int(window), min_periods),
    "groupby": lambda c, by: Groups(c, by),
}
"""Methods that make columns, or what leads to them."""
COMPUTING: dict[str, Callable[..., Any]] = {
    "diff": _diff,
    "apply": _applied,
    "map": _applied,
    "between": _between,
}
"""Those that compute with the entries as the program does."""


@dataclass(frozen=True, eq=False, slots=True)
class Rolling:
    """`rolling(window)` of a column."""

    column: TracedSeries
    window: int
    min_periods: int | None

    def method(self, name: str, args: tuple, kwargs: dict[str, Any]) -> TracedSeries:
        """A reduction of each window."""
        if name not in ("sum", "mean", "var", "std", "max", "min") or args or kwargs or self.min_periods is not None:
            refuse(f"Series.rolling(...).{name}")
        c = self.column
        places = np.arange(len(c))[:, None] - np.arange(self.window)[::-1]
        missing = (places < 0).any(1) | c.labels.missing[np.maximum(places, 0)].any(1)
        seen = jnp.asarray(c.filled)[np.maximum(places, 0)]
        if name in ("var", "std"):
            variance = jnp.where(missing, 1.0, jnp.var(seen, axis=1, ddof=1))
            return TracedSeries(variance if name == "var" else jnp.sqrt(variance), replace(c.labels, missing=missing))
        return TracedSeries(getattr(jnp, name)(seen, axis=1), replace(c.labels, missing=missing))


@dataclass(frozen=True, eq=False, slots=True)
class Groups:
    """`groupby(by)` of a column, by data."""

    column: TracedSeries
    by: Any

    def method(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A reduction of each group, along the sorted keys."""
        known = is_series(self.by) and self.by.index.equals(self.column.labels.index)
        if not known or name not in ("sum", "mean", "count", "max", "min", "size") or args or kwargs:
            refuse(f"Series.groupby(...).{name}")
        sizes = self.by.groupby(self.by).size()
        groups = sizes.index.get_indexer(self.by)
        there = (groups >= 0) & ~self.column.labels.missing
        groups, filled, n = groups[there], jnp.asarray(self.column.filled)[np.flatnonzero(there)], len(sizes)
        counts = np.bincount(groups, minlength=n)
        if name in ("size", "count"):
            return sizes if name == "size" else counts
        labels = SeriesLabels(sizes.index, np.zeros(n, bool) if name == "sum" else counts == 0)
        start = {"max": -np.inf, "min": np.inf}.get(name, 0.0)
        at = jnp.full(n, start, filled.dtype).at[groups]
        found = at.max(filled) if name == "max" else at.min(filled) if name == "min" else at.add(filled)
        return TracedSeries(found / np.maximum(counts, 1) if name == "mean" else found, labels)


def method(ev: Evaluation, owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a column, of its windows or groups."""
    if isinstance(owner, Rolling | Groups):
        return owner.method(name, args, kwargs)
    if kwargs.get("skipna", False) is True:
        del kwargs["skipna"]
    if name in REDUCING and not args:
        return REDUCING[name](owner, **kwargs)
    if name == "to_numpy" and not args and not kwargs:
        return owner.values
    if name in ("to_list", "tolist"):
        return ev.together(Rows(LEAF, len(owner)), [owner.values])
    if name == "dot" and len(args) == 1:
        return product(owner, args[0])
    if name not in MAKING and name not in COMPUTING:
        refuse(f"Series.{name}")
    try:
        if name in COMPUTING:
            return COMPUTING[name](ev, owner, *args, **kwargs)
        return MAKING[name](owner, *args, **kwargs)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        refuse(f"Series.{name} with these arguments")


def looked_up(series: Any, table: dict[Any, Any]) -> TracedSeries:
    """`series.map(table)`, whose values are traced: entries that the table lacks are missing."""
    keys = [key for key in table if not is_traced(key)]
    given = list(series)
    places = np.array([keys.index(v) if v in keys else -1 for v in given])
    values = jnp.stack([jnp.asarray(table[key], float) for key in keys])
    return TracedSeries(values[np.maximum(places, 0)], SeriesLabels(series.index, places < 0))


def of_series(ev: Evaluation, owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a Series of data with traced arguments."""
    if is_series(owner) and not kwargs and name == "map" and len(args) == 1 and isinstance(args[0], dict):
        return looked_up(owner, args[0])
    if is_series(owner) and name in ("clip", "fillna", "shift") and any_traced((args, kwargs)):
        return method(ev, column(owner), name, args, kwargs)
    return refuse(f"{type(owner).__name__}.{name}")
