"""Arrays whose shape is not known while compiling: operations that do not depend on it.

A variable may be an array on one side of a branch and a number on the other (`Spread`): what is computed with it entry
by entry is right for both, and beside an array of the full shape the difference is gone. A mask that depends on
parameters selects some number of elements (`Selected`): what is computed of them entry by entry is computed of all, and
they may be stored where the same mask holds, or summed. All else asks for the shape, and is refused.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing
from gradmc.program.frontend.values import LEAF, Selected, Spread, is_traced

PARTIAL = (Spread, Selected)
DENSITIES = frozenset(["logpdf", "logpmf", "pdf", "pmf", "logcdf", "cdf", "logsf", "sf", "ppf", "isf"])
"""Methods of the distributions of scipy.stats that work entry by entry."""


def any_partial(values: Sequence[Any]) -> bool:
    """Whether one of the values is of these."""
    return any(isinstance(v, PARTIAL) for v in values)


def elementwise(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """An operation that works entry by entry, on operands some of which are of these."""
    chosen = [o for o in operands if isinstance(o, Selected)]
    result = operation(*(o.value if isinstance(o, PARTIAL) else o for o in operands))
    if chosen:
        first, *others = chosen
        rest = [o for o in operands if not isinstance(o, Selected)]
        if any(o.key != first.key for o in others) or any(
            isinstance(o, Spread) or np.ndim(_array(ev, o)) for o in rest
        ):
            first.complain()
        return Selected(result, first.mask, first.key)
    smaller = np.broadcast_shapes(*(o.shape if isinstance(o, Spread) else np.shape(_array(ev, o)) for o in operands))
    if smaller == np.shape(result):
        return result
    spread = next(o for o in operands if isinstance(o, Spread))
    return Spread(result, smaller, spread.name, spread.why)


def _array(ev: Evaluation, value: Any) -> Any:
    return ev.heap.content(value)


def is_elementwise(function: Any) -> bool:
    """Whether a function of numpy or scipy works entry by entry."""
    if isinstance(function, np.ufunc):
        return function.signature is None
    owner = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") in DENSITIES and type(owner).__module__.startswith("scipy.stats"):
        return type(owner).__name__.startswith("multi") is False and hasattr(owner, "_argcheck")
    return function is np.where


SUMS: dict[Any, str] = {np.sum: "sum", np.mean: "mean", np.prod: "prod", np.max: "max", np.min: "min", sum: "sum"}
EMPTY = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}


def reduced(selected: Selected, name: str) -> Any:
    """The sum, mean, product, maximum or minimum of the elements that a mask selects."""
    if name == "mean":
        return reduced(selected, "sum") / counted(selected)
    whole = jnp.where(selected.mask, selected.value, EMPTY[name])
    return getattr(jnp, name)(whole)


def counted(selected: Selected) -> Any:
    """How many elements a mask selects."""
    return jnp.sum(selected.mask)


def select(ev: Evaluation, content: Any, mask: Any) -> Selected:
    """`content[mask]`, for a mask of the same shape."""
    flat, first = jnp.asarray(content).reshape(-1), jnp.argmax(mask.reshape(-1))
    return Selected(jnp.where(mask, content, flat[first]), mask, key(ev, mask))


def of_list(ev: Evaluation, value: Any) -> Any:
    """A list of numbers whose length depends on parameters, as the part of an array that it fills; others as they are.

    A loop that may end early, or appends on one side of a branch, leaves such lists.
    """
    content = ev.heap.content(value) if isinstance(value, list) else value
    if not isinstance(content, Growing) or not content.over or content.form != LEAF or content.leaves[0].ndim != 1:
        return value
    (numbers,) = content.leaves
    mask = jnp.arange(content.room) < content.count
    return Selected(jnp.where(mask, numbers, numbers[0]), mask, ("list", id(content.count)))


def stored(ev: Evaluation, content: Any, mask: Any, value: Selected) -> Any:
    """`content` after `content[mask] = value`."""
    if value.key != key(ev, mask) or mask.shape != content.shape:
        value.complain()
    array = jnp.asarray(content)
    return jnp.where(mask, value.value.astype(array.dtype), array)


# --- which mask is which -------------------------------------------------------------------------


def key(ev: Evaluation, value: Any) -> Any:
    """What tells masks apart: how they were made, of which values."""
    entry = ev.masks.get(id(value))
    return entry[1] if entry is not None and entry[0] is value else ("is", id(value))


def note(ev: Evaluation, mask: Any, op: str, operands: Sequence[Any], tokens: Sequence[Any]) -> Any:
    """Note how a mask was made; returns it.

    Args:
        mask: the result.
        op: the name of the operator.
        operands: the contents of its operands.
        tokens: the operands.
    """
    if is_traced(mask) and mask.ndim and mask.dtype == bool:
        heap = ev.heap
        parts = tuple(
            ("value", type(v), v) if isinstance(v, int | float) else (key(ev, v), heap.version(t))
            for v, t in zip(operands, tokens, strict=True)
        )
        ev.masks[id(mask)] = (mask, (op, *parts), (*operands, *tokens))
    return mask
