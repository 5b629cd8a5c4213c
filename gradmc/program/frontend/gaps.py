"""NaN among the data, in programs that look after it themselves: no derivative passes through what is missing.

`np.where(np.isnan(y), 0.0, (y - mu) ** 2)` does not depend on the entries that are missing, yet its derivative would:
the reverse pass multiplies 0 by NaN. So what is computed entry by entry of data with gaps is computed of data without
(some number stands in each), and the NaN are put back for whoever asks. Beside every such value its other form is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import context
from gradmc.program.frontend.values import is_traced


@dataclass(frozen=True, eq=False, slots=True)
class Gaps:
    """A value with gaps: its numbers, with some number in each gap, and where the gaps are."""

    filled: Any
    missing: Any


def found(values: Any) -> bool:
    """Whether NaN is in an array of floats."""
    return isinstance(values, np.ndarray) and values.dtype.kind == "f" and bool(np.isnan(values).any())


def of(value: Any) -> Gaps | None:
    """The other form of a value that has gaps."""
    here = context.current()
    if not here.missing:
        return None
    if is_traced(value):
        entry = here.gaps.get(id(value))
        return entry[1] if entry is not None and entry[0] is value else None
    if not found(value):
        return None
    missing = np.isnan(value)
    some = value[~missing][:1]
    return Gaps(np.where(missing, some[0] if some.size else 1.0, value), missing)


def note(value: Any, gaps: Gaps) -> Any:
    """Keep the other form of a value; returns the value."""
    context.current().gaps[id(value)] = (value, gaps)
    return value


def elementwise(operation: Callable[..., Any], *operands: Any) -> Any:
    """An operation entry by entry, some of whose operands may have gaps; its result is traced."""
    if not context.current().missing:
        return operation(*operands)
    forms = [of(o) for o in operands]
    gaps = [g for g in forms if g is not None]
    if not gaps or not any(map(is_traced, operands)):
        return operation(*operands)
    filled = operation(*(o if g is None else g.filled for o, g in zip(operands, forms, strict=True)))
    missing = gaps[0].missing
    for other in gaps[1:]:
        missing = missing | other.missing
    if not jnp.issubdtype(filled.dtype, jnp.inexact):
        return operation(*operands)
    return note(jnp.where(missing, jnp.nan, filled), Gaps(filled, missing))


def loaded(result: Any, content: Any, load: Callable[[Any], Any]) -> Any:
    """Keep the other form of an element or part of an array with gaps; `load` takes the same of another array."""
    gaps = of(content) if context.current().missing and is_traced(result) else None
    return result if gaps is None else note(result, Gaps(load(gaps.filled), load(gaps.missing)))


def where(test: Any, yes: Any, no: Any) -> Any:
    """`np.where`, where values may have gaps."""
    forms = [of(yes), of(no)]
    if not any(forms):
        return jnp.where(test, yes, no)
    filled = [v if g is None else g.filled for v, g in zip((yes, no), forms, strict=True)]
    missing = [False if g is None else g.missing for g in forms]
    numpy = jnp if is_traced(test) or any(map(is_traced, missing)) else np
    left = numpy.where(test, *missing)
    result = jnp.where(test, *filled)
    if not is_traced(left) and not left.any():
        return result
    return note(jnp.where(left, jnp.nan, result), Gaps(result, left))


def _count(missing: Any, axis: Any) -> Any:
    return jnp.sum(~missing, axis=axis)


def _sum(gaps: Gaps, axis: Any = None) -> Any:
    return jnp.sum(jnp.where(gaps.missing, 0.0, gaps.filled), axis=axis)


SKIPPING: dict[Any, Callable[..., Any]] = {
    np.nansum: _sum,
    np.nanmean: lambda gaps, axis=None: _sum(gaps, axis) / _count(gaps.missing, axis),
    np.nanprod: lambda gaps, axis=None: jnp.prod(jnp.where(gaps.missing, 1.0, gaps.filled), axis=axis),
    np.nanmax: lambda gaps, axis=None: jnp.max(jnp.where(gaps.missing, -jnp.inf, gaps.filled), axis=axis),
    np.nanmin: lambda gaps, axis=None: jnp.min(jnp.where(gaps.missing, jnp.inf, gaps.filled), axis=axis),
    np.nan_to_num: lambda gaps: jnp.nan_to_num(jnp.where(gaps.missing, 0.0, gaps.filled)),
}
"""Functions that leave gaps out."""
