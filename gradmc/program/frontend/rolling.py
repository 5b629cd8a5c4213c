"""Trace a `for` once: find out what its body carries, and leave one `for` of the loop IR.

What has to cross from one iteration to the next is only known after the body has run: it may store into an
array through an alias, or bind a variable for the first time. `Crossing` is what is known so far; a run of the
body that needs more raises `_Again` with a larger one, and the body is traced again. Most loops need one run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.frontend import bodies, context, control, failing, forms, growth, marking, tables
from gradmc.program.frontend.bodies import Outcome, Pack, State
from gradmc.program.frontend.iterables import Rollable
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.memory import Fields, Retry
from gradmc.program.frontend.values import (
    CannotRoll,
    Form,
    Missing,
    Unbound,
    blank,
    is_array,
    is_traced,
    strong,
)

IN_PYTHON = 1000
"""A loop over data is run by Python up to this length (some ms), and compiled and run at once beyond it."""
INTERNAL = "__gm_"
MOST_TRIES = 24


@dataclass(frozen=True, slots=True)
class Crossing:
    """What is known to cross from one iteration to the next besides the values of variables.

    Attributes:
        tokens: arrays, lists, dicts and objects from outside that the body changes.
        growing: lists from outside that the body appends to and reads.
        fields: names of the attributes that it changes, for those of the tokens that are objects.
        stacked: variables that hold lists to be carried as arrays.
        rebound: variables changed by `x += v` that end as another object.
        late: variables that get their first value in the body, with a value of the same form.
        tabled: carried numbers by leaf, and what they are in every iteration (None: it cannot be told).
    """

    tokens: dict[int, Any] = field(default_factory=dict)
    growing: dict[int, growth.Growth] = field(default_factory=dict)
    fields: dict[int, tuple[str, ...]] = field(default_factory=dict)
    stacked: frozenset[str] = frozenset()
    rebound: frozenset[str] = frozenset()
    late: dict[str, tuple[Form, list]] = field(default_factory=dict)
    tabled: dict[int, np.ndarray | None] = field(default_factory=dict)


class DataOnly(BaseException):
    """The loop depends on data only: its results are plain values, which later code may need as such."""


class _Again(BaseException):
    """Passes through the tracer: trace again, knowing more."""

    def __init__(self, crossing: Crossing) -> None:
        super().__init__("again")
        self.crossing = crossing


@dataclass(frozen=True, eq=False, slots=True)
class Loop:
    """A `for` to be traced once; the arguments of the hook `for_` (see `functionalise`)."""

    source: Rollable
    body: Callable[[Any], object]
    state: State
    carried: tuple[str, ...]
    after: tuple[str, ...]
    augmented: tuple[str, ...]
    stores: tuple[Callable[[], Any], ...]
    place: Any

    def roll(self) -> None:
        """Trace the loop and set everything that it changes to what it is after the loop.

        Raises:
            CannotRoll: the body does not do the same in every iteration.
            DataOnly: it depends on data only, and Python is to run it.
        """
        self.settle(lambda crossing: Trial(self, crossing).run())

    def settle(self, attempt: Callable[[Crossing], None]) -> None:
        """Trace until what crosses from one iteration to the next is known."""
        crossing = Crossing(tokens=foreseen(self.stores))
        for _ in range(MOST_TRIES):
            try:
                return attempt(crossing)
            except _Again as again:
                crossing = again.crossing
        raise CannotRoll("what the body changes does not settle")


def foreseen(stores: Sequence[Callable[[], Any]]) -> dict[int, Any]:
    """The arrays and lists that a body stores into by name."""
    memory = context.current().memory
    tokens = {}
    for read in stores:
        try:
            token = read()
        except NameError:
            continue
        while (view := memory.parent(token)) is not None:
            token = view.parent
        if isinstance(token, list) or is_array(token):
            tokens[id(token)] = token
    return tokens


class Trial:
    """One attempt at tracing a loop."""

    def __init__(self, loop: Loop, crossing: Crossing) -> None:
        self.loop = loop
        self.crossing = crossing
        here = context.current()
        here.loops += 1
        self.label = here.loops
        self.memory = context.current().memory
        self.names = (*loop.carried, *loop.after)
        self.entry = bodies.get(loop.state)
        self.tokens = list(crossing.tokens.values())
        self.same = {
            name
            for name, value in zip(self.names, self.entry, strict=True)
            if name in loop.augmented and name not in crossing.rebound and _has_identity(value)
        }
        self.pack = Pack()
        for name, value in zip(self.names, self.entry, strict=True):
            self.pack.add(self._entering(name, value), stack=name in crossing.stacked)
        for token in self.tokens:
            self.pack.add(self._content(token), stack=isinstance(token, list))
        self.pack.leaves = [strong(leaf) for leaf in self.pack.leaves]
        self.grown: list[tuple[list, list[growth.Item]]] = []
        self.marks: Any = None

    def run(self) -> None:
        """Trace the loop and take what it leaves.

        Raises:
            DataOnly: nothing in the loop is traced but its index, and it is short enough for Python.
        """
        n = self.loop.source.length
        jaxpr, shapes = jax.make_jaxpr(self._for, return_shape=True)(*self.pack.leaves)
        self._tabulate(jaxpr)
        if any(map(is_traced, [*self.pack.leaves, *jaxpr.consts])):
            flat = jaxpr_as_fun(jaxpr)(*self.pack.leaves)
        elif n <= IN_PYTHON:
            raise DataOnly
        else:
            flat = _now(jaxpr, self.pack.leaves)
        out, (grown, marked, failed) = jax.tree.unflatten(jax.tree.structure(shapes), flat)
        self.assign(out)
        for (token, items), leaves in zip(self.grown, grown, strict=True):
            self.memory.append(token, Listing((growth.after(items, leaves, n, self.label),)))
        marking.deliver(self.marks, marked, self.label)
        for condition in failed:
            failing.note(jnp.any(condition))

    def _tabulate(self, jaxpr: Any) -> None:
        """If what a carried number is in every iteration was asked for, find out and trace again."""
        demands = context.current().demands
        wanted = {leaf for loop, leaf in demands if loop == self.label} - set(self.crossing.tabled)
        if wanted:
            found = control.carried(jaxpr, self.pack.leaves, wanted)
            raise _Again(replace(self.crossing, tabled={**self.crossing.tabled, **found}))

    def assign(self, out: Sequence[Any]) -> None:
        """Set variables and tokens to what was carried out of the loop."""
        values = self.pack.values(out)
        now = []
        for name, value, before in zip(self.names, values, self.entry, strict=False):
            if name in self.same or (isinstance(value, Unbound) and isinstance(before, Unbound)):
                now.append(before)
            else:
                now.append(self.memory.bear(bodies.named(name, value)))
        bodies.put(self.loop.state, now)
        for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
            self.memory.write(token, self._after(token, value))

    def _for(self, *leaves: Any) -> tuple[Any, Any]:
        n = self.loop.source.length
        try:
            return ir.for_loop(n, self._body, list(leaves), source=self.loop.place, names=self._leaf_names())
        except ir.CarryError as error:
            raise CannotRoll(self.told(error)) from None

    def _leaf_names(self) -> list[str]:
        """What the carried leaves are called in the source, for explanations; "" where they have no name."""
        stored: dict[int, str] = {}
        for read in self.loop.stores:
            name = (*read.__code__.co_freevars, *read.__code__.co_names, "")[0]
            stored |= dict.fromkeys(foreseen((read,)), name)
        names = [*self.names, *(stored.get(id(token), "") for token in self.tokens)]
        return [name for name, (a, b) in zip(names, self.pack.spans, strict=True) for _ in range(a, b)]

    # --- what the body sees ----------------------------------------------------------------------

    def _entering(self, name: str, value: Any) -> Any:
        if name in self.crossing.late:
            return forms.together(*self.crossing.late[name])
        if name in self.same or name not in self.loop.carried:
            return Unbound(name)
        return value

    def _content(self, token: Any) -> Any:
        """The content of a token before the loop, as something to carry."""
        grows = self.crossing.growing.get(id(token))
        if grows is not None:
            return grows.room(self.loop.source.length)
        names = self.crossing.fields.get(id(token))
        return token if names is None else self.memory.present_fields(token, names)

    def _body(self, i: Any, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        def body() -> None:
            self.loop.body(self.loop.source.item(i))

        tables.index(i, self.loop.source.length, self.label)
        return self.within(body, i, leaves, self._finish)

    def within[T](self, body: Callable[[], object], i: Any, leaves: Sequence[Any], finish: Callable[[Outcome], T]) -> T:
        """Run the body (or the test) of the loop on carried leaves."""

        def begin() -> None:
            self._note_tables(leaves)
            values = self.pack.values(leaves)
            seen = []
            for name, value, before in zip(self.names, values, self.entry, strict=False):
                late = name in self.crossing.late and not name.startswith(INTERNAL)
                seen.append(before if name in self.same else Unbound(name) if late else value)
            for value in seen:
                if not _has_identity(value) or all(value is not e for e in self.entry):
                    self.memory.bear(value)
            bodies.put(self.loop.state, [bodies.named(n, v) for n, v in zip(self.names, seen, strict=True)])
            for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
                self._begin_token(token, value, i)

        depth = len(self.memory.frames)
        try:
            return bodies.run(body, self.loop.state, begin, finish, loop=True)
        except Retry as retry:
            if retry.depth != depth:
                raise
            raise _Again(self._with_growing(retry.token)) from None

    def _with_growing(self, token: list) -> Crossing:
        grows = growth.Growth.of(token)
        return replace(
            self.crossing,
            tokens={**self.crossing.tokens, id(token): token},
            growing={**self.crossing.growing, id(token): grows},
        )

    def _note_tables(self, leaves: Sequence[Any]) -> None:
        for k, leaf in enumerate(leaves):
            table = self.crossing.tabled.get(k)
            if table is not None:
                tables.note(leaf, tables.Table.of(table, (self.label,)))
            elif k not in self.crossing.tabled and tables.whole(leaf):
                tables.wait(leaf, self.label, k)

    def _begin_token(self, token: Any, value: Any, i: Any) -> None:
        grows = self.crossing.growing.get(id(token))
        self.memory.write(token, self.memory.peek(value) if grows is None else grows.during(value, i))

    # --- what the body left ----------------------------------------------------------------------

    def _finish(self, outcome: Outcome) -> tuple[list[Any], Any]:
        """The carried leaves at the body's end; appended items, marks and failures, to be stacked."""
        leaves = self.leaving(outcome)
        grown = []
        self.grown = []
        for token, items in outcome.grown:
            taken = [growth.taken(item) for item in items]
            self.grown.append((token, [item for _, item in taken]))
            grown.append([leaf for leaves, _ in taken for leaf in leaves])
        self.marks, marked = marking.pack(outcome.marks)
        failed = [failing.any_of(outcome.failures)] if outcome.failures else []
        return leaves, (grown, marked, failed)

    def leaving(self, outcome: Outcome) -> list[Any]:
        """The carried leaves at the body's end."""
        out, new = Pack(), self.crossing
        for k, (name, value) in enumerate(zip(self.names, outcome.values, strict=True)):
            new = self._leaving(k, name, value, out, new)
        contents = {id(token): content for token, content in outcome.written}
        more = {id(t): t for t, _ in outcome.written if id(t) not in self.crossing.tokens}
        fields = {id(t): tuple(c) for t, c in outcome.written if isinstance(c, Fields)}
        if more or fields != self.crossing.fields:
            new = replace(new, tokens={**new.tokens, **more}, fields=fields)
        for k, token in enumerate(self.tokens):
            content = contents.get(id(token), self.memory.peek(token))
            new = self._leaving_token(len(self.names) + k, token, content, out, new)
        if new is not self.crossing:
            raise _Again(new)
        return out.leaves

    def _leaving(self, k: int, name: str, value: Any, out: Pack, new: Crossing) -> Crossing:
        """Compare a variable at the body's end with what it was at its beginning."""
        if name in self.same:
            out.add(Unbound(name))
            return new if value is self.entry[k] else replace(new, rebound=new.rebound | {name})
        before = self.pack.forms[k]
        form = out.add(value, stack=name in self.crossing.stacked)
        if form == before:
            return new
        if isinstance(before, Missing):
            leaves = [blank(leaf) for leaf in out.leaves[slice(*out.spans[-1])]]
            return replace(new, late={**new.late, name: (form, leaves)})
        if isinstance(value, Unbound):
            value.complain()
        if name not in self.crossing.stacked and name not in self.crossing.late:
            return replace(new, stacked=new.stacked | {name})
        raise CannotRoll(f"{_told(name)} is {_kind(before)} at first and {_kind(form)} after an iteration")

    def _leaving_token(self, k: int, token: Any, content: Any, out: Pack, new: Crossing) -> Crossing:
        grows = self.crossing.growing.get(id(token))
        if grows is not None:
            out.add(tuple(content.leaves))
            if content.added == grows.per:
                return new
            return replace(new, growing={**new.growing, id(token): replace(grows, per=content.added)})
        form = out.add(content, stack=isinstance(token, list))
        if form != self.pack.forms[k]:
            raise CannotRoll(f"a {type(token).__name__} that the loop changes holds things of different structure")
        return new

    def _after(self, token: Any, value: Any) -> Any:
        """The content of a token after the loop."""
        grows = self.crossing.growing.get(id(token))
        return self.memory.peek(value) if grows is None else grows.after(value, self.loop.source.length)

    def told(self, error: ir.CarryError) -> str:
        """Which variable changes its shape, and how."""
        k, before, after = error.mismatches[0]
        position = next(m for m, (a, b) in enumerate(self.pack.spans) if a <= k < b)
        name = self.names[position] if position < len(self.names) else "an array"
        return f"{_told(name)} has shape {before.shape} at first and {after.shape} after an iteration"


def _now(jaxpr: Any, leaves: Sequence[Any]) -> list[Any]:
    """The results of a loop over data, computed now."""
    with jax.ensure_compile_time_eval():
        out = jax.jit(jaxpr_as_fun(jaxpr))(*leaves)
    return [np.asarray(v)[()] for v in out]


def _has_identity(value: Any) -> bool:
    return isinstance(value, list) or is_array(value)


def _told(name: str) -> str:
    return "the return value" if name.startswith(INTERNAL) else repr(name)


def _kind(form: Form) -> str:
    return {"Leaf": "a number or array", "Rows": "a list", "Container": "a tuple, list or dict"}.get(
        type(form).__name__, "something else"
    )
