"""The operands of a phi: what a value is on either side of a branch, and the form to which both are brought."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import user_line
from gradmc.program.frontend.values import (
    LEAF,
    MISSING,
    NONE,
    TEXTS,
    Container,
    Fixed,
    Form,
    Missing,
    OneOf,
    OrNone,
    Slotted,
    leaves_in,
)


@dataclass(frozen=True, eq=False, slots=True)
class Recoded:
    """A result of one side that says which of some options it is, by other numbers.

    Attributes:
        leaf: the number of the result.
        places: the other numbers.
    """

    leaf: int
    places: np.ndarray


type Leaf = int | np.ndarray | jax.Array | Recoded
"""A leaf of one side: the number of one of its results, or an array from outside."""


@dataclass(frozen=True, eq=False, slots=True)
class PhiOperand:
    """What one key is on one side: its form, and its leaves with their types."""

    form: Form
    leaves: list[Leaf]
    types: list[Any]

    def alike(self, other: "PhiOperand") -> bool:
        """Whether the two differ in the values of their leaves only."""
        return self.form == other.form and [t.shape for t in self.types] == [t.shape for t in other.types]

    def blank(self) -> "PhiOperand":
        """The same with zeros."""
        return PhiOperand(self.form, [np.zeros(t.shape, t.dtype) for t in self.types], self.types)

    def spreads(self, other: "PhiOperand") -> tuple[int, ...] | None:
        """The shape of two arrays of which one spreads over the other; None if they are no such arrays."""
        if self.form != LEAF or other.form != LEAF:
            return None
        shapes = self.types[0].shape, other.types[0].shape
        try:
            full = np.broadcast_shapes(*shapes)
        except ValueError:
            return None
        return full if full in shapes else None

    def takes(self, other: "PhiOperand") -> "PhiOperand":
        """Another term in the form of this one, which may be None; as it is if it does not fit."""
        assert isinstance(self.form, OrNone)
        if other.form == (MISSING if self.form.unset else NONE):
            return PhiOperand(self.form, [*self.blank().leaves[:-1], np.asarray(True)], self.types)
        if other.form == self.form.item:
            return PhiOperand(self.form, [*other.leaves, np.asarray(False)], [*other.types, self.types[-1]])
        return other


def or_none(yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
    """Both as values that may be None, if one of them may be and the other is alike otherwise; so for their items."""
    if _same_items(yes.form, no.form):
        pairs = [or_none(a, b) for a, b in zip(_items(yes), _items(no), strict=True)]
        return _holding(yes, [a for a, _ in pairs]), _holding(no, [b for _, b in pairs])
    whole = next((t for t in (yes, no) if isinstance(t.form, OrNone)), None)
    if whole is None and NONE in (yes.form, no.form) and yes.form != no.form:
        other = no if yes.form == NONE else yes
        if not isinstance(other.form, Missing):
            flag = jax.typeof(np.False_)
            whole = PhiOperand(OrNone(other.form), [], [*other.types, flag])
    if whole is None:
        return yes, no
    return whole.takes(yes), whole.takes(no)


def _same_items(a: Form, b: Form) -> bool:
    """Whether two forms are different ones of the same container, with items that correspond."""
    if not isinstance(a, Container) or not isinstance(b, Container):
        return False
    return a != b and (a.kind, a.keys) == (b.kind, b.keys)


def _items(term: PhiOperand) -> list[PhiOperand]:
    """The items of a container, as terms."""
    assert isinstance(term.form, Container)
    found, start = [], 0
    for part in term.form.parts:
        end = start + len(list(leaves_in(part)))
        found.append(PhiOperand(part, term.leaves[start:end], term.types[start:end]))
        start = end
    return found


def with_items(term: PhiOperand, keys: tuple, more: Mapping[Any, PhiOperand]) -> PhiOperand:
    """A container with these keys: its own items, and more for keys that it lacks."""
    assert isinstance(term.form, Container)
    items = {**more, **dict(zip(term.form.keys, _items(term), strict=True))}
    found = [items[key] for key in keys]
    form = replace(term.form, keys=keys, parts=tuple(item.form for item in found))
    return PhiOperand(form, [v for item in found for v in item.leaves], [t for item in found for t in item.types])


def _holding(term: PhiOperand, items: list[PhiOperand]) -> PhiOperand:
    """A container with other items."""
    assert isinstance(term.form, Container)
    form = replace(term.form, parts=tuple(item.form for item in items))
    return PhiOperand(form, [v for item in items for v in item.leaves], [t for item in items for t in item.types])


def or_unset(yes: PhiOperand, no: PhiOperand, name: str) -> tuple[PhiOperand, PhiOperand]:
    """Both as values of a variable that may not be set, if it may not be on one side and they are alike otherwise."""
    terms = (yes, no)
    whole = next((t for t in terms if isinstance(t.form, OrNone) and t.form.unset), None)
    if whole is None and MISSING in (yes.form, no.form) and yes.form != no.form:
        other = no if yes.form == MISSING else yes
        if not isinstance(other.form, OrNone):
            whole = PhiOperand(OrNone(other.form, name), [], [*other.types, jax.typeof(np.False_)])
    return terms if whole is None else (whole.takes(yes), whole.takes(no))


def one_of(yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
    """Both as one of several texts, if they are texts: which one is a number; so for their items."""
    if _same_items(yes.form, no.form):
        pairs = [one_of(a, b) for a, b in zip(_items(yes), _items(no), strict=True)]
        return _holding(yes, [a for a, _ in pairs]), _holding(no, [b for _, b in pairs])
    ours, theirs = _texts(yes.form), _texts(no.form)
    if yes.form == no.form or not ours or not theirs:
        return yes, no
    options = tuple(dict.fromkeys((*ours, *theirs)))
    return _as_one(yes, options), _as_one(no, options)


def _texts(form: Form) -> tuple:
    """The texts that a form stands for; none if it stands for something else."""
    options = form.options if isinstance(form, OneOf) else (form.value,) if isinstance(form, Fixed) else ()
    return options if all(isinstance(option, TEXTS) for option in options) else ()


def _as_one(term: PhiOperand, options: tuple) -> PhiOperand:
    """A text as one of these options."""
    if isinstance(term.form, Fixed):
        code: Leaf = np.asarray(options.index(term.form.value))
        return PhiOperand(OneOf(options), [code], [jax.typeof(code)])
    assert isinstance(term.form, OneOf)
    if term.form.options == options[: len(term.form.options)]:
        return replace(term, form=OneOf(options))
    places = np.asarray([options.index(option) for option in term.form.options])
    (leaf,) = term.leaves
    code = Recoded(leaf, places) if isinstance(leaf, int) else jnp.asarray(places)[leaf]
    return PhiOperand(OneOf(options), [code], [jax.typeof(places[0])])


def agreeing(yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
    """Both without those items of a tuple that are different things on the two sides: they have no value after it."""
    a, b = yes.form, no.form
    if not isinstance(a, Container) or not isinstance(b, Container):
        return yes, no
    if (a.kind, a.keys) != (b.kind, b.keys) or not issubclass(a.kind, tuple):
        return yes, no
    pairs = [_agreed(*pair) for pair in zip(_items(yes), _items(no), strict=True)]
    return _holding(yes, [one for one, _ in pairs]), _holding(no, [other for _, other in pairs])


def _agreed(yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
    one, other = agreeing(yes, no)
    if one.alike(other):
        return one, other
    missing = PhiOperand(Missing(difference(yes, no)), [], [])
    return missing, missing


def both_moving(yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
    """Both as dicts with slots whose keys come and go, if they are dicts with the same slots."""
    a, b = yes.form, no.form
    if not isinstance(a, Slotted) or not isinstance(b, Slotted) or a == b:
        return yes, no
    if replace(a, stamps=None) != replace(b, stamps=None):
        return yes, no
    return _moving(yes, a), _moving(no, b)


def _moving(term: PhiOperand, form: Slotted) -> PhiOperand:
    if form.stamps is None:
        return term
    more = [np.asarray(form.stamps, np.int64), np.asarray(max(form.stamps, default=-1) + 1)]
    return PhiOperand(replace(form, stamps=None), [*term.leaves, *more], [*term.types, *map(jax.typeof, more)])


MOST_ITEMS = 4
"""Items of a container that are described one by one."""


def difference(yes: PhiOperand, no: PhiOperand) -> str:
    """How two terms differ, in words."""
    line = user_line.here()
    at = f" (line {line.line})" if line else ""
    told = [_described(side.form, side.types) for side in (yes, no)]
    if "nothing" in told:
        return f"it is assigned on one side of a branch only{at}"
    return f"it is {told[0]} on one side of a branch and {told[1]} on the other{at}"


def _described(form: Form, types: list) -> str:
    match form:
        case Missing():
            return "nothing"
        case Fixed(value=value):
            return repr(value)[:40]
        case OneOf(options=options):
            return " or ".join(map(repr, options[:MOST_ITEMS]))
        case OrNone(item=item, unset=unset):
            return f"{_described(item, types)} or {'nothing' if unset else 'None'}"
    if form == LEAF:
        return "a number" if types[0].shape == () else f"an array of shape {types[0].shape}"
    if isinstance(form, Container) and len(form.parts) <= MOST_ITEMS:
        items = ", ".join(_described(item.form, item.types) for item in _items(PhiOperand(form, [], types)))
        return f"a {form.kind.__name__} of {items or 'nothing'}"
    shapes = ", ".join(str(t.shape) for t in types)
    kind = re.sub("(?<=[a-z])(?=[A-Z])", " ", type(form).__name__).lower()
    return f"a {kind} of arrays of shapes {shapes}"
