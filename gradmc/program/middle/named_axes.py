"""Values of the emitter: arrays with named loop axes.

A loop that runs vectorised becomes an *axis*. A value that depends on the loop's index holds that axis in
front of its own dimensions; one that does not, does not, and is computed once. Axes are ordered from the
outermost loop inwards. A value held as a NumPy array is *known*: it does not depend on parameters or traced
data, and whatever is computed from known values is computed now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc.program.middle.guard import guard


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A vectorised loop, or the part of one for which a branch is taken (then `within` and `index` are set)."""

    size: int
    level: int
    within: "Axis | None" = None
    index: np.ndarray | None = None

    @property
    def root(self) -> "Axis":
        """The axis of the whole loop."""
        return self if self.within is None else self.within.root

    def parent(self, loops: Sequence["Axis"]) -> "Axis | None":
        """The loop among `loops`, not yet ended, of which this is a part."""
        around = self.within
        while around is not None and around not in loops:
            around = around.within
        return around


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An array of shape (*sizes of axes, *element).

    `factors` are two values whose product it is, where that may be worth knowing.
    `bounds` are the least and greatest entry, where the array is traced but its entries are known to lie there.
    """

    array: Any
    axes: tuple[Axis, ...] = ()
    bounds: tuple[int, int] | None = None
    factors: "tuple[Value, Value] | None" = None

    def __post_init__(self) -> None:
        """Make NumPy's scalars, which indexing yields, arrays."""
        if isinstance(self.array, np.generic):
            object.__setattr__(self, "array", np.asarray(self.array))

    @property
    def known(self) -> bool:
        """Whether the entries are known while compiling."""
        return isinstance(self.array, np.ndarray)

    @property
    def element(self) -> tuple[int, ...]:
        """Shape of what one iteration sees."""
        return tuple(self.array.shape[len(self.axes) :])

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the entries."""
        return self.array.dtype

    @property
    def differentiable(self) -> bool:
        """Whether a gradient can flow through it."""
        return not self.known and jnp.issubdtype(self.dtype, jnp.inexact)


def concrete(array: Any) -> Any:
    """A NumPy array if the value can be had now, else the value itself."""
    if isinstance(array, jax.core.Tracer):
        return array
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    return np.asarray(array)


def value_of(array: Any, aval: Any = None) -> Value:
    """A value without axes; Python scalars take the type `aval`."""
    array = concrete(array)
    if isinstance(array, np.ndarray):
        array = np.asarray(array, None if aval is None else aval.dtype)
    return Value(array)


def union(values: Iterable[Value]) -> tuple[Axis, ...]:
    """All axes of some values, outermost first."""
    found: dict[Axis, None] = {}
    for value in values:
        found |= dict.fromkeys(value.axes)
    return tuple(sorted(found, key=lambda a: a.level))


def traced(value: Value) -> Any:
    """The array as JAX takes it."""
    return jnp.asarray(value.array) if value.known else value.array


def widen(value: Value, axes: Sequence[Axis], guards: Sequence[Value] = ()) -> Value:
    """The value with all of `axes`, repeated along those that it lacked.

    Inside a branch that is computed for all iterations, `guards` are the predicates under which it counts;
    where a value spreads along a predicate's axes, its cotangent is cut to the iterations that count.
    """
    axes = tuple(axes)
    if value.axes == axes:
        return value
    shape = (*(a.size for a in axes), *value.element)
    kept = [axes.index(a) for a in value.axes]
    if value.known:
        expanded = np.expand_dims(value.array, [k for k in range(len(axes)) if k not in kept])
        return Value(np.broadcast_to(expanded, shape), axes)
    dims = [*kept, *range(len(axes), len(shape))]
    wide = Value(lax.broadcast_in_dim(value.array, shape, dims), axes)
    for pred in guards:
        if value.differentiable and set(pred.axes) <= set(axes) and not set(pred.axes) <= set(value.axes):
            wide = guarded(wide, pred)
    return wide


def repeated(value: Value, element: tuple[int, ...]) -> Value:
    """A number in every place of an array of shape `element`; what has this shape already stays as it is."""
    if value.element == element:
        return value
    shape = (*value.array.shape, *element)
    if value.known:
        expanded = np.expand_dims(value.array, tuple(range(value.array.ndim, len(shape))))
        return Value(np.broadcast_to(expanded, shape), value.axes)
    return Value(lax.broadcast_in_dim(value.array, shape, range(value.array.ndim)), value.axes)


def guarded(value: Value, pred: Value) -> Value:
    """The value, its cotangent zero where `pred` (whose axes it has) is false."""
    if not value.differentiable:
        return value
    keep = traced(widen(pred, value.axes))
    keep = lax.broadcast_in_dim(keep, value.array.shape, range(keep.ndim))
    return Value(guard(value.array, keep), value.axes)


def move_axis_in(value: Value, axis: Axis) -> Value:
    """Turn a loop axis into the first dimension of the element (the stacked results of a loop)."""
    rest = tuple(a for a in value.axes if a is not axis)
    where = value.axes.index(axis)
    move = np.moveaxis if value.known else jnp.moveaxis
    return Value(move(value.array, where, len(rest)), rest)


def move_axis_out(value: Value, axis: Axis) -> Value:
    """Turn the first dimension of the element into a loop axis: the inverse of `move_axis_in`."""
    axes = tuple(sorted((*value.axes, axis), key=lambda a: a.level))
    move = np.moveaxis if value.known else jnp.moveaxis
    return Value(move(value.array, len(value.axes), axes.index(axis)), axes)


def move_axis_first(value: Value, axis: Axis) -> Value:
    """The rows of a value along a loop axis, as `scan` takes them; `axes` are those of one row."""
    rest = tuple(a for a in value.axes if a is not axis)
    k = value.axes.index(axis)
    array = np.moveaxis(value.array, k, 0) if value.known else jnp.moveaxis(value.array, k, 0)
    return Value(array, rest)
