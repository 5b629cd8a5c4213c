"""Trace a `for` once, and leave one `for` of the loop IR.

A `Trial` traces the body on what is known to cross from one iteration to the next (`crossing`); if the body needs
more it is traced again. Most loops need one run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import (
    bodies,
    choices,
    context,
    control,
    failing,
    forms,
    growth,
    marking,
    operators,
    pythons,
    stores,
    tables,
    unrolling,
)
from gradmc.program.frontend.bodies import Outcome, Pack, State
from gradmc.program.frontend.crossing import Again, Crossing, foreseen
from gradmc.program.frontend.identity import (
    End,
    Identities,
    Peel,
    Place,
    Shared,
    has_identity,
    objects,
    objects_in,
    objects_inside,
    same_variables,
    shared_always,
    shared_first,
)
from gradmc.program.frontend.iterables import Rollable
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.memory import Fields, OneSided, Retry
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.values import (
    Buffer,
    CannotRoll,
    Container,
    Fixed,
    Form,
    Guess,
    Guessed,
    Leaf,
    Missing,
    Nullable,
    OneOf,
    OrNone,
    Unbound,
    blank,
    is_leaf,
    is_traced,
    strong,
)
from gradmc.program.middle.whole import exceeds

IN_PYTHON = 1000
"""A loop over data is run by Python up to this length (some ms), and compiled and run at once beyond it."""
MOST_PEELED = 2
"""So many first iterations may differ from the others."""
INTERNAL = "__gm_"
ENDING = ("__gm_break", "__gm_returned")
MOST_TRIES = 24
FEW = 3
"""A list of so few numbers is carried as so many numbers: the ends of a bracket are told apart then."""


STOPS_AT = 16
"""A loop of more iterations that a condition on parameters may end stops there, as a `while` at run time. Kepler's
equation for 50 planets, at most 40 steps each: 0.13 ms for value and gradient, 0.31 ms if all run to their end."""


class Stops(BaseException):
    """A condition on parameters may end the loop early."""


class DataOnly(BaseException):
    """The loop depends on data only: its results are plain values, which later code may need as such."""


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
    ended: Callable[[], Any] | None = None
    peeled: int = 0
    whole: bool = False
    origin: Any = None

    def run(self) -> None:
        """Trace the loop; if that cannot be done, run it in Python.

        A loop that has depended on data only before (in a function that is called again and again) begins in Python,
        and is traced from the first iteration on that depends on more.
        """
        done, n = 0, self.source.length
        if self._key() in context.current().data_only and n <= IN_PYTHON:
            done = unrolling.begun(self.source, self.body, self.ended)
        if not done:
            self._run()
        elif done < n:
            item = self.source.item
            rest = Rollable(n - done, lambda i: item(operators.binary("Add", i, done)))
            replace(self, source=rest, peeled=self.peeled + 1)._run()

    def _key(self) -> tuple[str, int, Any]:
        return (self.place.file, self.place.line, self.origin) if self.place else ("", 0, self.origin)

    def _run(self) -> None:
        try:
            self.roll()
        except DataOnly:
            context.current().data_only.add(self._key())
            unrolling.plain(self.source, self.body, self.ended)
        except (Exception, CannotRoll) as obstacle:
            if not unrolling.is_obstacle(obstacle):
                raise
            if isinstance(obstacle, OneSided) and self._stopping():
                return
            unrolling.instead(self.source, self.body, self.ended, obstacle)

    def roll(self) -> None:
        """Trace the loop and set everything that it changes to what it is after the loop.

        Raises:
            CannotRoll: the body does not do the same in every iteration.
            DataOnly: it depends on data only, and Python is to run it.
        """
        try:
            self.settle(lambda crossing: Trial(self, crossing).run())
        except Stops:
            from gradmc.program.frontend import whiles

            if not whiles.stopping(self):
                replace(self, whole=True).roll()
        except Peel as peel:
            self._peel(peel)
        except KeyError as error:
            if failing.was_raised(error) or failing.waits_for(KeyError):
                raise
            self._peel(Peel(f"a dict or frame has no {error} in all iterations"))

    def _stopping(self) -> bool:
        """Run it as a `while`, in which a list may grow as often as parameters say."""
        from gradmc.program.frontend import whiles

        return not self.whole and whiles.stopping(self)

    def may_stop(self) -> bool:
        """Whether it is worth while to stop at run time, if something ends the loop early."""
        return self.ended is not None and not self.whole and self.source.length > STOPS_AT

    def _peel(self, peel: Peel) -> None:
        """Run the first iteration by itself, and roll the others."""
        n = self.source.length
        if self.peeled >= MOST_PEELED or n < 2:
            raise CannotRoll(str(peel), peel.remedy) from None
        first = unrolling.Unrolled(unrolling.FIRST)
        first.iteration(lambda: self.body(self.source.item(0)))
        first.end()
        item = self.source.item
        rest = Rollable(n - 1, lambda i: item(operators.binary("Add", i, 1)))
        replace(self, source=rest, peeled=self.peeled + 1).run()

    def settle(self, attempt: Callable[[Crossing], None]) -> None:
        """Trace until what crosses from one iteration to the next is known."""
        crossing = Crossing(tokens=foreseen(self.stores))
        for _ in range(MOST_TRIES):
            try:
                return attempt(crossing)
            except Again as again:
                crossing = again.crossing
        raise CannotRoll("what the body changes does not settle")


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
            if has_identity(value)
            and (name in crossing.kept or (name in loop.augmented and name not in crossing.rebound))
        }
        self.seen: list[Any] = []
        self.tallies: dict[int, int] = {}
        self.stacks = {id(token) for token in self.tokens if self._stacks(token)}
        self.identities = Identities()
        self.groups: list[list[int]] = []
        self.pack = Pack()
        for name, value in zip(self.names, self.entry, strict=True):
            self.pack.add(self._entering(name, value), stack=name in crossing.stacked)
        for token in self.tokens:
            self.pack.add(self._content(token), stack=id(token) in self.stacks)
        self.pack.leaves = [strong(leaf) for leaf in self.pack.leaves]
        for token, form in zip(self.tokens, self.pack.forms[len(self.names) :], strict=True):
            if isinstance(form, Buffer) and form.tally is not None:
                self.tallies[id(token)] = form.tally.appends
        self.grown: list[tuple[list, list[growth.Item]]] = []
        self.copies: list[tuple[list, list]] = []
        self.inside: set[int] = set()
        self.marks: Any = None
        self.kinds: list[failing.Kinds] = []
        self.whose: list[bool | None] = []
        self.asked = 0

    @property
    def iterations(self) -> int | None:
        """How many iterations there are, if that is known."""
        return self.loop.source.length

    @property
    def most(self) -> int | None:
        """How many iterations there are at most, if that is known."""
        return self.loop.source.length

    @property
    def peeled(self) -> int | None:
        """How many iterations have been run by themselves; None if that cannot be done."""
        return self.loop.peeled

    def run(self) -> None:
        """Trace the loop and take what it leaves.

        Raises:
            DataOnly: nothing in the loop is traced but its index, and it is short enough for Python.
        """
        n = self.loop.source.length
        jaxpr, shapes = jax.make_jaxpr(self._for, return_shape=True)(*self.pack.leaves)
        self._tabulate(jaxpr)
        if self.loop.may_stop() and self._ends_early(jaxpr):
            raise Stops
        if any(map(is_traced, [*self.pack.leaves, *jaxpr.consts])):
            flat = ir.opened(jaxpr)(*self.pack.leaves)
        elif n <= IN_PYTHON or self._exceeds(jaxpr):
            raise DataOnly
        else:
            flat = _now(jaxpr, self.pack.leaves)
        out, (grown, marked, failed) = jax.tree.unflatten(jax.tree.structure(shapes), flat)
        self._note_ends(jaxpr, out)
        self._take(out, grown)
        for whole, held in self.copies:
            self.memory.copied(whole, held)
        marking.deliver(self.marks, marked, self.label)
        for kinds, condition in zip(self.kinds, failed, strict=True):
            failing.note(jnp.any(condition), *kinds)

    def _exceeds(self, jaxpr: Any) -> bool:
        """Whether whole numbers in the loop may leave 64 bits: Python's do not, what JAX computes of them now would."""
        return exceeds(jaxpr, self.pack.leaves)

    def _ends_early(self, jaxpr: Any) -> bool:
        """Whether what ends the loop depends on parameters."""
        flags = [k for k, name in enumerate(self.names) if name.startswith(ENDING)]
        leaves = [k for flag in flags for k in range(*self.pack.spans[flag])]
        return any(control.Carried.of(jaxpr, self.pack.leaves, k) is None for k in leaves)

    def _tabulate(self, jaxpr: Any) -> None:
        """If what a carried number is in every iteration was asked for, find out and trace again."""
        demands = context.current().demands
        wanted = {leaf for loop, leaf in demands if loop == self.label} - set(self.crossing.tabled)
        if wanted:
            slices = {k: control.Carried.of(jaxpr, self.pack.leaves, k) for k in wanted}
            if self._exceeds(jaxpr):
                slices = dict.fromkeys(wanted)
            found = {k: carried.along()[:-1] if carried else None for k, carried in slices.items()}
            raise Again(replace(self.crossing, tabled={**self.crossing.tabled, **found}))

    def _note_ends(self, jaxpr: Any, out: Sequence[Any]) -> None:
        """Note what carried whole numbers are after the loop, where data tell."""
        if not any(map(tables.whole, out)) or self._exceeds(jaxpr):
            return
        for k, leaf in enumerate(out):
            carried = control.Carried.of(jaxpr, self.pack.leaves, k) if tables.whole(leaf) else None
            if carried is not None:
                tables.note(leaf, tables.Table((), lambda carried=carried: carried.along()[-1]))

    def _take(self, out: Sequence[Any], grown: Sequence[Any]) -> None:
        """Set what the loop carries and what it appends to, all of it or nothing.

        A list that cannot take its new items sends the loop to Python, which must begin where the loop began.
        """
        added = [
            (token, Listing((growth.after(items, leaves, self.loop.source.length, self.label),)))
            for (token, items), leaves in zip(self.grown, grown, strict=True)
        ]
        tokens = [*self.tokens, *(token for token, _ in added)]
        variables, contents = bodies.get(self.loop.state), [self.memory.peek(token) for token in tokens]
        try:
            self.assign(out)
            for token, items in added:
                self.memory.append(token, items)
        except CannotRoll:
            bodies.put(self.loop.state, variables)
            for token, content in zip(tokens, contents, strict=True):
                self.memory.write(token, content)
            raise

    def assign(self, out: Sequence[Any]) -> None:
        """Set variables and tokens to what was carried out of the loop."""
        values = self.pack.values(out)
        now = []
        for k, (name, value, before) in enumerate(zip(self.names, values, self.entry, strict=False)):
            if name in self.same or (isinstance(value, Unbound) and isinstance(before, Unbound)):
                now.append(before)
            else:
                now.append(self.memory.bear(bodies.named(name, self._object(k, value))))
                if self.whose[k] == pythons.of_result(before):
                    pythons.note(now[-1], self.whose[k])
        for group in self.groups:
            first = min(group, key=lambda k: k not in self.identities.moved)
            for k in group:
                now[k] = now[first]
        bodies.put(self.loop.state, now)
        for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
            self.memory.write(token, self._after(token, value))
        self._tie_after(now)

    def _object(self, k: int, value: Any) -> Any:
        """The object that variable `k` holds after the loop: a new one if nothing else is known."""
        if k in self.identities.moved and self.iterations is not None:
            before = self.entry[self.identities.source(k, self.iterations)]
            stores.replace(before, self.memory.peek(value))
            return before
        return self.identities.after.get(k, value)

    def _tie_after(self, now: Sequence[Any]) -> None:
        """Note which objects have a content that stands for another's."""
        for shared in self.identities.shared:
            members = {id(o): o for o in (*shared.outside, *self._objects_at(shared.places, now))}
            if len(members) > 1:
                self.memory.tie(list(members.values()), shared_always)
        for before, value in zip(self.entry, now, strict=True):
            self._stack(before, value)
        for k in self.identities.lost:
            self.memory.spoil(self.entry[k], shared_always)

    def _objects_at(self, places: Sequence[Place], variables: Sequence[Any]) -> list[Any]:
        tokens = self.crossing.tokens
        return [
            o
            for place in places
            for o in (
                objects(variables[place], self.memory)
                if isinstance(place, int)
                else objects_in(tokens[place[1]], self.memory.peek(tokens[place[1]]), self.memory)
            )
        ]

    def _for(self, *leaves: Any) -> tuple[Any, Any]:
        n = self.loop.source.length
        try:
            return ir.for_loop(n, self._body, list(leaves), source=self.loop.place, names=self._leaf_names())
        except ir.CarryError as error:
            raise Peel(self.told(error)) from None

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
        if name in self.same:
            return Unbound(name)
        if name in self.crossing.late:
            form, leaves = self.crossing.late[name]
            if isinstance(form, OrNone) and not form.unset:
                return Nullable(forms.together(form.item, leaves[:-1]), leaves[-1])
            return forms.together(form, leaves)
        if name not in self.loop.carried:
            return Unbound(name)
        if name in self.crossing.options:
            return choices.among(value, self.crossing.options[name])
        return value

    def _stacks(self, token: Any) -> bool:
        """Whether a token is carried as an array: a list, unless it is one of few numbers, such as a bracket."""
        if not isinstance(token, list) or id(token) in self.crossing.packed or id(token) in self.crossing.growing:
            return isinstance(token, list)
        before = self.memory.peek(token)
        few = isinstance(before, list) and 0 < len(before) <= FEW
        return not (few and all(is_leaf(v) and not np.ndim(v) for v in before))

    def _content(self, token: Any) -> Any:
        """The content of a token before the loop, as something to carry."""
        grows = self.crossing.growing.get(id(token))
        if grows is not None:
            room = grows.room(self.most or 0)
            return room if grows.tally is None else (*room, grows.start())
        names = self.crossing.fields.get(id(token))
        if isinstance(token, CellType):
            return self.memory.peek(token)
        if names is None:
            return token
        return Fields(self.memory.present_fields(token, names) | self.crossing.made.get(id(token), {}))

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
                late = name in self.crossing.late and not name.startswith(INTERNAL) and not isinstance(value, Nullable)
                seen.append(before if name in self.same else Unbound(name, late=value) if late else value)
            for value in seen:
                if not has_identity(value) or all(value is not e for e in self.entry):
                    self.memory.bear(value)
            self.seen = [bodies.named(n, v) for n, v in zip(self.names, seen, strict=True)]
            self._note_pythons()
            bodies.put(self.loop.state, self.seen)
            for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
                self._begin_token(token, value, i)
            self._tie()
            self.inside = set(self.memory.inside)

        depth = len(self.memory.frames)
        try:
            return bodies.run(body, self.loop.state, begin, finish, loop=True)
        except Retry as retry:
            if retry.depth != depth:
                raise
            raise Again(self.crossing.with_growing(retry.token, counted=self.iterations is None)) from None
        except Guessed as found:
            mine = {key: g for key, g in self.crossing.growing.items() if g.guess is found.guess}
            if not mine:
                raise
            learnt = {k: replace(g, form=found.form, leaves=found.leaves, guess=Guess(True)) for k, g in mine.items()}
            raise Again(replace(self.crossing, growing={**self.crossing.growing, **learnt})) from None
        except OneSided as growing:
            if self.iterations is not None or self.most is None or id(growing.token) in self.crossing.growing:
                raise
            raise Again(self.crossing.with_growing(growing.token, counted=True)) from None

    def _note_pythons(self) -> None:
        """Take it that a number that is Python's stays one, and numpy's likewise (see `leaving`)."""
        self.asked = context.current().asked
        for name, before, value in zip(self.names, self.entry, self.seen, strict=True):
            if name not in self.crossing.unsure:
                pythons.note(value, pythons.of_result(before))

    def _tie(self) -> None:
        """Note which of the copies that the body sees stand for one object."""
        for before, value in zip(self.entry, self.seen, strict=True):
            for one, copy in zip(objects(before, self.memory), objects(value, self.memory), strict=False):
                if one is not copy:
                    self.memory.tie([one, copy], shared_first)
            self._stack(before, value)
        for shared in self.crossing.shared:
            members = {id(o): o for o in (*shared.outside, *self._objects_at(shared.places, self.seen))}
            self.memory.tie(list(members.values()), shared_always)

    def _stack(self, before: Any, value: Any) -> None:
        """Note what the list that a variable holds has copies of, if its items have become rows of an array."""
        if not isinstance(before, list) or not isinstance(value, list) or value is before:
            return
        stored = id(before) in self.memory.inside
        if stored or isinstance(self.memory.peek(value), Listing):
            self.memory.copied(value, objects_inside(self.memory.peek(before), self.memory))
        if stored:
            self.memory.store_inside(value)

    def _note_tables(self, leaves: Sequence[Any]) -> None:
        for k, leaf in enumerate(leaves):
            table = self.crossing.tabled.get(k)
            if table is not None:
                tables.note(leaf, tables.Table.of(table, (self.label,)))
            elif k not in self.crossing.tabled and tables.whole(leaf):
                tables.wait(leaf, self.label, k)

    def _begin_token(self, token: Any, value: Any, i: Any) -> None:
        grows = self.crossing.growing.get(id(token))
        if made := self.crossing.made.get(id(token)):
            value = Fields({n: Unbound(n, late=v) if n in made else v for n, v in value.items()})
        self.memory.write(token, self.memory.held(token, value) if grows is None else grows.during(value, i))

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
        failures = failing.by_kinds(outcome.failures)
        self.kinds, failed = list(failures), list(failures.values())
        return leaves, (grown, marked, failed)

    def leaving(self, outcome: Outcome) -> list[Any]:
        """The carried leaves at the body's end."""
        end = End(self.entry, self.seen, outcome, self.crossing.tokens, self.memory, self.peeled)
        self.identities = end.settle()
        self.groups = same_variables(outcome.values)
        out, new = Pack(), self.crossing
        self.whose = [pythons.of_result(v) for v in outcome.values]
        changed = {n for n, b, w in zip(self.names, self.entry, self.whose, strict=True) if w != pythons.of_result(b)}
        if context.current().asked > self.asked and changed - new.unsure:
            new = replace(new, unsure=new.unsure | changed)
        kept = {self.names[k] for k, value in self.identities.after.items() if value is self.entry[k]}
        if kept - self.crossing.kept:
            new = replace(new, kept=new.kept | kept)
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
        shared = self.identities.shared
        if len(shared) != len(new.shared) or not all(map(Shared.same, shared, new.shared)):
            new = replace(new, shared=shared)
        if new is not self.crossing or self._stored_inside():
            raise Again(new)
        self.memory.check_copies()
        self.copies = self.memory.copies()
        for token, items in outcome.grown:
            held = objects(tuple(item.value if isinstance(item, Sometimes) else item for item in items), self.memory)
            self.copies.append((token, list(filter(self.memory.is_outside, held))))
        return out.leaves

    def _stored_inside(self) -> bool:
        """Whether the body stores into rows of a list of which it has read copies, as if nobody stored into them."""
        memory = self.memory
        new = set(memory.inside) - self.inside
        for before, value in zip(self.entry, self.seen, strict=True):
            if id(value) in memory.inside:
                memory.store_inside(before)
        return any(id(whole) in new and memory.trusts(whole) for whole in (*self.tokens, *self.seen))

    def _leaving(self, k: int, name: str, value: Any, out: Pack, new: Crossing) -> Crossing:
        """Compare a variable at the body's end with what it was at its beginning."""
        if name in self.same:
            out.add(Unbound(name))
            return new if value is self.entry[k] else replace(new, rebound=new.rebound | {name})
        before = self.pack.forms[k]
        known = self.crossing.options.get(name, ())
        if (may_be := choices.options_of(value)) is not None and isinstance(before, Fixed | OneOf):
            first = known or choices.options_of(self.entry[k]) or ()
            every = tuple(dict.fromkeys((*first, *may_be)))
            if first and len(every) > max(len(known), 1):
                return replace(new, options={**new.options, name: every})
            value = choices.among(value, known) if known else value
        if isinstance(before, OrNone) and self.iterations is None and is_leaf(value):
            value = Nullable(value, np.False_)
        form = out.add(value, stack=name in self.crossing.stacked)
        if before == Fixed(None) and self.iterations is None and isinstance(form, Leaf | OrNone):
            return self._none_at_first(name, form, out, new)
        if isinstance(value, Unbound) and value.reason and name.startswith(INTERNAL):
            value.complain()
        if form == before:
            return new
        if isinstance(before, Missing):
            leaves = [blank(leaf) for leaf in out.leaves[slice(*out.spans[-1])]]
            if isinstance(form, OrNone) and form.unset:
                leaves[-1] = np.True_
            return replace(new, late={**new.late, name: (form, leaves)})
        if isinstance(value, Unbound):
            value.complain()
        if name not in self.crossing.stacked and name not in self.crossing.late:
            return replace(new, stacked=new.stacked | {name})
        raise Peel(f"{_told(name)} is {_kind(before)} at first and {_kind(form)} after an iteration")

    def _none_at_first(self, name: str, form: Form, out: Pack, new: Crossing) -> Crossing:
        """A variable of a loop of unknown length that is None before it, and a number after an iteration."""
        leaves = [blank(leaf) for leaf in out.leaves[slice(*out.spans[-1])]]
        if isinstance(form, OrNone):
            leaves[-1] = np.True_
        else:
            leaves, form = [*leaves, np.True_], OrNone(form)
        return replace(new, late={**new.late, name: (form, leaves)})

    def _leaving_token(self, k: int, token: Any, content: Any, out: Pack, new: Crossing) -> Crossing:
        grows = self.crossing.growing.get(id(token))
        if grows is not None and grows.tally is not None:
            out.add((*content.leaves, content.count))
            if grows.tally.appends <= grows.per:
                return new
            return replace(new, growing={**new.growing, id(token): replace(grows, per=grows.tally.appends)})
        if grows is not None:
            out.add(tuple(content.leaves))
            if content.added == grows.per:
                return new
            if not content.added:
                raise IndexError("list index out of range")
            return replace(new, growing={**new.growing, id(token): replace(grows, per=content.added)})
        form = out.add(content, stack=id(token) in self.stacks)
        before = self.pack.forms[k]
        if form != before and isinstance(token, list) and id(token) not in self.stacks:
            return replace(new, packed=new.packed | {id(token)})
        if isinstance(form, Buffer) and form.tally is not None and form.tally.appends > self.tallies[id(token)]:
            raise CannotRoll("a list grows in a loop within the loop that may end early")
        if form != before and isinstance(content, Fields) and isinstance(before, Container):
            return self._leaving_fields(token, content, dict(zip(before.keys, before.parts, strict=True)), new)
        if form != before and isinstance(token, CellType):
            raise Peel(f"a `nonlocal` variable is {_kind(self.pack.forms[k])} at first and {_kind(form)} later")
        if form != self.pack.forms[k]:
            raise CannotRoll(f"a {type(token).__name__} that the loop changes holds things of different structure")
        return new

    def _leaving_fields(self, token: Any, content: Fields, before: dict[str, Form], new: Crossing) -> Crossing:
        """Compare the attributes of an object at the body's end with those at its beginning."""
        made = dict(self.crossing.made.get(id(token), {}))
        for name, value in content.items():
            leaves, form = forms.apart(value)
            if isinstance(before.get(name), Missing) and not isinstance(form, Missing) and self.peeled is not None:
                made[name] = forms.together(form, [blank(leaf) for leaf in leaves])
            elif form != before.get(name):
                kind = type(token).__name__
                raise CannotRoll(
                    f"attribute {name!r} of a {kind} is not the same kind of thing after an iteration",
                    "Set the attribute before the loop, so that it has a value on every path.",
                )
        return replace(new, made={**new.made, id(token): made})

    def _after(self, token: Any, value: Any) -> Any:
        """The content of a token after the loop."""
        grows = self.crossing.growing.get(id(token))
        return self.memory.held(token, value) if grows is None else grows.after(value, self.loop.source.length)

    def told(self, error: ir.CarryError) -> str:
        """Which variable changes its shape, and how."""
        k, before, after = error.mismatches[0]
        position = next(m for m, (a, b) in enumerate(self.pack.spans) if a <= k < b)
        name = self.names[position] if position < len(self.names) else "an array"
        return f"{_told(name)} has shape {before.shape} at first and {after.shape} after an iteration"


def _now(jaxpr: Any, leaves: Sequence[Any]) -> list[Any]:
    """The results of a loop over data, computed now."""
    with jax.ensure_compile_time_eval():
        out = jax.jit(ir.opened(jaxpr))(*leaves)
    return [np.asarray(v)[()] for v in out]


def _told(name: str) -> str:
    return "the return value" if name.startswith(INTERNAL) else repr(name)


def _kind(form: Form) -> str:
    return {"Leaf": "a number or array", "Rows": "a list", "Container": "a tuple, list or dict"}.get(
        type(form).__name__, "something else"
    )
