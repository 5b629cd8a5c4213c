"""Which objects the arrays and lists are that a branch leaves.

What both sides leave under one name is brought together by content, in a new array or list. In Python it is no new
object: it is the one that it was on the side that was taken, and other names may mean that one, too.

    program                        on the one side      on the other        left                    noted
    if mu > 0:
        row = rows[0]              row -> A             row -> B, rows[1]   row -> R, content of    R may be A, or B
    else:                                                                   A or B
        row = rows[1]
    if mu > 0:
        best = last = draw(mu)     both -> N, new       best -> A           best -> S, last -> T    S may be T
                                                        last -> B

Contents do not tell which it is: once one of those that may be one object is stored into, the others must not be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gradmc.program.frontend.heap import Fields, Heap
from gradmc.program.frontend.identity import REMEDY
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.sides import Key, Side, held_at, places
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.values import CannotRoll, is_traced

EITHER = (
    "an array or list is, depending on a branch, one of several that have names of their own, and is stored into by "
    "one name and read by another"
)
KINDS = ("variable", "token", "item", "items")


def either() -> CannotRoll:
    """Contents do not tell which object was stored into."""
    return CannotRoll(EITHER, REMEDY)


@dataclass(eq=False, slots=True)
class PhiObjects:
    """What the arrays and lists may be that a branch leaves.

    Args:
        heap: where it is noted.
        both: the sides.
        subjects: arrays and lists that they change, by identity.
        before: for every key, what the arrays and lists in its value may have been before the branch.
        outside: the objects from before the branch, by identity.
        found: on each side, for every object, what was left in its place, and may be it.
        possible: as `found`, with what was left in the place of others that may be it.
        rows: lists whose items have become rows, and what these items were.
    """

    heap: Heap
    both: Sequence[Side]
    subjects: dict[int, Any]
    before: dict[Key, list[tuple[Any, ...]]] = field(default_factory=dict)
    outside: set[int] = field(init=False)
    found: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)
    possible: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)
    rows: list[tuple[list, list[list[tuple[Any, ...]]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outside = set().union(*(side.outside for side in self.both))

    def begin(self, key: Key, entry: Sequence[Any]) -> None:
        """Look at what a key was before the branch; `entry` has the variables."""
        match key:
            case ("variable", k):
                value = entry[k]
            case ("token", token):
                values = [side.values[key] for side in self.both if key in side.values]
                subject, fields = self.subjects[token], [v for v in values if isinstance(v, Fields)]
                value = self.heap.present_fields(subject, fields[0]) if fields else self.heap.peek(subject)
            case _:
                return
        self.before[key] = held_at(self.heap, key, value, self.subjects)
        self.outside |= {id(o) for group in self.before[key] for o in group}

    def note(self, key: Key, value: Any) -> None:
        """Note what the arrays and lists in the value of a key may be, now that the branch has left it."""
        if key[0] not in KINDS:
            return
        value = value.value if isinstance(value, Sometimes) else value
        made = places(self.heap, key, value, self.subjects)
        held = [side.held.get(key, self.before.get(key, [])) for side in self.both]
        one_by_one = all(len(made) == len(h) for h in held)
        for n, one in enumerate(made):
            self._is_one_of(one, [h[n : n + 1] if one_by_one else h for h in held])
        if not one_by_one and isinstance(value, list) and isinstance(self.heap.peek(value), Listing):
            self.heap.aliases.copied(value, self._from_outside(held))
            self.rows.append((value, held))

    def _is_one_of(self, one: Any, held: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        if any(one is o for h in held for group in h for o in group):
            return
        if is_traced(one):
            self.heap.allocate(one)
        if outside := self._from_outside(held):
            self.heap.aliases.note([one, *outside], either, one)
        for side, h in enumerate(held):
            for group in h:
                self.found.setdefault((side, id(group[0])), {})[id(one)] = one
                for o in group:
                    self.possible.setdefault((side, id(o)), {})[id(one)] = one

    def _from_outside(self, held: Sequence[Sequence[tuple[Any, ...]]]) -> list[Any]:
        """The objects from before the branch, each once."""
        every = (o for h in held for group in h for o in group)
        return list({id(o): o for o in every if id(o) in self.outside}.values())

    def end(self) -> None:
        """Note which of them may be one object."""
        others: dict[int, dict[int, Any]] = {}
        for place, group in self.found.items():
            for a in group:
                for b in self.possible[place]:
                    others.setdefault(a, {}).update({b: self.possible[place][b]})
                    others.setdefault(b, {}).update({a: group[a]})
        for key, one in {key: one for group in self.possible.values() for key, one in group.items()}.items():
            if rest := [o for k, o in others[key].items() if k != key]:
                self.heap.aliases.note([one, *rest], either, one)
        for whole, held in self.rows:
            places = [(side, id(group[0])) for side, h in enumerate(held) for group in h]
            self.heap.aliases.copied(whole, [one for place in places for one in self.found.get(place, {}).values()])
