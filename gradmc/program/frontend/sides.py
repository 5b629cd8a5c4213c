"""The two sides of a branch on a traced value: traced each, and brought to common terms.

A side leaves several things: variables, contents of stored arrays and lists, appended items, marks, and failures.
Each has a `Key`; `Join` finds for every key its phi: what its value is on either side, or why it has none.

    program                key                  yes               no                phi
    if mu > 0:             ("variable", x)      1.0               2.0               x = 1.0 or 2.0
        x = 1.0            ("token", h)         h with h[0] = mu  h, as before      h, stored into where mu > 0
        h[0] = mu          ("variable", k)      3                 nothing           k is unbound where mu <= 0; reading
        k = 3                                                                       it there fails, as in Python
    else:                  ("failed", kinds)    false             mu < -9           mu < -9 where mu <= 0
        x = 2.0
        assert mu >= -9
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program import ir, marks
from gradmc.program.frontend import bodies, complaints, failing, forms, nullable, sometimes, tables, user_line
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import Fields, Heap, OneSided
from gradmc.program.frontend.identity import may_all_be, objects, objects_inside, tokens, tokens_inside
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.phi import (
    Leaf,
    PhiOperand,
    Recoded,
    agreeing,
    both_moving,
    difference,
    one_of,
    or_none,
    or_unset,
    with_items,
)
from gradmc.program.frontend.slots import Reslot, SlotPlan, Slots, plan_of
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.tables import Table
from gradmc.program.frontend.values import (
    MISSING,
    CannotRoll,
    Container,
    Form,
    Missing,
    Nullable,
    OrNone,
    Spread,
    Unbound,
    strong,
)

INTERNAL = "__gm_"
CHOICE = "__gm_choice"


class OneSidedMark(ProgramError):
    """A mark on one side of a branch of which it is not known while compiling when it is taken."""


type Key = tuple
"""("variable", k), ("token", id), ("item" or "items", id, k), ("mark", kind, name, k) or ("failed", kinds)."""


@dataclass(eq=False, slots=True)
class Side:
    """One traced side.

    Attributes:
        jaxpr: its leaves, without inputs.
        found: for every key the form of its value, and the place of its leaves.
        values: the values themselves (their leaves belong to the trace of the side).
        subjects: arrays and lists that it changes, by identity.
        held: for every key the arrays and lists in its value, in order, each with all objects that it may be.
        outside: those of the objects that were made before the branch, by identity.
        under: as `found`, for variables that it leaves alone, but whose object it changes.
        error: what it raises, if it does: then it leaves nothing but the conditions under which it fails.
    """

    jaxpr: Any = None
    found: dict[Key, tuple[Form, int, int]] = field(default_factory=dict)
    values: dict[Key, Any] = field(default_factory=dict)
    subjects: dict[int, Any] = field(default_factory=dict)
    held: dict[Key, list[tuple[Any, ...]]] = field(default_factory=dict)
    outside: set[int] = field(default_factory=set)
    under: dict[Key, tuple[Form, int, int]] = field(default_factory=dict)
    error: Exception | None = None

    def leaves(self) -> list[Any]:
        """All leaves, as part of the trace around the branch."""
        return ir.opened(self.jaxpr)()


def trace(
    ev: Evaluation, body: Callable[[], object], state: State, count: int, also: Sequence[tuple[Any, Any]] = ()
) -> Side:
    """Trace one side, of whose shared variables the first `count` matter.

    Args:
        ev: the evaluation.
        body: the side.
        state: of the variables that the sides share with their surroundings.
        count: how many of them matter.
        also: lists, dicts and objects that it leaves alone, but whose contents are asked for (`changed_inside`), each
            with what the other side makes of it.
    """
    side = Side()
    entry = bodies.get(state)

    def finish(outcome: BodyExit) -> list[Any]:
        leaves: list[Any] = []

        def take(value: Any) -> tuple[Form, int, int]:
            more, form = forms.apart(ev, value)
            leaves.extend(strong(leaf) for leaf in more)
            return form, len(leaves) - len(more), len(leaves)

        heap = ev.heap
        if side.error is not None:
            outcome = BodyExit(entry, [], [], marks.Marks(), outcome.failures)
        left = _left(outcome, entry, count, side.subjects)
        left += [(("token", id(token)), _content(heap, token, other)) for token, other in also]
        for key, value in left:
            inner = value.value if isinstance(value, Sometimes) else value
            side.found[key] = take(inner)
            side.values[key] = value
            side.held[key] = held_at(heap, key, inner, side.subjects)
            side.outside |= {id(o) for one in side.held[key] for o in one if heap.is_outside(o)}
        for k, value in enumerate(outcome.values[:count]):
            if value is entry[k] and any(id(o) in side.subjects for o in objects(value, heap)):
                side.under["variable", k] = take(value)
        return leaves

    def watched() -> None:
        try:
            body()
        except Exception as error:
            if not (
                failing.was_raised(error) or (failing.waits_for(ev, type(error)) and not complaints.is_internal(error))
            ):
                raise
            side.error = error
            failing.note(ev, np.True_, type(error))

    side.jaxpr = jax.make_jaxpr(lambda: bodies.run(ev, watched, state, lambda: None, finish, loop=False, branch=True))()
    return side


def changed_inside(ev: Evaluation, side: Side, other: Side) -> list[tuple[Any, Any]]:
    """What one side leaves alone and the other stores into, if the one changes an object that is inside of it.

    What it holds on the one side is then not what it held before the branch: `rows = [m[0], m[1]]`, of which one side
    stores into m and the other swaps the rows.
    """
    if side.error is not None:
        return []
    heap, found = ev.heap, []
    for (kind, token, *_), value in other.values.items():
        if kind == "token" and (kind, token) not in side.found and not isinstance(value, Slots):
            whole = other.subjects[token]
            if any(id(o) in side.subjects for o in objects_inside(_content(heap, whole, value), heap)):
                found.append((whole, value))
    return found


def _content(heap: Heap, token: Any, other: Any) -> Any:
    """The content of a token, as far as another content of it goes."""
    return heap.present_fields(token, other) if isinstance(other, Fields) else heap.peek(token)


def places(heap: Heap, key: Key, value: Any, subjects: dict[int, Any]) -> list[Any]:
    """The arrays and lists in the value of a key, in order: it itself first, unless it is the content of one."""
    whole = key[0] != "token" or isinstance(subjects.get(key[1]), CellType)
    return list(tokens(value, heap) if whole else tokens_inside(heap.peek(value), heap))


def held_at(heap: Heap, key: Key, value: Any, subjects: dict[int, Any]) -> list[tuple[Any, ...]]:
    """What each of them may be."""
    return [may_all_be(token, heap) for token in places(heap, key, value, subjects)]


def _left(outcome: BodyExit, entry: tuple, count: int, subjects: dict[int, Any]) -> list[tuple[Key, Any]]:
    """What a side left, by key."""
    left: list[tuple[Key, Any]] = [
        (("variable", k), outcome.values[k]) for k in range(count) if outcome.values[k] is not entry[k]
    ]
    for token, content in outcome.written:
        subjects[id(token)] = token
        left.append((("token", id(token)), content))
    for token, items in outcome.grown:
        subjects[id(token)] = token
        for k, item in enumerate(items):
            left.append((("items" if isinstance(item, Listing) else "item", id(token), k), item))
    for kind in ("observe", "record"):
        for name, values in getattr(outcome.marks, kind).items():
            left += [(("mark", kind, name, k), value) for k, value in enumerate(values)]
    if outcome.failures:
        left += [(("failed", kinds), condition) for kinds, condition in failing.by_kinds(outcome.failures).items()]
    return left


@dataclass(frozen=True, eq=False, slots=True)
class Phi:
    """What one key is after the branch.

    Attributes:
        key: the key.
        form: form of its value.
        yes: its leaves on the one side,
        no: and on the other.
        unbound: in place of a value, if the sides cannot be brought together.
        when: where it exists, if only one side has it; and the value on that side.
        null: where it is None, for a value that may be and if data tell it.
        met: how the two sides differ, if each gives it a value.
        spread: what it is if it is an array on one side, and one that spreads over it on the other; without its value.
    """

    key: Key
    form: Form
    yes: Sequence[Leaf]
    no: Sequence[Leaf]
    unbound: Unbound | None = None
    when: Table | None = None
    before: Any = None
    null: Table | None = None
    met: str = ""
    spread: Spread | None = None

    def value(self, ev: Evaluation, leaves: list[Any]) -> Any:
        """The value with these leaves."""
        if self.unbound is not None:
            return self.unbound
        value = forms.together(ev, self.form, leaves)
        if self.spread is not None:
            return replace(self.spread, value=value)
        if isinstance(value, Nullable):
            value = self._nullable(ev, value)
        if self.when is None:
            return value
        inner = self.before if isinstance(self.before, Sometimes) else None
        if inner is None:
            return Sometimes(value, self.when)
        return sometimes.within(ev, Sometimes(value, inner.when, inner.axes), self.when)

    def _nullable(self, ev: Evaluation, value: Nullable) -> Any:
        """A value that may be None, or what it is if data tell it."""
        same = tables.same(self.null)
        if same is not None:
            return nullable.known(value.value, same, value.unset)
        tables.note(ev, value.null, self.null)
        plain = all(isinstance(side[-1], np.ndarray) for side in (self.yes, self.no))
        return replace(value, met=self.met, at=user_line.here()) if plain and self.met else value


def _from_before(leaves: list[Any], form: Form) -> PhiOperand:
    """What was there before a branch, as an operand."""
    leaves = [strong(leaf) for leaf in leaves]
    return PhiOperand(form, [np.asarray(v) if np.isscalar(v) else v for v in leaves], list(map(jax.typeof, leaves)))


@dataclass(frozen=True, eq=False, slots=True)
class Join:
    """Brings the values of two sides together.

    Args:
        yes: one side,
        no: the other.
        names: names of the variables.
        entry: their values before the branch.
        test: the table of the condition, if data tell it.
        first: whether what `yes` assigns has a value whenever `no` is taken, though it may seem to have none.
    """

    ev: Evaluation
    yes: Side
    no: Side
    names: tuple[str, ...]
    entry: tuple
    test: Table | None
    first: bool = False

    def phis(self) -> list[Phi]:
        """What every key is after the branch."""
        return [self._merge(key) for key in dict.fromkeys([*self.yes.found, *self.no.found])]

    def _merge(self, key: Key) -> Phi:
        alone = key not in self.yes.found or key not in self.no.found
        if key[0] in ("item", "items", "mark"):
            if alone:
                return self._one_sided(key)
            if sometimes.any_sometimes([self.yes.values[key], self.no.values[key]]):
                if key[0] != "mark":
                    raise OneSided({**self.yes.subjects, **self.no.subjects}[key[1]])
                raise CannotRoll("both sides of a branch mark only under further conditions")
        # What both sides leave, or one side leaves and the other has from before. The steps below bring the two
        # operands to one form: flags of ours that a side does not set are blank there; None beside a number is a number
        # and whether it is None; a variable that one side does not bind is a value and whether it is bound.
        yes, no = self._on(self.yes, key), self._on(self.no, key)
        name = self.names[key[1]] if key[0] == "variable" else ""
        ours = name.startswith(INTERNAL) and name != CHOICE
        if ours and (torn := self._torn(key)) is not None:
            return Phi(key, MISSING, [], [], torn)
        if isinstance(yes.form, Missing) and ours:
            yes = no.blank()
        elif isinstance(no.form, Missing) and (ours or (self.first and key[0] == "variable")):
            no = yes.blank()
        yes, no = both_moving(yes, no)
        if key[0] == "token":
            yes, no = self._with_all_fields(key, yes, no)
        why = difference(yes, no)
        # Not so for objects that have names outside: a blank in their place would be an object of its own.
        if key[0] in ("variable", "item", "token") and not self._has_names(key):
            yes, no = or_none(yes, no)
        if key[0] == "variable" and not self._has_names(key):
            before = self.entry[key[1]]
            if not ours and not (isinstance(before, Unbound) and before.late is not None):
                yes, no = or_unset(yes, no, name)
        if key[0] in ("variable", "token"):
            yes, no = one_of(yes, no)
        if yes.alike(no):
            unset = Unbound(name) if isinstance(yes.form, Missing) else None
            null = self._null(key) if isinstance(yes.form, OrNone) else None
            met = why if not alone or (isinstance(yes.form, OrNone) and yes.form.unset) else ""
            return Phi(key, yes.form, yes.leaves, no.leaves, unset, null=null, met=met)
        if key[0] == "variable" and (full := yes.spreads(no)) is not None:
            smaller = min((yes.types[0].shape, no.types[0].shape), key=lambda s: (len(s), np.prod(s)))
            spread = Spread(np.empty(full), smaller, name, why)
            return Phi(key, yes.form, yes.leaves, no.leaves, spread=spread)
        if key[0] == "variable":
            one, other = agreeing(yes, no)
            if one.types and one.alike(other):
                return Phi(key, one.form, one.leaves, other.leaves)
            return Phi(key, yes.form, [], [], Unbound(name, why))
        subject = {**self.yes.subjects, **self.no.subjects}.get(key[1])
        if (name := self._made(key)) is not None:
            raise CannotRoll(
                f"attribute {name!r} of a {type(subject).__name__} is made on one side of the branch only",
                "Set the attribute before it, so that it has a value on every path.",
            )
        if isinstance(subject, list):
            raise OneSided(subject)
        if isinstance(subject, dict):
            self._give_slots(subject, yes, no)
        raise CannotRoll(f"the two sides of a branch store different things: {why}")

    def _give_slots(self, owner: dict, *sides: PhiOperand) -> None:
        """Trace again with slots for a dict whose keys come or go on one side, if its items are numbers."""
        plans = [plan for side in sides if (plan := plan_of(side.form, side.types)) is not None]
        filled = [side for side in sides if side.types]
        if plans and len(plans) == len(filled):
            heap = self.ev.heap
            loop = heap.loop_around(owner)
            raise Reslot(len(heap.frames) if loop is None else loop, owner, reduce(SlotPlan.joined, plans))

    def _on(self, side: Side, key: Key) -> PhiOperand:
        """What one key is on one side: what was there before, if the side leaves it alone."""
        if (place := side.found.get(key, side.under.get(key))) is not None:
            form, a, b = place
            return PhiOperand(form, list(range(a, b)), list(side.jaxpr.out_avals[a:b]))
        return _from_before(*forms.apart(self.ev, self._before(key)))

    def _with_all_fields(self, key: Key, yes: PhiOperand, no: PhiOperand) -> tuple[PhiOperand, PhiOperand]:
        """Both with all attributes that either side changes: those that one leaves alone are what they were before."""
        a, b = yes.form, no.form
        if not isinstance(a, Container) or not isinstance(b, Container) or {a.kind, b.kind} != {Fields}:
            return yes, no
        names = tuple(dict.fromkeys((*a.keys, *b.keys)))
        if names == a.keys == b.keys:
            return yes, no
        heap = self.ev.heap
        subject = {**self.yes.subjects, **self.no.subjects}[key[1]]
        lacking = [name for name in names if name not in a.keys or name not in b.keys]
        before = heap.present_fields(subject, lacking)
        if next(tokens_inside(before, heap), None) is not None:
            return yes, no
        more = {name: _from_before(*forms.apart(self.ev, value)) for name, value in before.items()}
        return with_items(yes, names, more), with_items(no, names, more)

    def _value(self, side: Side, key: Key) -> Any:
        return side.values[key] if key in side.values else self._before(key)

    def _torn(self, key: Key) -> Unbound | None:
        """One of our variables that is different things on the sides of an inner branch."""
        values = [self._value(side, key) for side in (self.yes, self.no)]
        return next((v for v in values if isinstance(v, Unbound) and v.reason), None)

    def _made(self, key: Key) -> str | None:
        """An attribute that an object has on one side only."""
        fields = [value for side in (self.yes, self.no) if isinstance(value := self._value(side, key), Fields)]
        names = dict.fromkeys(name for f in fields for name in f)
        return next((n for n in names if any(isinstance(f.get(n, Unbound(n)), Unbound) for f in fields)), None)

    def _has_names(self, key: Key) -> bool:
        """Whether the value is on either side an array or list from outside, or holds one."""
        for side in (self.yes, self.no):
            if key not in side.found and next(tokens(self._before(key), self.ev.heap), None) is not None:
                return True
            if any(id(o) in side.outside for one in side.held.get(key, ()) for o in one):
                return True
        return False

    def _null(self, key: Key) -> Table | None:
        """Where a value that may be None is None, if data tell it."""
        found = [_null_of(self.ev, self._value(side, key)) for side in (self.yes, self.no)]
        known = [t for t in (self.test, *found) if t is not None]
        return tables.combine(self.ev, np.where, known) if len(known) == len(found) + 1 else None

    def _before(self, key: Key) -> Any:
        match key:
            case ("variable", k):
                before = self.entry[k]
                return before.late if self.first and isinstance(before, Unbound) and before.late is not None else before
            case ("token", token):
                heap = self.ev.heap
                subject = {**self.yes.subjects, **self.no.subjects}[token]
                other = self.yes.values.get(key, self.no.values.get(key))
                if isinstance(other, Slots):
                    return Slots.of(self.ev, heap.peek(subject), other.kind, other.plan())
                return _content(heap, subject, other)
            case _:
                return np.False_

    def _one_sided(self, key: Key) -> Phi:
        """A mark or an appended item on one side only: kept where the condition says so, if data tell."""
        here = self.yes if key in self.yes.found else self.no
        if self.test is None or key[0] == "items":
            if key[0] != "mark":
                raise OneSided({**self.yes.subjects, **self.no.subjects}[key[1]])
            raise OneSidedMark(
                f"{key[1]}({key[2]!r}, ...) on one side of a branch that depends on parameters: the number of terms "
                "would change from draw to draw",
                location=user_line.here(),
                remedy=f"Call {key[1]} on both sides, or once after the branch.",
            )
        term = self._on(here, key)
        blank = term.blank().leaves
        if here is self.yes:
            return Phi(key, term.form, term.leaves, blank, None, self.test, here.values[key])
        test = self.test
        when = Table(test.loops, lambda: ~test.values)
        return Phi(key, term.form, blank, term.leaves, None, when, here.values[key])


def _null_of(ev: Evaluation, value: Any) -> Table | None:
    return tables.known(ev, value.null if isinstance(value, Nullable) else value is None or isinstance(value, Unbound))


def picked(side: Side, wanted: Sequence[tuple[Sequence[Leaf], Spread | None]]) -> Callable[[], list[Any]]:
    """A function that gives the wanted leaves of one side, spread out where they are to be."""

    def leaves() -> list[Any]:
        out = side.leaves()

        def one(leaf: Leaf) -> Any:
            if isinstance(leaf, Recoded):
                return jnp.asarray(leaf.places)[out[leaf.leaf]]
            return out[leaf] if isinstance(leaf, int) else leaf

        given = [(one(leaf), spread) for group, spread in wanted for leaf in group]
        return [leaf if spread is None else jnp.broadcast_to(leaf, spread.value.shape) for leaf, spread in given]

    return leaves
