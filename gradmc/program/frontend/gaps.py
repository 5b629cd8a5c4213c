"""NaN among the data, in programs that look after it themselves: no derivative passes through what is missing.

`np.where(np.isnan(y), 0.0, (y - mu) ** 2)` does not depend on the entries that are missing, yet its derivative would:
the reverse pass multiplies 0 by NaN. So what is computed entry by entry of data with gaps is computed of data without
(some number stands in each), and the NaN are put back for whoever asks. Beside every such value its other form is kept.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced
from gradmc.program.tabular import is_frame, is_series, numbers


@dataclass(frozen=True, eq=False, slots=True)
class Gaps:
    """A value with gaps: its numbers, with some number in each gap, and where the gaps are.

    Attributes:
        filled: the numbers.
        missing: where the gaps are.
        data: whether it is a part of the data, and nothing computed of them.
    """

    filled: Any
    missing: Any
    data: bool = False


def found(values: Any) -> bool:
    """Whether NaN is in an array of floats."""
    return isinstance(values, np.ndarray) and values.dtype.kind == "f" and bool(np.isnan(values).any())


def among(data: Any) -> bool:
    """Whether NaN is somewhere in data: in an array, in lists and dicts, in columns of a frame."""
    if isinstance(data, dict):
        return any(map(among, data.values()))
    if isinstance(data, list | tuple):
        return any(map(among, data))
    if is_frame(data):
        return any(among(data.iloc[:, k]) for k in range(data.shape[1]))
    if isinstance(data, float):
        return data != data
    return found(numbers(data) if is_series(data) else data)


def of(ev: Evaluation, value: Any) -> Gaps | None:
    """The other form of a value that has gaps."""
    if not ev.missing:
        return None
    if is_traced(value):
        entry = ev.gaps.get(id(value))
        return entry[1] if entry is not None and entry[0] is value else None
    if isinstance(value, float):
        return Gaps(1.0, np.bool_(True)) if value != value else None
    if not found(value):
        return None
    missing = np.isnan(value)
    some = value[~missing][:1]
    return Gaps(np.where(missing, some[0] if some.size else 1.0, value), missing, data=True)


def _whole(gaps: Gaps) -> bool:
    """Whether nothing is missing, as far as is known."""
    return not is_traced(gaps.missing) and not np.any(gaps.missing)


def note(ev: Evaluation, value: Any, gaps: Gaps) -> Any:
    """Keep the other form of a value; returns the value."""
    ev.gaps[id(value)] = (value, gaps)
    return value


def elementwise(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """An operation entry by entry, some of whose operands may have gaps; its result is traced."""
    if not ev.missing:
        return operation(*operands)
    forms = [of(ev, o) for o in operands]
    operands = tuple(o if g is None or not _whole(g) else g.filled for o, g in zip(operands, forms, strict=True))
    forms = [None if g is None or _whole(g) else g for g in forms]
    gaps = [g for g in forms if g is not None]
    if not gaps or not any(map(is_traced, operands)):
        return operation(*operands)
    filled = operation(*(o if g is None else g.filled for o, g in zip(operands, forms, strict=True)))
    if operation is operator.matmul:
        missing = _in_product(*operands, *forms)
    else:
        missing = gaps[0].missing
        for other in gaps[1:]:
            missing = missing | other.missing
    if not jnp.issubdtype(filled.dtype, jnp.inexact):
        return operation(*operands)
    return note(ev, jnp.where(missing, jnp.nan, filled), Gaps(filled, missing))


def _in_product(a: Any, b: Any, in_a: Gaps | None, in_b: Gaps | None) -> Any:
    """Where a product of matrices or vectors is missing: wherever one of its terms is."""
    counts = [
        0.0 if in_a is None else jnp.matmul(jnp.asarray(in_a.missing, float), jnp.ones(jnp.shape(b))),
        0.0 if in_b is None else jnp.matmul(jnp.ones(jnp.shape(a)), jnp.asarray(in_b.missing, float)),
    ]
    return counts[0] + counts[1] > 0


def loaded(ev: Evaluation, result: Any, content: Any, load: Callable[[Any], Any]) -> Any:
    """Keep the other form of an element or part of an array with gaps; `load` takes the same of another array."""
    gaps = of(ev, content) if ev.missing and is_traced(result) else None
    return result if gaps is None else note(ev, result, Gaps(load(gaps.filled), load(gaps.missing), gaps.data))


def where_missing(ev: Evaluation, value: Any) -> np.ndarray | None:
    """Where a part of the data has gaps, if that is known."""
    gaps = of(ev, value) if is_traced(value) else None
    return gaps.missing.copy() if gaps is not None and gaps.data and isinstance(gaps.missing, np.ndarray) else None


def where(ev: Evaluation, test: Any, yes: Any, no: Any) -> Any:
    """`np.where`, where values may have gaps."""
    forms = [of(ev, yes), of(ev, no)]
    if not any(forms):
        return jnp.where(test, yes, no)
    filled = [v if g is None else g.filled for v, g in zip((yes, no), forms, strict=True)]
    missing = [False if g is None else g.missing for g in forms]
    numpy = jnp if is_traced(test) or any(map(is_traced, missing)) else np
    left = numpy.where(test, *missing)
    result = jnp.where(test, *filled)
    if not is_traced(left) and not left.any():
        return result
    return note(ev, jnp.where(left, jnp.nan, result), Gaps(result, left))


def _count(missing: Any, **over: Any) -> Any:
    return jnp.sum(~missing, **over)


def _sum(gaps: Gaps, axis: Any = None, **over: Any) -> Any:
    return jnp.sum(jnp.where(gaps.missing, 0.0, gaps.filled), axis=axis, **over)


def _mean(gaps: Gaps, axis: Any = None, **over: Any) -> Any:
    return _sum(gaps, axis, **over) / _count(gaps.missing, axis=axis, **over)


def _variance(gaps: Gaps, axis: Any = None, *, ddof: int = 0, **over: Any) -> Any:
    apart = gaps.filled - _mean(gaps, axis, keepdims=True)
    squares = Gaps(apart * apart, gaps.missing)
    return _sum(squares, axis, **over) / (_count(gaps.missing, axis=axis, **over) - ddof)


def _median(gaps: Gaps, axis: Any = None, *, keepdims: bool = False) -> Any:
    ordered, along = jnp.where(gaps.missing, jnp.inf, gaps.filled), 0 if axis is None else axis
    ordered, missing = (jnp.ravel(v) if axis is None else v for v in (ordered, gaps.missing))
    ordered, n = jnp.sort(ordered, axis=along), _count(missing, axis=along, keepdims=True)
    ends = [jnp.take_along_axis(ordered, k, axis=along) for k in ((n - 1) // 2, n // 2)]
    result = 0.5 * (ends[0] + ends[1])
    return result if keepdims else jnp.squeeze(result, along)


def _filled_by(reduce: Callable[..., Any], value: float) -> Callable[..., Any]:
    return lambda gaps, axis=None, **over: reduce(jnp.where(gaps.missing, value, gaps.filled), axis=axis, **over)


SKIPPING: dict[Any, Callable[..., Any]] = {
    np.nansum: _sum,
    np.nanmean: _mean,
    np.nanvar: _variance,
    np.nanstd: lambda gaps, *args, **over: jnp.sqrt(_variance(gaps, *args, **over)),
    np.nanmedian: _median,
    np.nanprod: _filled_by(jnp.prod, 1.0),
    np.nancumsum: _filled_by(jnp.cumsum, 0.0),
    np.nancumprod: _filled_by(jnp.cumprod, 1.0),
    np.nanmax: _filled_by(jnp.max, -np.inf),
    np.nanmin: _filled_by(jnp.min, np.inf),
    np.nan_to_num: lambda gaps, nan=0.0: jnp.nan_to_num(jnp.where(gaps.missing, nan, gaps.filled)),
}
"""Functions that leave gaps out."""
