"""Take values apart into leaves and a form, and put them together again."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax

from gradmc.program.frontend import dicts, nullable
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing, Listing, Stack
from gradmc.program.frontend.slots import Slots, kind_of
from gradmc.program.frontend.values import (
    ITEM,
    LEAF,
    CannotRoll,
    Choice,
    Container,
    Fixed,
    Form,
    GrowingList,
    Leaf,
    Missing,
    Nullable,
    OneOf,
    OrNone,
    Pytree,
    Rows,
    Selected,
    Slotted,
    Spread,
    Unbound,
    is_leaf,
    is_traced,
    leaves_in,
)

LONGEST_LIST = 16
"""Longer lists of numbers are carried as one array."""


def apart(ev: Evaluation, value: Any, *, stack: bool = False) -> tuple[list[Any], Form]:
    """The leaves of a value and the form around them.

    Args:
        value: anything.
        stack: lists as arrays along a leading axis, whatever their length.
    """
    heap = ev.heap
    value = heap.content(value)
    if is_leaf(value):
        return [value], LEAF
    if isinstance(value, Spread | Selected):
        value.complain()
    if isinstance(value, Choice):
        return [value.code], OneOf(value.options)
    if isinstance(value, Unbound):
        return [], Missing(value.reason)
    if isinstance(value, Nullable):
        leaves, form = apart(ev, value.value, stack=stack)
        return [*leaves, value.null], OrNone(form, value.unset)
    if isinstance(value, Growing):
        return [*value.leaves, value.count], GrowingList(value.form, value.added, value.tally, value.guess)
    if isinstance(value, Slots):
        return value.settled.apart()
    if isinstance(value, Listing):
        if stack or any(isinstance(p, Stack) for p in value.parts):
            return _rows(ev, value)
        value = list(value.items(ev))
    if isinstance(value, list) and value and (stack or len(value) > LONGEST_LIST):
        try:
            return _rows(ev, Listing.of(value))
        except CannotRoll:
            pass
    if isinstance(value, list | tuple):
        return _container(ev, type(value), tuple(range(len(value))), value, stack)
    if isinstance(value, dict):
        return _container(ev, kind_of(value), tuple(value), list(value.values()), stack)
    return _other(value)


def _other(value: Any) -> tuple[list[Any], Form]:
    leaves, structure = jax.tree.flatten(value)
    if jax.tree_util.treedef_is_leaf(structure) or not leaves or not all(map(is_leaf, leaves)):
        return [], Fixed(value)
    return leaves, Pytree(structure)


def _container(ev: Evaluation, kind: type, keys: tuple, values: Sequence[Any], stack: bool) -> tuple[list[Any], Form]:
    leaves, parts = [], []
    for v in values:
        more, form = apart(ev, v, stack=stack)
        leaves += more
        parts.append(form)
    return leaves, Container(kind, keys, tuple(parts))


def _rows(ev: Evaluation, value: Any) -> tuple[list[Any], Form]:
    whole = value.stacked(ev)
    return list(whole.leaves), Rows(whole.form, whole.count)


def together(ev: Evaluation, form: Form, leaves: Sequence[Any]) -> Any:
    """The value of a form with these leaves."""
    rest = iter(leaves)
    return _build(ev, form, rest)


def _build(ev: Evaluation, form: Form, rest: Iterator[Any]) -> Any:
    match form:
        case Leaf():
            return next(rest)
        case Fixed(value=value):
            return value
        case OneOf(options=options):
            code = next(rest)
            return Choice(options, code) if is_traced(code) else options[int(code)]
        case Missing(why=why):
            return Unbound(ITEM if why else "a variable", why)
        case Pytree(structure=structure):
            return jax.tree.unflatten(structure, [next(rest) for _ in range(structure.num_leaves)])
        case OrNone(item=item, unset=unset):
            value = _build(ev, item, rest)
            return nullable.known(value, next(rest), unset)
        case Rows(item=item, count=count):
            return _list_of_rows(ev, item, count, rest)
        case GrowingList(item=item, added=added, tally=tally, guess=guess):
            *leaves, count = [next(rest) for _ in leaves_in(form)]
            return Growing((), tuple(leaves), item, count, added, tally, guess)
        case Slotted():
            return dicts.together(ev, Slots.together(form, [next(rest) for _ in leaves_in(form)]))
        case Container(kind=kind, keys=keys, parts=parts):
            return _contain(ev, kind, keys, [_build(ev, p, rest) for p in parts])
    raise AssertionError(form)


def _list_of_rows(ev: Evaluation, item: Form, count: int, rest: Iterator[Any]) -> list:
    stack = Stack(tuple(next(rest) for _ in leaves_in(item)), item, count)
    heap = ev.heap
    token: list = []
    heap.allocate(token)
    heap.write(token, Listing((stack,)))
    return token


def _contain(ev: Evaluation, kind: type, keys: tuple, values: list[Any]) -> Any:
    for value in filter(is_traced, values):  # what is known may be an array of before
        ev.heap.allocate(value)
    if issubclass(kind, dict):
        return ev.heap.allocate(kind(zip(keys, values, strict=True)))
    if kind is tuple:
        return tuple(values)
    if kind is list:
        return ev.heap.allocate(values)
    return tuple.__new__(kind, values) if issubclass(kind, tuple) else kind(values)
