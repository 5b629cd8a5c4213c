"""One attempt at tracing a loop: its body is traced once, on what is known to cross from one iteration to the next.

    before the loop          the trace of the body                     after the loop

    entry --- leaves --->    seen --- body ---> outcome --- leaves     values --> variables, tokens
                              ^                             |            ^
                              +----- the next iteration ----+------------+

If the body needs to know more it raises `Again`, and the loop is traced anew (`Loop.settle`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import bodies, control, failing, growth, marking, pythons, stores, tables
from gradmc.program.frontend.aliases import Copies
from gradmc.program.frontend.bodies import Pack
from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import Fields, OneSided, Retry
from gradmc.program.frontend.identity import (
    End,
    Identities,
    Moved,
    Peel,
    Shared,
    has_identity,
    objects,
    objects_in,
    objects_inside,
    relabelled,
    relabelled_inside,
    same_variables,
    shared_always,
    shared_first,
    tokens,
    tokens_in,
)
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.loop_carry import Again, LoopCarry, foreseen
from gradmc.program.frontend.loop_state import INTERNAL, LoopState, Statement
from gradmc.program.frontend.slots import Reslot, Slots
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.values import CannotRoll, Guess, Guessed, Nullable, Slotted, Unbound, is_traced
from gradmc.program.frontend.whereabouts import Items, Place
from gradmc.program.middle.whole import exceeds

IN_PYTHON = 1000
"""A loop over data is run by Python up to this length (some ms), and compiled and run at once beyond it."""
ENDING = ("__gm_break", "__gm_returned")


class Stops(BaseException):
    """A condition on parameters may end the loop early."""


class DataOnly(BaseException):
    """The loop depends on data only: its results are plain values, which later code may need as such."""


class Trial(LoopState):
    """One attempt at tracing a loop."""

    def __init__(self, ev: Evaluation, loop: Statement, carry: LoopCarry) -> None:
        super().__init__(ev, loop, carry)
        self.groups: list[list[int]] = []
        self.identities = Identities()
        self.seen: list[Any] = []
        self.grown: list[tuple[list, list[growth.Item]]] = []
        self.copies: list[Copies] = []
        self.doubled: list[list] = []
        self.kept_in: list[tuple[list, int]] = []
        self.inside: set[int] = set()
        self.items: dict[Place, Items] = {}
        self.marks: Any = None
        self.kinds: list[failing.Kinds] = []
        self.whose: list[bool | None] = []
        self.asked = 0
        self.ends: dict[int, control.DataCarry] = {}

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
        several = [c.whole for c in self.copies if c.stored and c.items and not c.apart]
        self.heap.aliases.keep([replace(c, apart=False) for c in self.copies], [*self.doubled, *several])
        marking.deliver(self.ev, self.marks, marked, self.label)
        for kinds, condition in zip(self.kinds, failed, strict=True):
            failing.note(self.ev, jnp.any(condition), *kinds)

    def _exceeds(self, jaxpr: Any) -> bool:
        """Whether whole numbers in the loop may leave 64 bits: Python's do not, what JAX computes of them now would."""
        return exceeds(jaxpr, self.pack.leaves)

    def _ends_early(self, jaxpr: Any) -> bool:
        """Whether what ends the loop depends on parameters."""
        flags = [k for k, name in enumerate(self.names) if name.startswith(ENDING)]
        leaves = [k for flag in flags for k in range(*self.pack.spans[flag])]
        return any(control.DataCarry.of(jaxpr, self.pack.leaves, k) is None for k in leaves)

    def _tabulate(self, jaxpr: Any) -> None:
        """If what a carried number is in every iteration was asked for, find out and trace again."""
        demands = self.ev.demands
        wanted = {leaf for loop, leaf in demands if loop == self.label} - set(self.carry.tabled)
        if wanted:
            slices = {k: control.DataCarry.of(jaxpr, self.pack.leaves, k) for k in wanted}
            if self._exceeds(jaxpr):
                slices = dict.fromkeys(wanted)
            found = {k: carried.along()[:-1] if carried else None for k, carried in slices.items()}
            raise Again(replace(self.carry, tabled={**self.carry.tabled, **found}))

    def _note_ends(self, jaxpr: Any, out: Sequence[Any]) -> None:
        """Note what carried whole numbers are after the loop, where data tell."""
        if not any(leaf.dtype.kind in "bi" for leaf in out) or self._exceeds(jaxpr):
            return
        for k, token in enumerate(self.tokens, len(self.names)):
            if isinstance(form := self.pack.forms[k], Slotted) and form.stamps is None:
                *_, stamps, _ = range(*self.pack.spans[k])
                if (carried := control.DataCarry.of(jaxpr, self.pack.leaves, stamps)) is not None:
                    self.ends[id(token)] = carried
        for k, leaf in enumerate(out):
            carried = control.DataCarry.of(jaxpr, self.pack.leaves, k) if tables.whole(leaf) else None
            if carried is not None:
                tables.note(self.ev, leaf, tables.Table((), lambda carried=carried: carried.along()[-1]))

    def _take(self, out: Sequence[Any], grown: Sequence[Any]) -> None:
        """Set what the loop carries and what it appends to, all of it or nothing.

        A list that cannot take its new items sends the loop to Python, which must begin where the loop began.
        """
        added = [
            (token, growth.after(self.ev, items, leaves, self.loop.source.length, self.label))
            for (token, items), leaves in zip(self.grown, grown, strict=True)
        ]
        tokens = [*self.tokens, *(token for token, _ in added)]
        variables, contents = bodies.get(self.loop.state), [self.heap.peek(token) for token in tokens]
        try:
            self.assign(out)
            for token, items in added:
                self.heap.append(token, items)
        except CannotRoll:
            bodies.put(self.loop.state, variables)
            for token, content in zip(tokens, contents, strict=True):
                self.heap.write(token, content)
            raise

    def assign(self, out: Sequence[Any]) -> None:
        """Set variables and tokens to what was carried out of the loop."""
        values = self.pack.values(out)
        now = []
        for k, (name, value, before) in enumerate(zip(self.names, values, self.entry, strict=False)):
            if name in self.same or (isinstance(value, Unbound) and isinstance(before, Unbound)):
                now.append(before)
            else:
                now.append(self.heap.allocate(bodies.named(name, self.identities.after.get(k, value))))
                if self.whose[k] == pythons.of_result(self.ev, before):
                    pythons.note(self.ev, now[-1], self.whose[k])
        for first, *others in self.groups:
            for k in others:
                now[k] = now[first]
        for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
            self.heap.write(token, self._after(token, value))
        self._move(now)
        bodies.put(self.loop.state, now)
        self._tie_after(now)

    def _move(self, now: list[Any]) -> None:
        """Let objects of before the loop that places hold after it be those, with what they hold now."""
        known: dict[int, Moved] = {}
        contents: dict[int, Any] = {}
        for moved in self.identities.moved:
            at = self._which(*moved.at, now)
            if len(at) != 1:
                self.heap.aliases.invalidate(moved.was, shared_always)
            else:
                known[id(at[0])], contents[id(at[0])] = moved, self.heap.peek(at[0])
        for key, moved in known.items():
            if moved.stored:
                stores.replace(self.ev, moved.was, contents[key])
        old = {key: moved.was for key, moved in known.items()}
        now[:] = [relabelled(value, old, self.heap) for value in now]
        for token in self.tokens:
            content = self._content_of(token)
            inside = relabelled if isinstance(token, CellType) else relabelled_inside
            if (new := inside(content, old, self.heap)) is not content:
                self.heap.write(token, new)

    def _tie_after(self, now: Sequence[Any]) -> None:
        """Note which objects have a content that stands for another's."""
        for shared in self.identities.shared:
            members = {id(o): o for o in (*shared.outside, *self._all_at(shared, now))}
            if len(members) > 1:
                self.heap.aliases.note(list(members.values()), shared_always)
        for held in self.identities.held:
            at = [self._which(place, which, now) for place, which in held.places]
            for one, may_be in ((one, o) for o in held.outside for group in at for one in group):
                if one is not may_be:
                    self.heap.aliases.note([one, may_be], shared_always, one)
            pairs = [(a, b) for n, group in enumerate(at) for other in at[n + 1 :] for a in group for b in other]
            for a, b in pairs:
                if a is not b:
                    self.heap.aliases.note([a, b], shared_always)
        for before, value in zip(self.entry, now, strict=True):
            self._stack(before, value)
        for whole, k in self.kept_in:
            self.heap.aliases.copied(whole, objects(now[k], self.heap))
        for one in self.identities.lost:
            self.heap.aliases.invalidate(one, shared_always)

    def _all_at(self, shared: Shared, variables: Sequence[Any]) -> list[Any]:
        return [o for place, which in shared.places for o in self._which(place, which, variables)]

    def _which(self, place: Place, which: tuple[int, int], variables: Sequence[Any]) -> list[Any]:
        """The object at a place after the loop that was one of so many at the end of the body; any, if that changed."""
        found, (n, count) = self._objects_at([place], variables), which
        return [found[n]] if len(found) == count else found

    def _objects_at(self, places: Sequence[Place], variables: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for place in places:
            if isinstance(place, int):
                found += objects(variables[place], self.heap)
                continue
            token = self.carry.tokens[place[1]]
            found += objects_in(token, self._content_of(token), self.heap)
        return found

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
            stored |= dict.fromkeys(foreseen(self.ev, (read,)), name)
        names = [*self.names, *(stored.get(id(token), "") for token in self.tokens)]
        return [name for name, (a, b) in zip(names, self.pack.spans, strict=True) for _ in range(a, b)]

    def _body(self, i: Any, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        def body() -> None:
            self.loop.body(self.loop.source.item(i))

        tables.index(self.ev, i, self.loop.source.length, self.label)
        return self.within(body, i, leaves, self._finish)

    def within[T](
        self, body: Callable[[], object], i: Any, leaves: Sequence[Any], finish: Callable[[BodyExit], T]
    ) -> T:
        """Run the body (or the test) of the loop on carried leaves."""

        def begin() -> None:
            self._note_tables(leaves)
            values = self.pack.values(leaves)
            seen = []
            for name, value, before in zip(self.names, values, self.entry, strict=False):
                late = name in self.carry.late and not name.startswith(INTERNAL) and not isinstance(value, Nullable)
                seen.append(before if name in self.same else Unbound(name, late=value) if late else value)
            for value in seen:
                if not has_identity(value) or all(value is not e for e in self.entry):
                    self.heap.allocate(value)
            self.seen = [bodies.named(n, v) for n, v in zip(self.names, seen, strict=True)]
            self._note_pythons()
            bodies.put(self.loop.state, self.seen)
            before = {id(t): self._tokens_in(t) for t in self.tokens}
            for token, value in zip(self.tokens, values[len(self.names) :], strict=True):
                self._begin_token(token, value, i)
            self.items = self._items(before)
            self._tie()
            self.inside = set(self.heap.aliases.inside)

        depth = len(self.heap.frames)
        try:
            return bodies.run(self.ev, body, self.loop.state, begin, finish, loop=True)
        except Retry as retry:
            if retry.depth != depth:
                raise
            raise Again(self.carry.with_growing(self.ev, retry.token, counted=self.iterations is None)) from None
        except Reslot as asked:
            if asked.depth != depth or asked.plan.objects:
                raise
            raise Again(self.carry.with_slots(asked.token, asked.plan)) from None
        except Guessed as found:
            mine = {key: g for key, g in self.carry.growing.items() if g.guess is found.guess}
            if not mine:
                raise
            learnt = {k: replace(g, form=found.form, leaves=found.leaves, guess=Guess(True)) for k, g in mine.items()}
            raise Again(replace(self.carry, growing={**self.carry.growing, **learnt})) from None
        except OneSided as growing:
            if self.iterations is not None or self.most is None or id(growing.token) in self.carry.growing:
                raise
            raise Again(self.carry.with_growing(self.ev, growing.token, counted=True)) from None

    def _note_pythons(self) -> None:
        """Take it that a number that is Python's stays one, and numpy's likewise (see `leaving`)."""
        self.asked = self.ev.asked
        for name, before, value in zip(self.names, self.entry, self.seen, strict=True):
            if name not in self.carry.unsure:
                pythons.note(self.ev, value, pythons.of_result(self.ev, before))

    def _items(self, before: dict[int, list[Any]]) -> dict[Place, Items]:
        """The arrays and lists in what is carried; `before`: in the content of tokens by their id, before the loop."""
        found: dict[Place, Items] = {}
        for k, (was, now) in enumerate(zip(self.entry, self.seen, strict=True)):
            if now is not was:
                itself = has_identity(was) and has_identity(now)
                found[k] = Items(list(tokens(was, self.heap)), list(tokens(now, self.heap)), itself)
        return found | {("token", id(t)): Items(before[id(t)], self._tokens_in(t)) for t in self.tokens}

    def _tokens_in(self, token: Any) -> list[Any]:
        return list(tokens_in(token, self._content_of(token), self.heap))

    def _content_of(self, token: Any) -> Any:
        names = self.carry.fields.get(id(token))
        return self.heap.peek(token) if names is None else self.heap.present_fields(token, names)

    def _tie(self) -> None:
        """Note which of the copies that the body sees stand for one object."""
        copies: dict[int, list[Any]] = {}
        for before, value in zip(self.entry, self.seen, strict=True):
            for one, copy in zip(objects(before, self.heap), objects(value, self.heap), strict=False):
                if one is not copy:
                    self.heap.aliases.note([one, copy], shared_first)
                    copies.setdefault(id(one), []).append(copy)
            self._stack(before, value)
        for group in copies.values():
            if len(group) > 1:
                self.heap.aliases.note(group, shared_first)
        for shared in self.carry.shared:
            members = {id(o): o for o in (*shared.outside, *self._all_at(shared, self.seen))}
            self.heap.aliases.note(list(members.values()), shared_always)

    def _stack(self, before: Any, value: Any) -> None:
        """Note what the list that a variable holds has copies of, if its items have become rows of an array."""
        if not isinstance(before, list) or not isinstance(value, list) or value is before:
            return
        stored = id(before) in self.heap.aliases.inside
        if stored or isinstance(self.heap.peek(value), Listing):
            self.heap.aliases.copied(value, objects_inside(self.heap.peek(before), self.heap))
        if stored:
            self.heap.aliases.store_inside(value)

    def _note_tables(self, leaves: Sequence[Any]) -> None:
        for k, leaf in enumerate(leaves):
            table = self.carry.tabled.get(k)
            if table is not None:
                tables.note(self.ev, leaf, tables.Table.of(table, (self.label,)))
            elif k not in self.carry.tabled and tables.whole(leaf):
                tables.wait(self.ev, leaf, self.label, k)

    def _begin_token(self, token: Any, value: Any, i: Any) -> None:
        grows = self.carry.growing.get(id(token))
        value = self.with_items(token, value)
        if made := self.carry.made.get(id(token)):
            value = Fields({n: Unbound(n, late=v) if n in made else v for n, v in value.items()})
        self.heap.write(token, self.heap.held(token, value) if grows is None else grows.during(self.ev, value, i))

    def _finish(self, outcome: BodyExit) -> tuple[list[Any], Any]:
        """The carried leaves at the body's end; appended items, marks and failures, to be stacked."""
        leaves = self.leaving(outcome)
        grown = []
        self.grown = []
        for token, items in outcome.grown:
            taken = [growth.taken(self.ev, item) for item in items]
            self.grown.append((token, [item for _, item in taken]))
            grown.append([leaf for leaves, _ in taken for leaf in leaves])
        self.marks, marked = marking.pack(self.ev, outcome.marks)
        failures = failing.by_kinds(outcome.failures)
        self.kinds, failed = list(failures), list(failures.values())
        return leaves, (grown, marked, failed)

    def leaving(self, outcome: BodyExit) -> list[Any]:
        """The carried leaves at the body's end."""
        end = End(
            self.entry, self.seen, outcome, self.carry.tokens, self.items, self.heap, self.iterations, self.peeled
        )
        self.identities = end.settle()
        self.groups = same_variables(outcome.values)
        out, new = Pack(self.ev), self.carry
        self.whose = [pythons.of_result(self.ev, v) for v in outcome.values]
        changed = {
            n for n, b, w in zip(self.names, self.entry, self.whose, strict=True) if w != pythons.of_result(self.ev, b)
        }
        if self.ev.asked > self.asked and changed - new.unsure:
            new = replace(new, unsure=new.unsure | changed)
        kept = {self.names[k] for k, value in self.identities.after.items() if value is self.entry[k]}
        if kept - self.carry.kept:
            new = replace(new, kept=new.kept | kept)
        for k, (name, value) in enumerate(zip(self.names, outcome.values, strict=True)):
            new = self._leaving(k, name, value, out, new)
        contents = {id(token): content for token, content in outcome.written}
        more = {id(t): t for t, _ in outcome.written if id(t) not in self.carry.tokens}
        fields = {id(t): tuple(c) for t, c in outcome.written if isinstance(c, Fields)}
        if more or fields != self.carry.fields:
            new = replace(new, tokens={**new.tokens, **more}, fields=fields)
        for k, token in enumerate(self.tokens):
            content = contents.get(id(token), self.heap.peek(token))
            new = self._leaving_token(len(self.names) + k, token, content, out, new)
        shared = self.identities.shared
        if len(shared) != len(new.shared) or not all(map(Shared.same, shared, new.shared)):
            new = replace(new, shared=shared)
        if new is not self.carry or self._stored_inside():
            raise Again(new)
        self.heap.aliases.check_copies()
        self.heap.check_rows()
        appended = [
            (token, list(objects(tuple(i.value if isinstance(i, Sometimes) else i for i in items), self.heap)))
            for token, items in outcome.grown
        ]
        self.copies, self.doubled = self.heap.aliases.copies(), self.heap.aliases.doubled_outside()
        self.copies += [Copies(token, list(filter(self.heap.is_outside, held))) for token, held in appended]
        ends = [{id(o) for o in objects(value, self.heap)} for value in outcome.values]
        self.kept_in = [
            (token, k)
            for token, held in (*appended, *((c.whole, c.items) for c in self.heap.aliases.all_copies()))
            for k, mine in enumerate(ends)
            if any(id(o) in mine for o in held)
        ]
        return out.leaves

    def _stored_inside(self) -> bool:
        """Whether the body stores into rows of a list of which it has read copies, as if nobody stored into them."""
        heap = self.heap
        new = set(heap.aliases.inside) - self.inside
        for before, value in zip(self.entry, self.seen, strict=True):
            if id(value) in heap.aliases.inside:
                heap.aliases.store_inside(before)
        return any(id(whole) in new and heap.aliases.may_have_read_items(whole) for whole in (*self.tokens, *self.seen))

    def _after(self, token: Any, value: Any) -> Any:
        """The content of a token after the loop."""
        value = self.with_items(token, value)
        if isinstance(token, dict):
            return self._dict_after(token, self.heap.peek(value))
        grows = self.carry.growing.get(id(token))
        return self.heap.held(token, value) if grows is None else grows.after(self.ev, value, self.loop.source.length)

    def _dict_after(self, token: dict, content: Any) -> Any:
        """The content of a dict after the loop: which keys it has may be known from data."""
        if (ends := self.ends.get(id(token))) is not None:
            content = replace(content, ends=ends.last)
        plain = isinstance(content, Slots) and content.rows is None and not any(map(is_traced, content.leaves))
        return content.as_dict(self.ev) if plain else content


def _now(jaxpr: Any, leaves: Sequence[Any]) -> list[Any]:
    """The results of a loop over data, computed now."""
    with jax.ensure_compile_time_eval():
        out = jax.jit(ir.opened(jaxpr))(*leaves)
    return [np.asarray(v)[()] for v in out]
