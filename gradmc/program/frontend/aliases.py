"""Contents that stand for one object of Python's, or for parts of one.

Where a loop or branch, or an array in place of a list, cannot hold the object itself, there are several contents for
what is one object. They agree until one of them is stored into; from then on the others must not be read.

    program                          noted                                   refused
    if mu > 0: row = x               row may be x (an alias set)             row[0] = 1.0; then reading x
    else:      row = y               or y
    rows.append(x)  in a long loop   rows holds a copy of x (`whole`)        x[0] = 1.0; then reading rows, or
                                                                             rows[i][0] = 1.0; then reading x

    alias set
            tokens that are one object in Python, of which a loop or branch had to make copies
    whole   a list that holds copies of objects, as rows of one array: it must not be read once one of them is written,
            and they must not once something is stored into one of its rows
    doubled a list two rows of which may be one object: nothing may be stored into its rows
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gradmc.program.frontend.identity import objects_inside, shared_always
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import is_traced

if TYPE_CHECKING:
    from gradmc.program.frontend.heap import Frame, Heap


@dataclass(slots=True, eq=False)
class AliasSet:
    """Copies of one object.

    Attributes:
        members: the tokens, and their versions when the copies were made.
        complaint: what to raise when one is read after a store into another.
        either: a member that is one of the others, depending on a traced condition.
        whole: a member (a list) that holds copies of the others.
        stored: whether they became rows of it by stores, one by one,
        apart: and in a loop every row became another object.
    """

    members: list[tuple[Any, int]]
    complaint: Callable[[], BaseException]
    either: Any = None
    whole: Any = None
    stored: bool = False
    apart: bool = False

    def written(self, heap: "Heap") -> list[Any]:
        """The members that have been written since the copies were made."""
        return [token for token, version in self.members if heap.version(token) != version]


@dataclass(slots=True, eq=False)
class Copies:
    """What a list holds copies of (`AliasSet`)."""

    whole: list
    items: list
    stored: bool = False
    apart: bool = True


@dataclass(slots=True, eq=False)
class Aliases:
    """What is known of them in one evaluation.

    Attributes:
        heap: the tokens, and the bodies being traced, which have aliases of their own.
        sets: by token.
        inside: lists into whose rows something has been stored.
        doubled: lists two rows of which may be one object.
        items_read: lists of which an item was read after it became a row.
    """

    heap: "Heap"
    sets: dict[int, list[AliasSet]] = field(default_factory=dict)
    inside: dict[int, Any] = field(default_factory=dict)
    doubled: dict[int, Any] = field(default_factory=dict)
    items_read: dict[int, Any] = field(default_factory=dict)

    def note(self, tokens: Sequence[Any], complaint: Callable[[], BaseException], either: Any = None) -> None:
        """Note that these are one object from here on, each with a content of its own."""
        self._add(AliasSet([(token, self.heap.version(token)) for token in tokens], complaint, either))

    def _add(self, group: AliasSet) -> None:
        for token, _ in group.members:
            self.sets.setdefault(id(token), []).append(group)
        if self.heap.frames:
            self.heap.frames[-1].alias_sets.append(group)

    def invalidate(self, token: Any, complaint: Callable[[], BaseException]) -> None:
        """Note that the content of a token is no longer what its object holds."""
        self._add(AliasSet([(token, self.heap.version(token)), ([], -1)], complaint))

    def check(self, token: Any) -> None:
        """Complain if the content of a token is not what its object holds in Python."""
        token = self.heap.root(token)
        for group in self.sets.get(id(token), ()):
            if group.whole is not None and group.whole is not token:
                # The token is an item of which a list holds a copy. A store into a row of the list, seen or still to
                # come in this body, parts them: that the item was read is remembered (`may_have_read_items`).
                parted = id(group.whole) in self.inside
                self.items_read[id(group.whole)] = group.whole
            else:
                parted = any(other is not token for other in group.written(self.heap))
            if parted:
                raise group.complaint()

    def may_be(self, token: Any) -> Iterator[Any]:
        """What else a token may be, depending on a traced condition; each once."""
        groups = [group for group in self.sets.get(id(token), ()) if group.either is token]
        yield from {id(o): o for group in groups for o, _ in group.members if o is not token}.values()

    def copied(self, whole: list, items: Iterable[Any], *, stored: bool = False, apart: bool = False) -> None:
        """Note that a list holds copies of objects from now on, perhaps `stored` into its rows (`AliasSet`)."""
        whole = self.heap.root(whole)
        named = (o for o in items if not is_traced(o) or self.heap.known(o) or id(o) in self.heap.made)
        members = {id(o): o for o in named if o is not whole}
        if members:
            versions = [(o, self.heap.version(o)) for o in (whole, *members.values())]
            self._add(AliasSet(versions, shared_always, whole=whole, stored=stored, apart=apart))

    def rows_now(self, token: list, before: Any, now: Any) -> None:
        """Note the items of a list that have become rows of an array."""
        if isinstance(now, Listing) and now.rows() > (before.rows() if isinstance(before, Listing) else 0):
            self.copied(token, objects_inside(before, self.heap))

    def store_inside(self, whole: list) -> None:
        """Note that something is stored into a row of a list.

        Raises:
            CannotRoll: another row is the same object.
        """
        if any(id(whole) in known for known in (self.doubled, *(frame.doubled for frame in self.heap.frames))):
            raise shared_always()
        for known in (self.inside, *(frame.inside for frame in self.heap.frames)):
            known[id(whole)] = whole

    def double(self, whole: list) -> None:
        """Note that two rows of a list may be one object."""
        (self.heap.frames[-1].doubled if self.heap.frames else self.doubled)[id(whole)] = whole

    def doubled_outside(self) -> list[list]:
        """Lists from outside of the innermost frame of which that is noted there."""
        inner = self.heap.frames[-1]
        return [whole for key, whole in inner.doubled.items() if key not in inner.born]

    def may_have_read_items(self, whole: list) -> bool:
        """Whether something may have been read that is not what it seems once rows of a list are stored into."""
        return id(whole) in self.items_read or all(group.whole is not whole for group in self.sets.get(id(whole), ()))

    def copies(self) -> list[Copies]:
        """The lists from outside of the innermost frame that hold copies since it began, and of what."""
        born = self.heap.frames[-1].born
        return [replace(c, items=[o for o in c.items if id(o) not in born]) for c in self.all_copies()]

    def all_copies(self) -> list[Copies]:
        """The lists from outside of the innermost frame that hold copies, and of what that is known within it."""
        inner = self.heap.frames[-1]
        return [
            Copies(g.whole, [o for o, _ in g.members if o is not g.whole], g.stored, g.apart)
            for g in inner.alias_sets
            if g.whole is not None and id(g.whole) not in inner.born
        ]

    def keep(self, copies: Iterable[Copies], doubled: Iterable[list]) -> None:
        """Note what a body has noted of lists from outside."""
        for one in copies:
            self.copied(one.whole, one.items, stored=one.stored, apart=one.apart)
        for whole in doubled:
            self.double(whole)

    def check_copies(self) -> None:
        """Complain if a body stores into what a list from outside holds a copy of, or stores into the copy.

        The next iteration would find one of them without what was stored into the other.
        """
        inner = self.heap.frames[-1]
        if inner.loop and set(inner.doubled) & set(inner.inside):
            raise shared_always()
        for group in inner.alias_sets:
            if group.whole is None or id(group.whole) in inner.born:
                continue
            outside = any(id(o) not in inner.born for o, _ in group.members if o is not group.whole)
            again = inner.loop and group.stored and outside and id(group.whole) in inner.inside
            if again or any(o is not group.whole for o in group.written(self.heap)):
                raise group.complaint()

    def check_choices(self) -> None:
        """Complain if what a body has stored into may be, depending on a traced condition, an object from outside."""
        inner = self.heap.frames[-1]
        for group in inner.alias_sets:
            stored = any(token is group.either for token in group.written(self.heap))
            if stored and any(id(token) not in inner.born for token, _ in group.members):
                raise group.complaint()

    def forget_copies(self, whole: list) -> None:
        """Let a list no longer hold copies."""
        for group in [g for g in self.sets.get(id(whole), ()) if g.whole is whole]:
            for one, _ in group.members:
                self.sets[id(one)].remove(group)
            for frame in self.heap.frames:
                if group in frame.alias_sets:
                    frame.alias_sets.remove(group)

    def leave(self, frame: "Frame") -> None:
        """Forget what was noted within a body, and what was made there."""
        for group in frame.alias_sets:
            for token, _ in group.members:
                self.sets[id(token)].remove(group)
        for key in frame.born:
            self.sets.pop(key, None)
