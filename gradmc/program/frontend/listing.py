"""Lists whose items are stacked arrays: what a list holds after a traced loop has appended to it.

Stack      `count` items in one array per leaf, along a leading axis
Listing    the items of a list in order: runs of single items, and stacks
Growing    a list while a traced loop appends to it and reads it: a buffer and a count so far
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, override

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.program import ir
from gradmc.program.frontend import bounds, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import (
    LEAF,
    AppendCount,
    CannotRoll,
    Container,
    Form,
    Guess,
    Guessed,
    Rows,
    beyond,
    fits,
    is_traced,
)

ENTRIES = "Read its items one by one (L[-1], for v in L) or by a sum(L); or store into an array that is made before."
_PLAIN = frozenset({float, int, bool})


@dataclass(frozen=True, eq=False)
class Stack:
    """Items of one form, each leaf stacked along a leading axis of length `count`."""

    leaves: tuple
    form: Form
    count: int

    def item(self, ev: Evaluation, k: Any) -> Any:
        """The item at an index within bounds."""
        return ev.together(self.form, [row(ev, leaf, k) for leaf in self.leaves])


def row(ev: Evaluation, leaf: Any, k: Any) -> Any:
    """`leaf[k]` for an index within bounds."""
    if isinstance(leaf, np.ndarray) and not is_traced(k):
        return leaf[k]
    return tables.look_up(ev, ir.load(leaf, k), leaf, [k])


@dataclass(frozen=True, eq=False)
class Listing:
    """The items of a list. Its methods return new listings."""

    parts: tuple

    @property
    def grows(self) -> bool:
        """Whether a traced loop is appending to the list."""
        return False

    @staticmethod
    def of(items: Sequence[Any]) -> "Listing":
        """The listing of single items."""
        return Listing((list(items),))

    def length(self) -> Any:
        """The number of items."""
        return sum(p.count if isinstance(p, Stack) else len(p) for p in self.parts)

    def rows(self) -> int:
        """How many of the items are rows of arrays."""
        return sum(p.count for p in self.parts if isinstance(p, Stack))

    def stacks(self, k: Any) -> bool:
        """Whether the item at an index is a row of a stack, and no object of its own."""
        if isinstance(k, slice):
            return False
        if is_traced(k):
            return True
        k %= self.length()
        for p in self.parts:
            size = p.count if isinstance(p, Stack) else len(p)
            if k < size:
                return isinstance(p, Stack)
            k -= size
        return False

    def item(self, ev: Evaluation, k: Any) -> Any:
        """The item at an index, Python's rules for negative ones."""
        if is_traced(k):
            stack = self.stacked(ev)
            for leaf in stack.leaves:
                bounds.check_element(ev, leaf, [k])
            return stack.item(ev, k)
        n = self.length()
        k = int(k)
        if not -n <= k < n:
            raise IndexError("list index out of range")
        k %= n
        for p in self.parts:
            size = p.count if isinstance(p, Stack) else len(p)
            if k < size:
                return p.item(ev, k) if isinstance(p, Stack) else p[k]
            k -= size
        raise AssertionError

    def items(self, ev: Evaluation) -> Iterator[Any]:
        """All items, one after the other."""
        for p in self.parts:
            if isinstance(p, Stack):
                yield from (p.item(ev, k) for k in range(p.count))
            else:
                yield from p

    def append(self, ev: Evaluation, item: Any) -> "Listing":
        """With one more item."""
        *before, last = self.parts or ([],)
        if isinstance(last, Stack):
            return Listing((*self.parts, [item]))
        return Listing((*before, [*last, item]))

    def concatenate(self, ev: Evaluation, other: "Listing") -> "Listing":
        """With all items of another listing."""
        if isinstance(other, Growing):
            raise other.complaint()
        return Listing(tuple(p for p in (*self.parts, *other.parts) if isinstance(p, Stack) or p))

    def repeated(self, ev: Evaluation, times: int) -> "Listing":
        """The items over and over again."""
        whole = Listing(())
        for _ in range(times):
            whole = whole.concatenate(ev, self)
        return whole

    def stacked(self, ev: Evaluation) -> Stack:
        """All items as one stack.

        Raises:
            CannotRoll: the items are not of one form and shape.
        """
        parts = [p if isinstance(p, Stack) else _stack(ev, p) for p in self.parts if isinstance(p, Stack) or p]
        if not parts:
            raise CannotRoll("the list is empty")
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        if any(p.form != first.form for p in parts):
            raise CannotRoll("the list holds items of different structure")
        try:
            leaves = tuple(jnp.concatenate(group) for group in zip(*(p.leaves for p in parts), strict=True))
        except (TypeError, ValueError):
            raise CannotRoll("the list holds arrays of different shapes") from None
        return Stack(leaves, first.form, sum(p.count for p in parts))

    def store(self, ev: Evaluation, k: Any, value: Any) -> "Listing":
        """The listing with item `k` replaced."""
        if is_traced(k):
            stack = self.stacked(ev)
            bounds.check(ev, k, stack.count)
            return Listing((_stored(ev, stack, k, value),))
        n = self.length()
        if not -n <= k < n:
            raise IndexError("list assignment index out of range")
        k = at = k % n
        parts = list(self.parts)
        for m, p in enumerate(parts):
            size = p.count if isinstance(p, Stack) else len(p)
            if at < size:
                parts[m] = _stored(ev, p, at, value) if isinstance(p, Stack) else [*p[:at], value, *p[at + 1 :]]
                return Listing(tuple(parts))
            at -= size
        raise AssertionError


def _stack(ev: Evaluation, items: list) -> Stack:
    """Single items as one stack."""
    if set(map(type, items)) <= _PLAIN:
        return Stack((_column(items),), LEAF, len(items))
    runs = [(kind, list(group)) for kind, group in itertools.groupby(items, type)]
    taken = [ev.apart(item) for kind, run in runs for item in (run[:1] if kind in _PLAIN else run)]
    form = taken[0][1]
    if any(f != form for _, f in taken):
        raise CannotRoll("the list holds items of different structure")
    if not taken[0][0]:
        raise CannotRoll("the list holds things that are no numbers or arrays")
    columns = list(zip(*(leaves for leaves, _ in taken), strict=True))
    if any(len({np.shape(v) for v in column}) > 1 for column in columns):
        raise CannotRoll("the list holds arrays of different shapes")
    if form == LEAF:
        columns = [[item if type(item) in _PLAIN else ev.heap.peek(item) for item in items]]
    return Stack(tuple(_column(column) for column in columns), form, len(items))


def _column(values: Sequence[Any]) -> Any:
    """The values as one array; stretches of plain numbers, which may be long, enter it as one constant each."""
    runs = [(kind, list(group)) for kind, group in itertools.groupby(values, type)]
    if not any(issubclass(kind, Tracer) for kind, _ in runs):
        return _unrounded(np.concatenate([_known(kind, run) for kind, run in runs]), runs)
    dtype = jnp.result_type(*(v for kind, run in runs for v in (run[:1] if kind in _PLAIN else run)))
    parts: list[Any] = []
    for kind, run in runs:
        if issubclass(kind, Tracer):
            parts += [jnp.asarray(v, dtype)[None] for v in run]
        else:
            parts.append(_known(kind, run).astype(dtype))
    return _unrounded(jnp.concatenate(parts), runs)


def _known(kind: type, run: Sequence[Any]) -> np.ndarray:
    array = np.asarray(run) if kind in _PLAIN else np.stack([np.asarray(v) for v in run])
    if array.dtype == object or not fits(array):
        raise beyond(max(run, key=abs) if array.dtype == object else array)
    return array


def _unrounded(column: Any, runs: Sequence[tuple[type, list]]) -> Any:
    """A column that holds all its whole numbers: beside floats they become floats."""
    if jnp.issubdtype(column.dtype, jnp.inexact):
        for kind, run in runs:
            if kind is int and any(float(v) != v for v in run):
                raise CannotRoll("the list holds large whole numbers beside floats", "Make floats of them: float(v).")
    return column


def _stored(ev: Evaluation, stack: Stack, k: Any, value: Any) -> Stack:
    leaves, form = ev.apart(value)
    if form != stack.form:
        raise CannotRoll("the list would hold items of different structure")
    new = []
    for array, leaf in zip(stack.leaves, leaves, strict=True):
        dtype = jnp.result_type(array, leaf)
        new.append(ir.store(jnp.asarray(array, dtype), leaf, k))
    return replace(stack, leaves=tuple(new))


def fitted(ev: Evaluation, value: Any, listing: Listing) -> Any:
    """A value for a row of a list, in the form that its rows have."""
    leaves, form = ev.apart(value)
    (wanted,) = {part.form for part in listing.parts if isinstance(part, Stack)} or {form}
    return value if form == wanted else ev.together(wanted, _fitted(leaves, form, wanted))


def _fitted(leaves: Sequence[Any], form: Form, wanted: Form) -> Sequence[Any]:
    """The leaves of a list of numbers, which may be one array or so many numbers, in the other form."""
    if _is_flat(wanted) and form == Rows(LEAF, len(wanted.keys)):
        return [leaves[0][k] for k in range(len(wanted.keys))]
    if _is_flat(form) and wanted == Rows(LEAF, len(form.keys)):
        return [jnp.stack([jnp.asarray(leaf) for leaf in leaves])]
    raise CannotRoll("the list would hold items of different structure")


def _is_flat(form: Form) -> TypeGuard[Container]:
    """Whether a form is that of a list of numbers, one leaf each."""
    return isinstance(form, Container) and form.kind is list and all(part == LEAF for part in form.parts)


def _fits(buffer: Any, leaf: Any) -> bool:
    return bool(jnp.result_type(buffer, leaf) == buffer.dtype and np.shape(leaf) == buffer.shape[1:])


@dataclass(frozen=True, eq=False)
class Growing(Listing):
    """A list in a loop that appends to it and reads it, or after one that may have ended early.

    Attributes:
        leaves: the buffers.
        form: the form of an item.
        count: how many items there are.
        added: how many the iteration at hand has appended, if that is known.
        tally: counts them otherwise.
        guess: if the list was empty before the loop, what was taken for its items.
        over: whether the loop is over.
    """

    leaves: tuple = ()
    form: Any = None
    count: Any = 0
    added: int = 0
    tally: AppendCount | None = None
    guess: Guess | None = None
    over: bool = False

    @property
    @override
    def grows(self) -> bool:
        return True

    @override
    def length(self) -> Any:
        return self.count

    @override
    def stacks(self, k: Any) -> bool:
        return True

    @override
    def item(self, ev: Evaluation, k: Any) -> Any:
        bounds.check(ev, k, self.count)
        if not is_traced(k) and k < 0:
            k = tables.apply(ev, self.count + k, lambda n, k=k: n + k, self.count)
        elif is_traced(k):
            k = jnp.where(k < 0, k + self.count, k)
        return Stack(self.leaves, self.form, 0).item(ev, k)

    @override
    def items(self, ev: Evaluation) -> Iterator[Any]:
        raise self.complaint()

    @override
    def stacked(self, ev: Evaluation) -> Stack:
        raise self.complaint()

    def complaint(self) -> CannotRoll:
        """What keeps it from being read whole."""
        if self.over:
            return CannotRoll("a list is read whole whose length depends on parameters", ENTRIES)
        return CannotRoll("the list is read whole in the loop that appends to it")

    @property
    def room(self) -> int:
        """How many items the buffers hold."""
        return self.leaves[0].shape[0]

    @override
    def append(self, ev: Evaluation, item: Any) -> "Growing":
        if self.over:
            longer = tuple(jnp.concatenate([leaf, jnp.zeros_like(leaf[:1])]) for leaf in self.leaves)
            return replace(replace(self, leaves=longer, over=False).append(ev, item), over=True)
        if self.guess is not None:
            self._check(ev, self.guess, item)
        if self.tally is not None:
            self.tally.appends += 1
            grown = _stored(ev, Stack(self.leaves, self.form, 0), self.count, item)
            return replace(self, leaves=grown.leaves, count=self.count + 1)
        grown = _stored(ev, Stack(self.leaves, self.form, 0), self.count, item)
        count = tables.apply(ev, self.count + 1, lambda n: n + 1, self.count)
        return replace(self, leaves=grown.leaves, count=count, added=self.added + 1)

    def _check(self, ev: Evaluation, guess: Guess, item: Any) -> None:
        """Compare an item with what was taken for one; numbers may be whole at first and floats later."""
        leaves, form = ev.apart(item)
        if form == self.form and guess.made and all(map(_fits, self.leaves, leaves)):
            return
        kinds = [jnp.result_type(leaf) for leaf in leaves]
        if form == self.form and guess.made:
            kinds = [jnp.result_type(a, b) for a, b in zip(self.leaves, leaves, strict=True)]
        blanks = tuple(np.zeros(np.shape(leaf), kind) for leaf, kind in zip(leaves, kinds, strict=True))
        same = form == self.form and all(
            b.dtype == a.dtype and b.shape == a.shape[1:] for a, b in zip(self.leaves, blanks, strict=True)
        )
        if not same:
            raise Guessed(guess, form, blanks)

    @override
    def concatenate(self, ev: Evaluation, other: Listing) -> "Growing":
        out = self
        for item in other.items(ev):
            out = out.append(ev, item)
        return out

    @override
    def store(self, ev: Evaluation, k: Any, value: Any) -> "Growing":
        bounds.check(ev, k, self.count)
        if not is_traced(k) and k < 0:
            k = self.count + k
        return replace(self, leaves=_stored(ev, Stack(self.leaves, self.form, 0), k, value).leaves)
