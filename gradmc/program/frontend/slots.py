"""Dicts into which loops store by keys that data decide: one slot for every key that comes up.

Which keys they are is known from the data. So the items become rows of arrays, as those of a list do (`Listing`); a
stamp says for every key whether it is in the dict, and in which order keys were inserted.

    program                          keys ("u", "v", "w"), by the names
    ratings = {}                     column [0, 0, 0]       stamps [-1, -1, -1]     count 0
    ratings["w"] = 1.5               column [0, 0, 1.5]     stamps [-1, -1, 0]      count 1
    ratings["u"] = 1.2               column [1.2, 0, 1.5]   stamps [1, -1, 0]       count 2
    del ratings["w"]                 column [1.2, 0, 1.5]   stamps [1, -1, -1]      count 2

A dict whose keys do not change along a loop is carried by its columns alone: its stamps are `fixed`.

Arrays and lists have names of their own, and are stored into. They are the rows of a list (`ItemRows`), one for every
key, and the dict holds no more than its keys; what is read and stored by a key is read and stored in that list, with
all that is known there of views and names. The list is made before the outermost loop that stores into the dict.

    program                          keys ("u", "v")        stamps [-1, -1]         rows [[0, 0], [0, 0]]
    q["v"] = np.zeros(2)             stamps [-1, 0]         rows [[0, 0], [0, 0]]
    q["v"][1] += a                   stamps [-1, 0]         rows [[0, 0], [0, a]]
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Listing, Stack
from gradmc.program.frontend.values import (
    LEAF,
    MISSING,
    CannotRoll,
    Container,
    Form,
    Slotted,
    blank,
    is_traced,
    leaves_in,
)

KINDS = (dict, OrderedDict, defaultdict, Counter)
UNLIKE = "a dict is stored into by a key that changes, and holds things of different structure, or no numbers"
REMEDY = (
    "Let all items of the dict be numbers, tuples of them, or arrays of one shape; or use an array: index it with "
    "places[key]."
)


@lru_cache(maxsize=64)
def defaulting(factory: Any) -> type[defaultdict]:
    """The type of dicts that make missing items by `factory`, whose items alone make one."""

    class Defaulting(defaultdict):
        def __init__(self, *items: Any) -> None:
            super().__init__(factory, *(i for i in items if i is not factory))

    return Defaulting


def kind_of(owner: dict) -> type[dict]:
    """The type of a dict, which makes one of its items."""
    return defaulting(owner.default_factory) if isinstance(owner, defaultdict) else type(owner)


@dataclass(frozen=True, eq=False, slots=True)
class SlotPlan:
    """What a dict needs slots for.

    Attributes:
        keys: the keys that it may have.
        form: the form of an item.
        blanks: its leaves, blank.
        moving: whether keys come and go in a loop or branch.
    """

    keys: tuple
    form: Form
    blanks: tuple
    moving: bool

    @property
    def objects(self) -> bool:
        """Whether the items are arrays or lists, which can be stored into."""
        return _is_object(self.form, self.blanks)

    def joined(self, other: "SlotPlan") -> "SlotPlan":
        """What covers both.

        Raises:
            CannotRoll: the items have no common form.
        """
        if self.form != other.form or list(map(np.shape, self.blanks)) != list(map(np.shape, other.blanks)):
            raise CannotRoll(UNLIKE, REMEDY)
        if self.objects and self.form == LEAF and self.blanks[0].dtype != other.blanks[0].dtype:
            raise CannotRoll(UNLIKE, REMEDY)
        blanks = tuple(np.zeros(a.shape, jnp.result_type(a, b)) for a, b in zip(self.blanks, other.blanks, strict=True))
        keys = tuple(dict.fromkeys((*self.keys, *other.keys)))
        return SlotPlan(keys, self.form, blanks, self.moving or other.moving)

    def covers(self, other: "SlotPlan") -> bool:
        """Whether nothing of another plan is missing here; numbers may have other types."""
        whole = self.joined(other)
        return len(whole.keys) == len(self.keys) and whole.moving == self.moving


@dataclass(frozen=True, eq=False, slots=True)
class ItemRows:
    """Where the items of a dict are, if they are arrays or lists.

    Attributes:
        token: the list whose rows they are, one for each key.
        form: the form of an item.
        blanks: its leaves, blank.
    """

    token: list
    form: Form
    blanks: tuple

    @staticmethod
    def of(ev: Evaluation, items: Sequence[Any], before: "ItemRows | None", plan: SlotPlan, more: int) -> "ItemRows":
        """A list with these items, or the rows that there are, and blank ones for more keys."""
        heap = ev.heap
        token: list = heap.allocate([])
        heap.items[id(token)] = token
        parts: list[Any] = [] if before is None else list(heap.listing(before.token).parts)
        if items:
            parts.append(Listing.of(items).stacked(ev))
        rest = tuple(np.zeros((more, *b.shape), b.dtype) for b in plan.blanks)
        whole = Listing((*parts, Stack(rest, plan.form, more)) if more else tuple(parts))
        heap.write(token, Listing((whole.stacked(ev),)))
        heap.become_rows(token, items)
        if before is not None:
            heap.aliases.copied(token, [before.token])
        return ItemRows(token, plan.form, plan.blanks)


class Reslot(BaseException):
    """The body of the frame at `depth` must be traced again, since it stores into a dict by keys that change.

    Numbers are carried by the loop there; arrays and lists get their list before it (`ItemRows`).
    """

    def __init__(self, depth: int, token: dict, plan: SlotPlan) -> None:
        super().__init__("trace again")
        self.depth, self.token, self.plan = depth, token, plan


@dataclass(frozen=True, eq=False)
class Slots:
    """The content of a dict with slots. Its methods return new contents.

    Attributes:
        kind: the type of the dict.
        keys: the keys that it may have.
        leaves: a column for each leaf of an item.
        form: the form of an item.
        stamps: for every key, when it was inserted; -1 if it is not there.
        count: how many insertions there have been.
        moving: whether a loop or branch carries stamps and count.
        ends: computes the stamps, after a loop in which data decide them.
        rows: where the items are, if they are arrays or lists; then there are no leaves.
    """

    kind: type[dict]
    keys: tuple
    leaves: tuple
    form: Form
    stamps: Any
    count: Any
    moving: bool = False
    ends: Callable[[], np.ndarray] | None = None
    rows: ItemRows | None = None

    @cached_property
    def settled(self) -> "Slots":
        """With known stamps, if data decide them."""
        if self.ends is None:
            return self
        stamps = self.ends()
        return replace(self, stamps=stamps, count=int(stamps.max(initial=-1)) + 1, moving=False, ends=None)

    @staticmethod
    def of(ev: Evaluation, content: "dict | Slots", kind: type[dict], plan: SlotPlan) -> "Slots":
        """A dict with the slots of a plan, which covers what it holds.

        Raises:
            CannotRoll: its items do not have the form of the plan.
        """
        if isinstance(content, Slots):
            content = content.settled
            before, leaves = content.keys, content.leaves
            stamps, count, rows = content.stamps, content.count, content.rows
        else:
            before, count, rows = tuple(content), len(content), None
            stamps = np.arange(count)
            leaves = Listing.of(list(content.values())).stacked(ev).leaves if content and not plan.objects else ()
        keys = tuple(dict.fromkeys((*before, *plan.keys)))
        more = len(keys) - len(before)
        if plan.objects:
            if rows is None or more:
                items = list(content.values()) if isinstance(content, dict) else []
                rows = ItemRows.of(ev, items, rows, plan, more)
            stamps = _extended(stamps, more, -1)
            return Slots(kind, keys, (), plan.form, stamps, count, plan.moving, rows=rows)
        columns = tuple(_extended(leaf, more) for leaf in leaves) if leaves else _blank(plan, more)
        return Slots(kind, keys, columns, plan.form, _extended(stamps, more, -1), count, plan.moving)

    def plan(self) -> SlotPlan:
        """What the slots are for."""
        if self.rows is not None:
            return SlotPlan(self.keys, self.form, self.rows.blanks, self.moving)
        blanks = tuple(np.zeros(np.shape(leaf)[1:], jnp.result_type(leaf)) for leaf in self.leaves)
        return SlotPlan(self.keys, self.form, blanks, self.moving)

    def known(self) -> bool:
        """Whether it is known which keys the dict has."""
        return not is_traced(self.stamps)

    def apart(self) -> tuple[list[Any], Form]:
        """Its leaves and form."""
        item = self.form if self.rows is None else MISSING
        if self.moving or not self.known():
            form = Slotted(self.kind, self.keys, item, None, self.rows)
            return [*self.leaves, self.stamps, self.count], form
        return list(self.leaves), Slotted(self.kind, self.keys, item, tuple(self.stamps.tolist()), self.rows)

    @staticmethod
    def together(form: Slotted, leaves: Sequence[Any]) -> "Slots":
        """The content with these leaves."""
        item = form.item if form.rows is None else form.rows.form
        if form.stamps is None:
            *columns, stamps, count = leaves
            return Slots(form.kind, form.keys, tuple(columns), item, stamps, count, moving=True, rows=form.rows)
        stamps = np.asarray(form.stamps, np.int64)
        count = int(stamps.max(initial=-1)) + 1
        return Slots(form.kind, form.keys, tuple(leaves), item, stamps, count, rows=form.rows)

    def item(self, ev: Evaluation, place: Any) -> Any:
        """The item in a slot."""
        if self.rows is not None:
            return ev.load(self.rows.token, place)
        return Stack(self.leaves, self.form, len(self.keys)).item(ev, place)

    def inserted(self, place: Any, here: Any) -> "Slots":
        """With the key of a slot in it; `here` says whether it was before."""
        if here is True:
            return self
        if not any(map(is_traced, (self.stamps, self.count, place, here))):
            stamps = np.array(self.stamps)
            stamps[place] = self.count
            return replace(self, stamps=stamps, count=self.count + 1)
        old = ir.load(jnp.asarray(self.stamps), place)
        stamps = ir.store(jnp.asarray(self.stamps), jnp.where(here, old, self.count), place)
        return replace(self, stamps=stamps, count=self.count + jnp.where(here, 0, 1))

    def deleted(self, place: Any, here: Any) -> "Slots":
        """Without the key of a slot, if it is there."""
        if not any(map(is_traced, (self.stamps, place, here))):
            stamps = np.array(self.stamps)
            stamps[place] = -1
            return replace(self, stamps=stamps)
        old = ir.load(jnp.asarray(self.stamps), place)
        return replace(self, stamps=ir.store(jnp.asarray(self.stamps), jnp.where(here, -1, old), place))

    def stored(self, ev: Evaluation, place: Any, value: Any) -> "Slots":
        """With another item in a slot."""
        if self.rows is not None:
            ev.store(self.rows.token, place, value)
            return self
        leaves, _ = ev.apart(value)
        new = []
        for column, leaf in zip(self.leaves, leaves, strict=True):
            dtype = jnp.result_type(column, leaf)
            new.append(ir.store(jnp.asarray(column, dtype), leaf, place))
        return replace(self, leaves=tuple(new))

    def order(self) -> np.ndarray:
        """The slots of the keys that it has, in the order of insertion.

        Raises:
            CannotRoll: which keys it has is not known.
        """
        if self.ends is not None:
            return self.settled.order()
        if not self.known():
            raise CannotRoll(
                "the keys of a dict are asked for, and which it has is not known while compiling",
                "Loop over all keys, with an if that says which ones count.",
            )
        return np.argsort(self.stamps, kind="stable")[np.sum(self.stamps < 0) :]

    def present(self) -> list[Any]:
        """The keys that it has, in the order of insertion."""
        return [self.keys[n] for n in self.order()]

    def as_dict(self, ev: Evaluation) -> dict:
        """It as a dict of Python's."""
        return self.kind([(self.keys[n], self.item(ev, int(n))) for n in self.order()])

    def length(self) -> Any:
        """How many keys it has."""
        stamps = self.settled.stamps
        return jnp.sum(stamps >= 0) if is_traced(stamps) else int(np.sum(stamps >= 0))


def _extended(front: Any, more: int, fill: int = 0) -> Any:
    if not more:
        return front
    rest = np.full((more, *np.shape(front)[1:]), fill, jax.dtypes.canonicalize_dtype(front.dtype))
    return jnp.concatenate([front, rest]) if is_traced(front) else np.concatenate([front, rest])


def _blank(plan: SlotPlan, count: int) -> tuple:
    return tuple(np.zeros((count, *b.shape), b.dtype) for b in plan.blanks)


def plan_of(form: Form, types: Sequence[Any]) -> SlotPlan | None:
    """The plan for a dict of some form, whose keys may come and go; None for other forms. `types` are its leaves'."""
    match form:
        case Slotted(keys=keys, rows=ItemRows(form=item, blanks=blanks)):
            return SlotPlan(keys, item, blanks, moving=True)
        case Slotted(keys=keys, item=item):
            count = len(list(leaves_in(item)))
            return SlotPlan(keys, item, tuple(np.zeros(t.shape[1:], t.dtype) for t in types[:count]), moving=True)
        case Container(kind=kind, keys=keys, parts=(first, *others)) if issubclass(kind, dict):
            count = len(list(leaves_in(first)))
            items = [types[k : k + count] for k in range(0, len(types), count or 1)]
            if _numbers(first) and all(f == first for f in others) and not any(t.shape for t in types):
                return SlotPlan(keys, first, tuple(np.zeros((), t.dtype) for t in items[0]), moving=True)
    return None


def of_known_class(owner: dict) -> bool:
    """Whether a dict is of a class of Python's."""
    return type(owner) in KINDS or (isinstance(owner, defaultdict) and type(owner) is kind_of(owner))


def _numbers(form: Form) -> bool:
    """Whether a form is that of a number, or of tuples of them."""
    return form == LEAF or (isinstance(form, Container) and form.kind is tuple and all(map(_numbers, form.parts)))


def _is_object(form: Form, leaves: Sequence[Any]) -> bool:
    """Whether a form is that of an array, or of a list of numbers."""
    if form == LEAF:
        return np.ndim(leaves[0]) > 0
    flat = isinstance(form, Container) and form.kind is list and all(p == LEAF for p in form.parts)
    return flat and not any(map(np.ndim, leaves))


def plan_for(leaves: Sequence[Any], form: Form, keys: Sequence[Any]) -> SlotPlan:
    """What storing an item under some keys needs.

    Raises:
        CannotRoll: it is no number, tuple of numbers, array or list of numbers.
    """
    numbers = _numbers(form) and not any(map(np.ndim, leaves))
    if not leaves or not (numbers or _is_object(form, leaves)) or any(k != k for k in keys):
        raise CannotRoll(UNLIKE, REMEDY)
    return SlotPlan(tuple(keys), form, tuple(map(blank, leaves)), moving=False)
