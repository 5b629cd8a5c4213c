"""Lists to which a traced loop appends.

If the body only appends, the items leave the loop stacked along its index (`after`). If it reads the list too
(`h.append(a * h[t - 1])`), the list becomes a buffer of the final length and a count (`Growth`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import forms, operators, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing, Listing, Stack
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.values import LEAF, AppendCount, CannotRoll, Container, Fixed, Form, Guess, blank

OBJECTS_REMEDY = "Keep numbers, tuples or dicts of numbers in the list, or let the loop have 200 iterations at most."


@dataclass(frozen=True, slots=True)
class Growth:
    """A list that a body appends to and reads.

    Attributes:
        token: the list.
        per: items per iteration.
        form: form of an item.
        leaves: leaves of an item, blank.
        tally: counts the appends, if how many there are may depend on parameters: then the count is carried.
        guess: for an empty list, what its items are taken for.
    """

    token: list
    per: int
    form: Form
    leaves: tuple
    tally: AppendCount | None = None
    guess: Guess | None = None

    @staticmethod
    def of(ev: Evaluation, token: list, tally: AppendCount | None = None) -> "Growth":
        """What is to be expected of a list: one more item per iteration, like those it has."""
        present = ev.heap.listing(token)
        if present.grows or not present.length():
            return Growth(token, 1, LEAF, (blank(0.0),), tally, Guess())
        stack = present.stacked(ev)
        return Growth(token, 1, stack.form, tuple(blank(leaf[0]) for leaf in stack.leaves), tally)

    def room(self, ev: Evaluation, n: int) -> tuple:
        """The buffers: the present items in front, and room for those of `n` iterations."""
        present = ev.heap.listing(self.token)
        more = self.per * n
        if not present.length():
            return tuple(np.zeros((more, *leaf.shape), leaf.dtype) for leaf in self.leaves)
        return tuple(_extended(front, more) for front in present.stacked(ev).leaves)

    def start(self, ev: Evaluation) -> Any:
        """The count before the loop."""
        return np.asarray(ev.heap.listing(self.token).length())

    def during(self, ev: Evaluation, buffers: Sequence[Any], i: Any) -> Growing:
        """The list at the start of iteration `i`."""
        if self.tally is not None:
            self.tally.appends = 0
            return Growing((), tuple(buffers[:-1]), self.form, buffers[-1], 0, self.tally, self.guess)
        before = ev.heap.listing(self.token).length()
        count = operators.binary(ev, "Add", before, operators.binary(ev, "Mult", self.per, i))
        return Growing((), tuple(buffers), self.form, count, 0, None, self.guess)

    def after(self, ev: Evaluation, buffers: Sequence[Any], n: int) -> Listing:
        """The list after `n` iterations."""
        if self.tally is not None:
            return Growing((), tuple(buffers[:-1]), self.form, buffers[-1], 0, self.tally, over=True)
        count = ev.heap.listing(self.token).length() + self.per * n
        return Listing((Stack(tuple(buffers), self.form, count),))


def _extended(front: Any, more: int) -> Any:
    room = np.zeros((more, *front.shape[1:]), front.dtype)
    return np.concatenate([front, room]) if isinstance(front, np.ndarray) else jnp.concatenate([front, room])


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """One thing that a body appends in every iteration.

    Attributes:
        form: the form of an item.
        width: how many items it is.
        leaves: how many leaves an item has.
        single: whether it is one item, and not a whole list appended by an inner loop.
        when: in which iterations, if not in all.
    """

    form: Form
    width: int
    leaves: int
    single: bool
    when: Sometimes | None = None


def taken(ev: Evaluation, item: Any) -> tuple[list, Item]:
    """An appended item as leaves, and what it is."""
    when = item if isinstance(item, Sometimes) else None
    value = item.value if isinstance(item, Sometimes) else item
    if isinstance(value, Listing):
        stack = value.stacked(ev)
        return list(stack.leaves), Item(stack.form, stack.count, len(stack.leaves), False)
    leaves, form = forms.apart(ev, value)
    if any(id(one) in ev.heap.frames[-1].born for one in _fixed(form)):
        raise CannotRoll("an object that every iteration makes anew is kept in a list", OBJECTS_REMEDY)
    return leaves, Item(form, 1, len(leaves), True, when)


def _fixed(form: Form) -> Iterator[Any]:
    """What is no number in a form."""
    if isinstance(form, Fixed):
        yield form.value
    elif isinstance(form, Container):
        for part in form.parts:
            yield from _fixed(part)


def after(ev: Evaluation, items: Sequence[Item], leaves: Sequence[Any], n: int, loop: int) -> Listing:
    """What `n` iterations appended, in the order of the iterations.

    Args:
        items: what each iteration appends, in order.
        leaves: their leaves, stacked along the loop.
        n: number of iterations.
        loop: label of the loop.
    """
    first = items[0]
    if any(item.form != first.form for item in items):
        raise CannotRoll("the list gets items of different structure")
    starts = list(accumulate((item.leaves for item in items), initial=0))
    columns = []
    for k in range(first.leaves):
        parts = [
            leaves[start + k][:, None] if item.single else leaves[start + k]
            for start, item in zip(starts, items, strict=False)
        ]
        whole = jnp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        columns.append(whole.reshape((-1, *whole.shape[2:])))
    count = n * sum(item.width for item in items)
    if len(items) == 1 and (grown := _first(ev, first, n, loop)) is not None:
        return Growing((), leaves=tuple(columns), form=first.form, count=grown, over=True)
    if any(item.when for item in items):
        kept = np.flatnonzero(np.concatenate([_where(item, n, loop) for item in items], axis=1))
        return Listing((Stack(tuple(column[kept] for column in columns), first.form, len(kept)),))
    return Listing((Stack(tuple(columns), first.form, count),))


def _first(ev: Evaluation, item: Item, n: int, loop: int) -> Any:
    """How many iterations append, if it is the first ones, and loops around decide how many; None otherwise."""
    if item.when is None or loop not in item.when.when.loops or item.when.when.loops == (loop,):
        return None
    around = tuple(label for label in item.when.when.loops if label != loop)
    where = np.moveaxis(item.when.when.values, item.when.when.loops.index(loop), -1)
    count = where.sum(axis=-1)
    if not np.array_equal(where, np.arange(n) < count[..., None]):
        return None
    return tables.look(ev, tables.Table.of(count, around))


def _where(item: Item, n: int, loop: int) -> np.ndarray:
    """In which iterations (rows) which of an item's parts (columns) are appended."""
    if item.when is None:
        return np.ones((n, item.width), bool)
    if item.when.when.loops != (loop,):
        raise CannotRoll("how often the list grows in the inner loop changes from iteration to iteration")
    return np.broadcast_to(item.when.when.values[:, None], (n, 1))
