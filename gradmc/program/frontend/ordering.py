"""`sorted`, `list.sort`, and `max` and `min` with a key, where parameters decide the order.

The items become rows of arrays, and the order is that of their keys, which are numbers or tuples of numbers.

    program                                        keys                 order            items
    sorted([(1, a), (2, b)], key=lambda t: t[1])   [a, b]               argsort          rows of [1, 2] and of [a, b]
    min(points, key=cost)                          [cost(v), ...]       its first        one row
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import has_identity, objects_inside
from gradmc.program.frontend.listing import Listing, Stack
from gradmc.program.frontend.phi_objects import either
from gradmc.program.frontend.values import CannotRoll, any_traced, is_traced

REMEDY = "Let the keys be numbers or tuples of them, and the items numbers, arrays of one shape, or tuples of these."


def sorted_(ev: Evaluation, items: list, key: Any = None, *, reverse: bool = False) -> list:
    """`sorted(items, key=key, reverse=reverse)`."""
    if key is None and any(map(is_traced, items)):
        return _numbers(ev, items, reverse=reverse)
    keys = _ranked(items if key is None else [ev.call(key, item) for item in items])
    if not any_traced(keys):
        order = sorted(range(len(items)), key=keys.__getitem__, reverse=reverse)
        return [items[k] for k in order]
    return _picked(ev, items, _order(ev, keys, "sorted", reverse=reverse))


def extreme(ev: Evaluation, items: list, key: Any, plain: Callable[..., Any]) -> Any:
    """`max(items, key=key)`, or `min`: the first of those that are alike; without a key, of tuples or lists."""
    keys = _ranked(items if key is None else [ev.call(key, item) for item in items])
    if not any_traced(keys):
        return items[plain(range(len(items)), key=keys.__getitem__)]
    first = _order(ev, keys, plain.__name__, reverse=plain is max)[:1]
    return _picked(ev, items, first)[0]


def _ranked(keys: list) -> list:
    """The keys, with a rank in place of those first parts of tuples that are known: names of items, mostly."""
    if not any_traced(keys) or not all(isinstance(key, tuple) for key in keys):
        return keys
    known = min(next((n for n, part in enumerate(key) if any_traced(part)), len(key)) for key in keys)
    try:
        parts = sorted({key[:known] for key in keys})
    except TypeError:  # they have no order, or are lists
        return keys
    if len(parts) == len(keys):
        return [parts.index(key[:known]) for key in keys]
    return [(parts.index(key[:known]), *key[known:]) for key in keys]


def _numbers(ev: Evaluation, items: Sequence[Any], *, reverse: bool) -> list:
    whole = jnp.sort(jnp.stack([jnp.asarray(v) for v in items]))
    if ev.missing and jnp.issubdtype(whole.dtype, jnp.floating):
        # Where Python leaves NaN, and what is around it, depends on the order in which it happens to compare.
        whole = jnp.where(jnp.isnan(whole[-1]), jnp.nan, whole)
    return list(whole[::-1] if reverse else whole)


def _order(ev: Evaluation, keys: list, name: str, *, reverse: bool) -> Any:
    """The places of the items in the order of their keys; those with one key stay in their order, as in Python."""
    columns = Listing.of(keys).stacked(ev).leaves
    if any(np.ndim(column) != 1 for column in columns):
        raise CannotRoll(f"the keys of {name} are arrays that depend on the parameters", REMEDY)
    last_first = [jnp.asarray(column)[::-1] if reverse else jnp.asarray(column) for column in reversed(columns)]
    order = jnp.lexsort(last_first)
    return (len(keys) - 1 - order)[::-1] if reverse else order


def _picked(ev: Evaluation, items: Sequence[Any], order: Any) -> list:
    """The items at some places: each may be any of those that were made before."""
    try:
        stack = Listing.of(items).stacked(ev)
    except CannotRoll:
        raise CannotRoll("things that are no numbers are sorted by what depends on the parameters", REMEDY) from None
    found = Stack(tuple(jnp.asarray(leaf)[order] for leaf in stack.leaves), stack.form, len(order))
    made = [ev.heap.allocate(found.item(ev, k)) for k in range(found.count)]
    named = list(objects_inside(list(items), ev.heap))
    for one in objects_inside(made, ev.heap) if named else ():
        if has_identity(one):
            ev.heap.aliases.note([one, *named], either, one)
    return made
