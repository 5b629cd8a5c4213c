"""Which object a variable holds after a loop's body: Python's aliasing across iterations.

A loop carries arrays and lists by their content. That is the whole truth while each variable is the only way to its
object. `settle` finds the cases in which it is not, at the end of a body:

* a variable that ends as an object from outside (`now = new`, where the loop stores into `new`) is that object
  from the second iteration on: the first one is then run by itself (`Peel`), so that all others are alike;
* a variable that is stored into and then means another object has changed the one it held before the loop, which may
  have other names: the first iteration is run by itself, too;
* variables that exchange their objects hold the old ones after the loop, in their new order;
* two variables that end as one object are one object after the loop;
* contents that stand for one object (`AliasSet`) must not be read once one of them has been stored into.

    two buffers exchanged                    Python's objects                       carried
    for t in range(n):                       old -> A, new -> B                     contents of old and new
        new[0] = f(old)                      old -> B, new -> A                     `moved`: old from new, new from old
        old, new = new, old                  old -> A, new -> B                     after n: old is A if n is even

    one buffer under two names
    for t in range(n):                       old -> A, new -> B
        new[0] = f(old)                      old -> B, new -> B   from here on f reads what was stored: the first
        old = new                            old -> B, new -> B   iteration is peeled, then both are one content
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import CellType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import ALIKE, CannotRoll, Nullable, is_array
from gradmc.program.frontend.whereabouts import Items, Place, Whereabouts

if TYPE_CHECKING:
    from gradmc.program.frontend.heap import Heap

SHARED = "one array or list has several names here, and is stored into by one of them and read by another"
PLAIN = frozenset({bool, int, float, str, type(None), np.bool_, np.int64, np.float64})
"""Types of numbers and text, in which no object can be kept."""
REMEDY = "Copy the array when you keep it under a second name (now = new.copy())."


class Peel(BaseException):
    """The first iteration differs from the others: it must be run by itself. The text says in what it differs."""

    def __init__(self, why: str, remedy: str = ALIKE) -> None:
        super().__init__(why)
        self.remedy = remedy


def shared_first() -> Peel:
    """The first iteration begins with an object that has several names."""
    return Peel(SHARED, REMEDY)


def shared_always() -> CannotRoll:
    """Contents do not tell what Python's objects hold."""
    return CannotRoll(SHARED, REMEDY)


def has_identity(value: Any) -> bool:
    """Whether a value is an object that can change: other names of it would see that."""
    return isinstance(value, list | dict) or is_array(value)


def tokens(value: Any, heap: "Heap") -> Iterator[Any]:
    """The arrays and lists in a value, at any depth and in order."""
    value = value.value if isinstance(value, Nullable) else value
    if has_identity(value):
        yield value
    yield from tokens_inside(heap.peek(value), heap)


def tokens_inside(content: Any, heap: "Heap") -> Iterator[Any]:
    """The arrays and lists that are items of a content, or of its items."""
    if isinstance(content, Listing):
        content = [item for part in content.parts if isinstance(part, list) for item in part]
    if isinstance(content, list | tuple | dict):
        items = content.values() if isinstance(content, dict) else content
        for item in [item for item in items if type(item) not in PLAIN]:  # lists can be as long as the data
            yield from tokens(item, heap)


def tokens_in(token: Any, content: Any, heap: "Heap") -> Iterator[Any]:
    """The arrays and lists to which the content of a token leads."""
    return tokens(content, heap) if isinstance(token, CellType) else tokens_inside(content, heap)


def may_all_be(token: Any, heap: "Heap") -> tuple[Any, ...]:
    """What an array or list is: for a part of one the whole, for a choice all it may be."""
    root = heap.root(token)
    return (root, *heap.aliases.may_be(root))


def objects(value: Any, heap: "Heap") -> Iterator[Any]:
    """The objects in a value, at any depth: `may_all_be` of each."""
    for token in tokens(value, heap):
        yield from may_all_be(token, heap)


def objects_inside(content: Any, heap: "Heap") -> Iterator[Any]:
    """The objects that are items of a content, or of its items."""
    for token in tokens_inside(content, heap):
        yield from may_all_be(token, heap)


def objects_in(token: Any, content: Any, heap: "Heap") -> Iterator[Any]:
    """The objects to which the content of a token leads: `may_all_be` of each."""
    for inner in tokens_in(token, content, heap):
        yield from may_all_be(inner, heap)


def relabelled(value: Any, old: dict[int, Any], heap: "Heap") -> Any:
    """A value with other objects, at any depth, in place of those given by their ids."""
    if id(value) in old:
        return old[id(value)]
    if isinstance(value, Nullable):
        return replace(value, value=relabelled(value.value, old, heap))
    content = heap.peek(value)
    new = relabelled_inside(content, old, heap)
    if new is content:
        return value
    if isinstance(value, tuple):
        return new
    heap.write(value, new)
    return value


def relabelled_inside(content: Any, old: dict[int, Any], heap: "Heap") -> Any:
    """A content with other objects in place of some; the content itself if none is in it."""
    if not old or not isinstance(content, list | tuple | dict):
        return content
    items = list(content.values() if isinstance(content, dict) else content)
    new = [item if type(item) in PLAIN else relabelled(item, old, heap) for item in items]
    if all(a is b for a, b in zip(items, new, strict=True)):
        return content
    if isinstance(content, dict):
        made = copy.copy(content)
        made.update(zip(content, new, strict=True))
        return made
    return tuple.__new__(type(content), new) if isinstance(content, tuple) else new


type At = tuple[Place, tuple[int, int]]
"""A place, which of the objects there it is, and of how many."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Places that begin an iteration with one object, and that object if it is from outside.

    Attributes:
        places: the places.
        outside: the object, if it is from outside.
    """

    places: tuple[At, ...]
    outside: tuple[Any, ...]

    def same(self, other: "Shared") -> bool:
        """Whether it is about the same places and object."""
        return self.places == other.places and list(map(id, self.outside)) == list(map(id, other.outside))


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """One object that places hold after a loop, or may hold.

    Attributes:
        places: the places.
        outside: the objects from before the loop that it may be.
    """

    places: tuple[At, ...]
    outside: tuple[Any, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Moved:
    """An object from before the loop that a place holds after it, another one with each iteration.

    Attributes:
        at: the place.
        was: the object.
        stored: whether the loop stores into such objects.
    """

    at: At
    was: Any
    stored: bool


@dataclass(frozen=True, eq=False, slots=True)
class Identities:
    """Which objects places hold after a loop.

    Attributes:
        after: for variables by number, the object in place of a new one.
        moved: objects that go round.
        lost: objects from before the loop that have changed in a way that is not known.
        shared: places that hold one object from one iteration to the next, which some of them change.
        held: what several places hold after the loop, or one from before it.
    """

    after: dict[int, Any] = field(default_factory=dict)
    moved: tuple[Moved, ...] = ()
    lost: tuple[Any, ...] = ()
    shared: tuple[Shared, ...] = ()
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class End:
    """The end of a body, to be compared with its beginning.

    Args:
        entry: the variables before the loop.
        seen: the variables at the beginning of the body.
        outcome: what the body left; its frame is still open.
        tokens: objects from outside that the loop changes.
        items: the arrays and lists that are in each variable and in each of these.
        heap: contents of objects.
        iterations: how many iterations there are, if that is known.
        peeled: how many more have been run by themselves; None if that is not possible.
    """

    entry: Sequence[Any]
    seen: Sequence[Any]
    outcome: BodyExit
    tokens: dict[int, Any]
    items: dict[Place, Items]
    heap: "Heap"
    iterations: int | None
    peeled: int | None

    def settle(self) -> Identities:
        """Compare the objects of variables.

        Raises:
            Peel: the first iteration has to be run by itself.
            CannotRoll: objects are shared in a way that contents do not tell.
        """
        after = self._from_outside()
        where = Whereabouts(self.items, self._ends())
        lost = tuple(self._lost(where))  # which may ask for an iteration by itself: before anything is refused
        self._check_parts(where)
        places, found = self._places()
        shared = self._shared(places, found)
        return Identities(after, self._moved(where), lost, shared, self._held(where, places, found))

    def _ends(self) -> dict[Place, list[Any]]:
        """The arrays and lists at each place at the end."""
        contents = {id(t): c for t, c in self.outcome.written}
        return {k: list(tokens(value, self.heap)) for k, value in enumerate(self.outcome.values)} | {
            ("token", key): list(tokens_in(token, contents.get(key, self.heap.peek(token)), self.heap))
            for key, token in self.tokens.items()
        }

    def _lost(self, where: Whereabouts) -> Iterator[Any]:
        """The objects of before the loop that it stores into, of which it is not known when.

        One is stored into while a slot, or one upstream of it, still holds it: in as many first iterations as there
        are slots upstream, and one more.
        """
        for slot in where.stored(self._changed()):
            round_it_goes = slot in where.cycles
            if round_it_goes and self.iterations is not None:
                continue
            upstream = where.upstream(slot)
            if self.peeled is None or round_it_goes:
                yield from (where.was[s] for s in (slot, *upstream))
            elif self.peeled <= len(upstream):
                raise shared_first()

    def _moved(self, where: Whereabouts) -> tuple[Moved, ...]:
        """What goes round, where it is known for how long."""
        if (n := self.iterations) is None:
            return ()
        stored = set(where.stored(self._changed()))
        return tuple(
            Moved(
                (place, (k, len(self.items[place].now))),
                where.was[where.source((place, k), n)],
                not stored.isdisjoint(where.upstream((place, k))),
            )
            for place, k in where.cycles
        )

    def _stored(self) -> list[int]:
        """The variables whose object at the beginning is stored into, and whose content alone is carried."""
        changed = self._changed()
        return [k for k, v in enumerate(self.seen) if v is not self.entry[k] and id(v) in changed]

    def _changed(self) -> set[int]:
        """What is stored into, or may be."""
        heap = self.heap
        changed = list(heap.frames[-1].changed.values())
        return {id(o) for token in changed for o in (token, *heap.aliases.may_be(token))}

    def _stored_in(self) -> set[Place]:
        """The places with an array or list that is stored into."""
        changed = self._changed()
        return {place for place, items in self.items.items() if any(id(o) in changed for o in items.now)}

    def _written(self) -> set[int]:
        return {id(token) for token, _ in self.outcome.written} | set(self.tokens)

    def _from_outside(self) -> dict[int, Any]:
        """Variables that end as an object from outside."""
        known = {id(v) for v in self.entry if has_identity(v)} | set(self.tokens)
        seen = {id(v) for v in self.seen} - known
        written, stored = self._written(), set(self._stored())
        found: dict[int, Any] = {}
        for k, value in enumerate(self.outcome.values):
            if not has_identity(value) or value is self.seen[k] is self.entry[k] or id(value) in seen:
                continue
            if id(value) in known or self.heap.is_outside(value):
                found[k] = value
                changes = id(self.heap.root(value)) in written or k in stored
                if changes and self.entry[k] is not value:
                    raise shared_first()
        return found

    def _check_parts(self, where: Whereabouts) -> None:
        """Refuse that a place ends with a part of an object that one began with, or perhaps with it, if it changes."""
        stored = {id(where.now[slot]) for slot in where.stored(self._changed())}
        for token in (t for end in self._ends().values() for t in end) if stored else ():
            if any(id(o) in stored and o is not token for o in may_all_be(token, self.heap)):
                raise shared_always()

    def _places(self) -> tuple[dict[int, list[At]], dict[int, Any]]:
        """The places that hold an object at the end, by its id, and the objects."""
        places: dict[int, list[At]] = {}
        found: dict[int, Any] = {}

        def hold(held: Iterable[Any], place: Place) -> None:
            every = list(held)
            for n, o in enumerate(every):
                found[id(o)] = o
                places.setdefault(id(o), []).append((place, (n, len(every))))

        for k, value in enumerate(self.outcome.values):
            if value is not self.seen[k] or value is not self.entry[k]:
                hold(objects(value, self.heap), k)
        for place, end in self._ends().items():
            if not isinstance(place, int):
                hold([o for token in end for o in may_all_be(token, self.heap)], place)
        return places, found

    def _held(self, where: Whereabouts, places: dict[int, list[At]], found: dict[int, Any]) -> tuple[Held, ...]:
        """What places after the loop have in common with each other, or with what there was before it."""
        before: dict[int, tuple[Any, ...]] = {}
        for entry, seen in zip(self.entry, self.seen, strict=True):
            was, now = list(objects(entry, self.heap)), list(objects(seen, self.heap))
            alike = len(was) == len(now)
            before |= {id(o): (was[n],) if alike else tuple(was) for n, o in enumerate(now)}
        for slot, came_from in where.came_from.items():
            was = [o for one in where.before(slot, self.iterations) for o in may_all_be(one, self.heap)]
            before[id(where.now[came_from])] = tuple(was)
        held = []
        for key, at in places.items():
            if len(at) == 1:  # a variable that is the object itself: what it is after the loop is known
                at = [(p, n) for p, n in at if isinstance(p, tuple) or self.outcome.values[p] is not found[key]]
            outside = (found[key],) if self._outside(found[key]) else before.get(key, ())
            if at and (len(at) > 1 or outside):
                held.append(Held(tuple(at), outside))
        if self.peeled is None:  # there may be no iteration at all
            ends = [list(objects(value, self.heap)) for value in self.outcome.values]
            held += [
                Held(((k, (n, len(end))),), tuple(objects(self.entry[k], self.heap)))
                for k, end in enumerate(ends)
                for n in range(len(end))
            ]
            held += [Held(((place, (n, len(self.items[place].now))),), (was,)) for (place, n), was in where.was.items()]
        return tuple(held)

    def _shared(self, places: dict[int, list[At]], found: dict[int, Any]) -> tuple[Shared, ...]:
        """What several places hold at the end, or one from outside, while it is changed."""
        written, stored = self._written(), self._stored_in()
        changes = {
            key
            for key, o in found.items()
            if (self._outside(o) and key in written) or any(place in stored for place, _ in places[key])
        }
        self._check_appended(changes, written)
        return tuple(
            Shared(tuple(places[key]), (found[key],) if self._outside(found[key]) else ())
            for key in sorted(changes, key=list(found).index)
            if self._outside(found[key]) or len(places[key]) > 1
        )

    def _outside(self, value: Any) -> bool:
        return id(value) in self.tokens or self.heap.is_outside(value)

    def _check_appended(self, changes: set[int], written: set[int]) -> None:
        """Refuse that a list gets an object that a later iteration changes."""
        for _, items in self.outcome.grown:
            for o in objects(tuple(items), self.heap):
                if id(o) in changes or (id(o) in written and self._outside(o)):
                    raise shared_always()


def same_variables(values: Sequence[Any]) -> list[list[int]]:
    """Groups of variables that hold one object."""
    holders: dict[int, list[int]] = {}
    for k, value in enumerate(values):
        if has_identity(value):
            holders.setdefault(id(value), []).append(k)
    return [group for group in holders.values() if len(group) > 1]
