"""Where the objects are, one iteration later, with which a loop's body begins.

The body of a loop sees copies of the arrays and lists that are carried: in variables, and in what the loop changes (the
items of a dict, the attributes of an object). Each has a slot: a place, and which of the objects there it is.

    for t in range(n):                          comes from        what was there before the loop
        d["h"][0] = f(t)
        d["h"], d["c"] = d["c"], d["h"]         h <- c <- h       goes round: after n iterations n decides
        d["u"], d["v"] = d["v"], d["v"] * 0.5   u <- v            u: left after one iteration, v: after two

A slot that goes round holds one of the old objects after the loop. Others have left theirs behind, as they were then.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

type Place = int | tuple[str, int]
"""Where a loop carries a value: a variable by its number, or ("token", id) for the content of one."""

type Slot = tuple[Place, int]
"""A place, and which of the arrays and lists there."""


@dataclass(frozen=True, eq=False)
class Items:
    """The arrays and lists at a place, in order.

    Attributes:
        was: before the loop,
        now: as the body sees them.
        itself: whether the place is a variable that is such an object; it is the first one then.
    """

    was: list[Any]
    now: list[Any]
    itself: bool = False

    def pairs(self) -> list[tuple[Any, Any]]:
        """Those that correspond: of a list that has become one array only the list itself."""
        if len(self.was) == len(self.now):
            return list(zip(self.was, self.now, strict=True))
        return [(self.was[0], self.now[0])] if self.itself else []


class Whereabouts:
    """Which slot's object each slot holds one iteration later.

    Args:
        items: what is at each place.
        ends: the arrays and lists at each place at the end of the body.

    Attributes:
        was: the object of each slot before the loop,
        now: and its copy, which the body sees.
        came_from: for slots that end with what one began with: which one.
        cycles: the slots whose objects go round.
    """

    def __init__(self, items: Mapping[Place, Items], ends: Mapping[Place, list[Any]]) -> None:
        pairs = {(place, n): pair for place, at in items.items() for n, pair in enumerate(at.pairs())}
        self.was = {slot: was for slot, (was, now) in pairs.items() if was is not now}
        self.now = {slot: now for slot, (was, now) in pairs.items() if was is not now}
        began = {id(now): slot for slot, now in self.now.items()}
        self.came_from: dict[Slot, Slot] = {}
        for place, n in self.now:
            end, at = ends.get(place, []), items[place]
            comparable = len(end) == len(at.now) or (at.itself and n == 0 and end)
            if comparable and id(end[n]) in began:
                self.came_from[place, n] = began[id(end[n])]
        self.cycles = {slot for slot in self.now if slot in self.upstream(slot)}

    def upstream(self, slot: Slot) -> list[Slot]:
        """The slots from which an object comes to this one, nearest first; each once."""
        path: list[Slot] = []
        while slot in self.came_from and (slot := self.came_from[slot]) not in path:
            path.append(slot)
        return path

    def source(self, slot: Slot, n: int) -> Slot:
        """The slot whose object of before the loop one that goes round holds after `n` iterations."""
        cycle = [slot]
        while (before := self.came_from[cycle[-1]]) != slot:
            cycle.append(before)
        return cycle[n % len(cycle)]

    def before(self, slot: Slot, n: int | None) -> list[Any]:
        """The objects of before the loop that a slot may hold after `n` iterations; None: after one or more."""
        if n is not None and slot in self.cycles:
            return [self.was[self.source(slot, n)]]
        return [self.was[s] for s in self.upstream(slot)]

    def stored(self, changed: Collection[int]) -> list[Slot]:
        """The slots whose object at the beginning is among those that are stored into, given by id."""
        return [slot for slot, now in self.now.items() if id(now) in changed]
