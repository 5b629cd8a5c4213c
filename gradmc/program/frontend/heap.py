"""What a program changes in place: arrays, lists, and Python's aliasing of them, without side effects.

JAX values cannot change. So the object that a variable holds (a numpy array, a JAX value, a list) is only a
token: its identity is what Python's aliases share, and `Heap` holds its present content. Storing into
any alias replaces the content of the token, so all aliases see it.

    program                   variables               heap
    x = np.zeros(3)           x -> A                  A: [0, 0, 0]
    y = x                     x -> A, y -> A
    x[0] = mu                                         A: [mu, 0, 0]            y sees it
    row = m[1]                m -> M, row -> V        V: a view, M[1]
    row[0] = mu                                       M: m with m[1, 0] = mu   V has no content of its own

The body of a loop is traced once, so what it writes must not stay: the frame puts it back.

    for t in range(n):        enter                   frame.saved: {}
        x[0] = x[0] + t       write A                 frame.saved: {A: [mu, 0, 0]}     A: [mu + t, 0, 0]
                              leave                   A: [mu, 0, 0], and the loop knows that it has to carry A
                              after the loop          A: what the `for` of the loop IR gives

    cell    the present content of one token
    view    a token that is part of another one (`row = matrix[i]`): reading and storing go through the parent
    frame   a loop body or branch being traced. It notes the content that was there when it began, for every
            token from outside that is written within, so that the content can be put back, and so that the
            loop knows what it has to carry
    grown   what a loop body appended to a list from outside: it leaves the loop stacked along the index
    variable
            a cell of Python's that a function sets by `nonlocal`: a token that holds a value as it is
    alias set
            tokens that are one object in Python, of which a loop or branch had to make copies: once one of them is
            written, the others must not be read
    whole   a list that holds copies of objects, as rows of one array: it must not be read once one of them is written,
            and they must not once something is stored into one of its rows
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import CellType
from typing import Any

import jax
import numpy as np

from gradmc.program.frontend import tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import objects, objects_inside, shared_always
from gradmc.program.frontend.listing import Growing, Listing
from gradmc.program.frontend.sometimes import Sometimes
from gradmc.program.frontend.subscripts import element
from gradmc.program.frontend.values import CannotRoll, Unbound, at_once, is_traced

TOKENS = (list, dict, np.ndarray, jax.Array)


@dataclass(slots=True, eq=False)
class Cell:
    """The present content of a token."""

    token: Any
    content: Any
    version: int = 0


@dataclass(slots=True, eq=False)
class CellVariable:
    """A variable of a function around the one that sets it: the token is Python's own cell."""

    token: CellType
    name: str = ""
    version: int = 0

    @property
    def content(self) -> Any:
        """Its value."""
        try:
            return self.token.cell_contents
        except ValueError:
            return Unbound(self.name)

    @content.setter
    def content(self, value: Any) -> None:
        self.token.cell_contents = value


@dataclass(slots=True, eq=False)
class View:
    """A token that is a part of another token."""

    token: Any
    parent: Any
    index: Any
    version: int


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


@dataclass(slots=True, eq=False)
class Copies:
    """What a list holds copies of (`AliasSet`)."""

    whole: list
    items: list
    stored: bool = False
    apart: bool = True


class Fields(dict[str, Any]):
    """The content of an object whose attributes a loop or branch changes: their names and values."""

    def settle(self, owner: Any) -> None:
        """Change the object itself."""
        for name, value in self.items():
            setattr(owner, name, value)


def _field(owner: Any, name: str) -> Any:
    return getattr(owner, name) if hasattr(owner, name) else Unbound(name, "the attribute is not set on this path")


class OneSided(CannotRoll):
    """A list grows on one side of a branch only, and which one is not known while compiling."""

    def __init__(self, token: list) -> None:
        super().__init__(
            "a list grows on one side of a branch only, and which one is not known while compiling",
            "Append on both sides (a 0.0 where there is nothing), or store into an array that is made before.",
        )
        self.token = token


class Retry(BaseException):
    """The body of the frame at `depth` must be traced again, since it appends to a list and reads it."""

    def __init__(self, depth: int, token: list) -> None:
        super().__init__("trace again")
        self.depth = depth
        self.token = token


@dataclass(slots=True, eq=False)
class Frame:
    """One body being traced: of a loop, of the side of a branch, or to see what something does."""

    loop: bool
    branch: bool = False
    saved: dict[int, tuple[Cell | CellVariable, Any]] = field(default_factory=dict)
    born: dict[int, Any] = field(default_factory=dict)
    grown: dict[int, tuple[list, list]] = field(default_factory=dict)
    read: dict[int, Any] = field(default_factory=dict)
    failures: list[Any] = field(default_factory=list)
    changed: dict[int, Any] = field(default_factory=dict)
    alias_sets: list[AliasSet] = field(default_factory=list)
    rebound: dict[int, list] = field(default_factory=dict)
    inside: dict[int, list] = field(default_factory=dict)
    doubled: dict[int, list] = field(default_factory=dict)
    reread: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Heap:
    """The tokens of one evaluation."""

    ev: Evaluation
    cells: dict[int, Cell | CellVariable] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)
    alias_sets: dict[int, list[AliasSet]] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    made: dict[int, Any] = field(default_factory=dict)
    inside: dict[int, Any] = field(default_factory=dict)
    doubled: dict[int, Any] = field(default_factory=dict)
    items: dict[int, Any] = field(default_factory=dict)  # lists that hold those of a dict (`slots`)
    items_read: dict[int, Any] = field(default_factory=dict)
    picked: dict[int, tuple[Any, dict]] = field(default_factory=dict)

    def content(self, token: Any) -> Any:
        """What the token holds now; other values are returned as they are."""
        if not isinstance(token, TOKENS):
            return token
        if self.frames and isinstance(token, list):
            self._note_read(token)
        if self.alias_sets:
            self._check(token)
        return self.peek(token)

    def peek(self, token: Any) -> Any:
        """`content` without noting that it was read."""
        view = self.parent(token)
        # A view's token is what was read when the view was made. It is read anew only if the parent has changed since:
        # every load costs an equation.
        if view is not None and self.version(view.parent) != view.version:
            for frame in self.frames:
                if id(token) not in frame.born:
                    frame.reread.add(id(view.parent))
            return element(self.ev, self.peek(view.parent), view.index)
        cell = self._cell(token) if isinstance(token, CellType) else self.cells.get(id(token))
        return cell.content if cell is not None and cell.token is token else token

    def version(self, token: Any) -> int:
        """Changes whenever the token, or what it is a part of, is written."""
        view = self.parent(token)
        if view is not None:
            return self.version(view.parent)
        cell = self.cells.get(id(token))
        return cell.version if cell is not None and cell.token is token else 0

    def view(self, token: Any, parent: Any, index: Any) -> None:
        """Note that `token` is `parent[index]`."""
        self.views[id(token)] = View(token, parent, index, self.version(parent))

    def parent(self, token: Any) -> View | None:
        """The view that a token is, if it is one."""
        view = self.views.get(id(token))
        return view if view is not None and view.token is token else None

    def root(self, token: Any) -> Any:
        """What a token is a part of, in the end: itself if it is no view."""
        while (view := self.parent(token)) is not None:
            token = view.parent
        return token

    def _cell(self, token: Any) -> Cell | CellVariable:
        cell = self.cells.get(id(token))
        if cell is None or cell.token is not token:
            cell = self.cells[id(token)] = CellVariable(token) if isinstance(token, CellType) else Cell(token, token)
        return cell

    def held(self, token: Any, value: Any) -> Any:
        """What a token is to hold: a variable a value as it is, an array or list its content."""
        return value if isinstance(token, CellType) else self.peek(value)

    def own_variable(self, cell: CellType) -> None:
        """Note a variable of a function that begins to run: functions inside may set it."""
        (self.frames[-1].born if self.frames else self.made)[id(cell)] = cell

    def set_variable(self, cell: CellType, name: str) -> bool:
        """Note that a function is about to set a variable of one around it; False if that one is not running."""
        if id(cell) not in self.made and not any(id(cell) in frame.born for frame in self.frames):
            return False
        variable = self.cells[id(cell)] = self.cells.get(id(cell)) or CellVariable(cell, name)
        if not self.owns(cell):
            self.frames[-1].saved.setdefault(id(cell), (variable, variable.content))
        return True

    def note_change(self, token: Any) -> None:
        """Note that a token that holds itself is changed as it is."""
        self._cell(token).version += 1
        if self.frames:
            self.frames[-1].changed[id(token)] = token

    def write(self, token: Any, content: Any) -> None:
        """Replace what the token holds."""
        cell = self._cell(token)
        if isinstance(content, Fields) and not self.frames:
            content.settle(token)
            del self.cells[id(token)]
            return
        if self.frames and not self.owns(token):
            self.frames[-1].saved.setdefault(id(token), (cell, cell.content))
        before, cell.content = cell.content, content
        self.note_change(token)
        if isinstance(token, list):
            self._note_copies(token, before, content)

    def known(self, value: Any) -> bool:
        """Whether the value is a token that has been noted before."""
        key = id(value)
        cell, view = self.cells.get(key), self.views.get(key)
        if (cell is not None and cell.token is value) or (view is not None and view.token is value):
            return True
        return any(key in frame.born for frame in self.frames)

    def owns(self, token: Any) -> bool:
        """Whether the token was made within the innermost frame (or there is none)."""
        return not self.frames or id(token) in self.frames[-1].born

    def allocate(self, value: Any) -> Any:
        """Note that a value was made here and now; returns it."""
        if isinstance(value, TOKENS) and not self.known(value):
            (self.frames[-1].born if self.frames else self.made)[id(value)] = value
        return value

    def own(self, value: Any, *given: Any) -> Any:
        """What an operation has made, as an object of its own: JAX returns its argument where nothing is to be done."""
        if not isinstance(value, jax.Array) or not value.ndim:
            return value
        if not (any(value is g for g in given) or self.known(value) or id(value) in self.made):
            return value
        return jax.numpy.copy(value) if is_traced(value) else at_once(jax.numpy.copy, value)

    def is_outside(self, value: Any) -> bool:
        """Whether a token was surely made outside of the innermost frame."""
        *around, inner = self.frames
        if id(value) in inner.born:
            return False
        return not is_traced(value) or any(id(value) in b for b in (self.made, *(f.born for f in around)))

    def allocate_object(self, value: Any) -> Any:
        """Note that an object of a class was made here and now; returns it."""
        if self.frames:
            self.frames[-1].born[id(value)] = value
        return value

    def present_fields(self, owner: Any, names: Iterable[str]) -> Fields:
        """The present values of attributes of an object."""
        changed = self.fields(owner)
        return Fields({name: changed[name] if name in changed else _field(owner, name) for name in names})

    def fields(self, owner: Any) -> dict[str, Any]:
        """The attributes of an object that a loop or branch has changed, and that it does not know of yet."""
        cell = self.cells.get(id(owner))
        return cell.content if cell is not None and isinstance(cell.content, Fields) else {}

    # --- ties ------------------------------------------------------------------------------------

    def alias(self, tokens: Sequence[Any], complaint: Callable[[], BaseException], either: Any = None) -> None:
        """Note that these are one object from here on, each with a content of its own."""
        self._add(AliasSet([(token, self.version(token)) for token in tokens], complaint, either))

    def _add(self, group: AliasSet) -> None:
        for token, _ in group.members:
            self.alias_sets.setdefault(id(token), []).append(group)
        if self.frames:
            self.frames[-1].alias_sets.append(group)

    def invalidate(self, token: Any, complaint: Callable[[], BaseException]) -> None:
        """Note that the content of a token is no longer what its object holds."""
        self._add(AliasSet([(token, self.version(token)), ([], -1)], complaint))

    def _check(self, token: Any) -> None:
        """Complain if the content of a token is not what its object holds in Python."""
        token = self.root(token)
        for group in self.alias_sets.get(id(token), ()):
            if group.whole is not None and group.whole is not token:
                # The token is an item of which a list holds a copy. A store into a row of the list, seen or still to
                # come in this body, parts them: that the item was read is remembered (`may_have_read_items`).
                parted = id(group.whole) in self.inside
                self.items_read[id(group.whole)] = group.whole
            else:
                parted = any(other is not token and self.version(other) != version for other, version in group.members)
            if parted:
                raise group.complaint()

    def may_be(self, token: Any) -> Iterator[Any]:
        """What else a token may be, depending on a traced condition; each once."""
        groups = [group for group in self.alias_sets.get(id(token), ()) if group.either is token]
        yield from {id(o): o for group in groups for o, _ in group.members if o is not token}.values()

    def copied(self, whole: list, items: Iterable[Any], *, stored: bool = False, apart: bool = False) -> None:
        """Note that a list holds copies of objects from now on, perhaps `stored` into its rows (`AliasSet`)."""
        whole = self.root(whole)
        named = (o for o in items if not is_traced(o) or self.known(o) or id(o) in self.made)
        members = {id(o): o for o in named if o is not whole}
        if members:
            versions = [(o, self.version(o)) for o in (whole, *members.values())]
            self._add(AliasSet(versions, shared_always, whole=whole, stored=stored, apart=apart))

    def become_rows(self, whole: list, items: Sequence[Any]) -> None:
        """Note that objects are the rows of a list from now on: those made in this body, under their names too.

        Raises:
            CannotRoll: two of them are one object.
        """
        if len({id(self.root(o)) for o in items}) < len(items):
            raise shared_always()
        others = []
        for n, one in enumerate(items):
            if self.parent(one) is None and self._made_here(one):
                self.views[id(one)] = View(one, whole, n, -1)
            else:
                others.append(one)
        self.copied(whole, [o for one in others for o in objects(one, self)])

    def no_longer_rows(self, whole: list) -> None:
        """Let the objects that became rows of a list be themselves again: nothing was stored into it."""
        for view in [v for v in self.views.values() if v.parent is whole]:
            del self.views[id(view.token)]
        for group in [g for g in self.alias_sets.pop(id(whole), ()) if g.whole is whole]:
            for one, _ in group.members:
                if one is not whole:
                    self.alias_sets[id(one)].remove(group)
            for frame in self.frames:
                if group in frame.alias_sets:
                    frame.alias_sets.remove(group)

    def _made_here(self, token: Any) -> bool:
        return id(token) in (self.frames[-1].born if self.frames else self.made)

    def _note_copies(self, token: list, before: Any, now: Any) -> None:
        """Note the items of a list that have become rows of an array."""
        if isinstance(now, Listing) and now.rows() > (before.rows() if isinstance(before, Listing) else 0):
            self.copied(token, objects_inside(before, self))

    def rebind(self, whole: list, place: Any = None) -> None:
        """Note that the row at some place of a list is about to be another object: who has it keeps it as it is."""
        if isinstance(now := self.peek(whole), Listing):
            rows = [v for v in self.views.values() if v.parent is whole and self.owns(v.token)]
            for view in [v for v in rows if not self._differ(v.index, place, now.length())]:
                kept = self.allocate([])
                self.cells[id(kept)] = Cell(kept, now)
                fresh = view.version == self.version(whole)
                self.views[id(view.token)] = View(view.token, kept, view.index, 0 if fresh else -1)
                self.copied(whole, [kept])
        if not self.owns(whole):
            self.frames[-1].rebound[id(whole)] = whole

    def _differ(self, a: Any, b: Any, length: Any) -> bool:
        """Whether two places in a list are different ones in all iterations."""
        given = [tables.known(self.ev, k) for k in (a, b)]
        if any(t is None for t in given) or is_traced(length):
            return False
        same = tables.combine(self.ev, lambda j, k: j % length == k % length, [t for t in given if t is not None])
        return same is not None and not same.values.any()

    def check_rows(self) -> None:
        """Complain if a body reads a row that it got before it began, and makes the rows other objects."""
        inner = self.frames[-1]
        if inner.reread & set(inner.rebound):
            raise shared_always()

    def store_inside(self, whole: list) -> None:
        """Note that something is stored into a row of a list.

        Raises:
            CannotRoll: another row is the same object.
        """
        if any(id(whole) in known for known in (self.doubled, *(frame.doubled for frame in self.frames))):
            raise shared_always()
        for known in (self.inside, *(frame.inside for frame in self.frames)):
            known[id(whole)] = whole

    def double(self, whole: list) -> None:
        """Note that two rows of a list may be one object."""
        (self.frames[-1].doubled if self.frames else self.doubled)[id(whole)] = whole

    def doubled_outside(self) -> list[list]:
        """Lists from outside of the innermost frame of which that is noted there."""
        inner = self.frames[-1]
        return [whole for key, whole in inner.doubled.items() if key not in inner.born]

    def may_have_read_items(self, whole: list) -> bool:
        """Whether something may have been read that is not what it seems once rows of a list are stored into."""
        return id(whole) in self.items_read or all(
            group.whole is not whole for group in self.alias_sets.get(id(whole), ())
        )

    def copies(self) -> list["Copies"]:
        """The lists from outside of the innermost frame that hold copies since it began, and of what."""
        born = self.frames[-1].born
        return [replace(c, items=[o for o in c.items if id(o) not in born]) for c in self.all_copies()]

    def all_copies(self) -> list["Copies"]:
        """The lists from outside of the innermost frame that hold copies, and of what that is known within it."""
        inner = self.frames[-1]
        return [
            Copies(g.whole, [o for o, _ in g.members if o is not g.whole], g.stored, g.apart)
            for g in inner.alias_sets
            if g.whole is not None and id(g.whole) not in inner.born
        ]

    def keep(self, copies: Iterable["Copies"], doubled: Iterable[list]) -> None:
        """Note what a body has noted of lists from outside."""
        for one in copies:
            self.copied(one.whole, one.items, stored=one.stored, apart=one.apart)
        for whole in doubled:
            self.double(whole)

    def check_copies(self) -> None:
        """Complain if a body stores into what a list from outside holds a copy of, or stores into the copy.

        The next iteration would find one of them without what was stored into the other.
        """
        inner = self.frames[-1]
        if inner.loop and set(inner.doubled) & set(inner.inside):
            raise shared_always()
        for group in inner.alias_sets:
            if group.whole is None or id(group.whole) in inner.born:
                continue
            items = [(o, v) for o, v in group.members if o is not group.whole]
            again = inner.loop and group.stored and any(id(o) not in inner.born for o, _ in items)
            if (again and id(group.whole) in inner.inside) or any(self.version(o) != version for o, version in items):
                raise group.complaint()

    def check_choices(self) -> None:
        """Complain if what a body has stored into may be, depending on a traced condition, an object from outside."""
        inner = self.frames[-1]
        for group in inner.alias_sets:
            stored = any(token is group.either and self.version(token) != version for token, version in group.members)
            if stored and any(id(token) not in inner.born for token, _ in group.members):
                raise group.complaint()

    # --- lists -----------------------------------------------------------------------------------

    def append(self, token: list, item: Any) -> None:
        """`token.append(item)`; an item may be a whole `Listing`, or one that is appended `Sometimes`."""
        view = self.parent(token)
        if view is not None:
            raise CannotRoll("a list inside of another list grows in the loop")
        if self.owns(token) and self.peek(token) is token and not isinstance(item, Listing | Sometimes):
            self.note_change(token)
            token.append(item)
            return
        present = self.listing(token)
        loop = self.loop_around(token)
        if isinstance(item, Growing):
            if loop is not None or not item.over or present.grows or present.length():
                raise CannotRoll("how often the list grows in the inner loop changes from iteration to iteration")
            self.write(token, item)
            return
        if isinstance(item, Sometimes) and (loop is None or present.grows):
            raise OneSided(token)
        if loop is None or id(token) in self.frames[-1].saved or present.grows:
            new = present.concatenate(self.ev, item) if isinstance(item, Listing) else present.append(self.ev, item)
            self.write(token, new)
            return
        # A list that is only appended to leaves the loop as a stack of items; one that is read as well is carried.
        if id(token) in self.frames[loop].read:
            raise Retry(loop, token)
        self.frames[-1].grown.setdefault(id(token), (token, []))[1].append(item)

    def repeat(self, token: list, times: int) -> None:
        """`token *= times`."""
        if self.owns(token) and self.content(token) is token:
            self.note_change(token)
            token *= times
            return
        listing = self.listing(token)
        if listing.grows or self.parent(token) is not None:
            raise CannotRoll("a list is repeated in the loop that appends to it, or inside of another list")
        self.write(token, listing.repeated(self.ev, times))

    def may_grow(self, token: list) -> None:
        """An item was read that a list does not have: if a loop around appends to it, it may have it later."""
        loop = self.loop_around(token)
        if loop is not None and id(token) not in self.frames[loop].saved:
            raise Retry(loop, token)

    def loop_around(self, token: Any) -> int | None:
        """The innermost loop being traced outside of which the token was made."""
        for depth in reversed(range(len(self.frames))):
            if id(token) in self.frames[depth].born:
                return None
            if self.frames[depth].loop:
                return depth
        return None

    def outermost(self, token: Any) -> int | None:
        """The outermost loop or branch being traced outside of which the token was made.

        Raises:
            CannotRoll: there is something else around it.
        """
        depth = max((k + 1 for k, frame in enumerate(self.frames) if id(token) in frame.born), default=0)
        if depth == len(self.frames):
            return None
        if not (self.frames[depth].loop or self.frames[depth].branch):
            raise CannotRoll("a dict of arrays is stored into by a key that changes, in a try or a test")
        return depth

    def listing(self, token: Any) -> Listing:
        """A list's content as a `Listing`."""
        content = self.peek(token)
        return content if isinstance(content, Listing) else Listing.of(content)

    def _note_read(self, token: list) -> None:
        loop = self.loop_around(token)
        if loop is None:
            return
        if any(id(token) in f.grown for f in self.frames[loop:]):
            raise Retry(loop, token)
        for frame in self.frames[: loop + 1]:
            frame.read[id(token)] = token

    # --- frames ----------------------------------------------------------------------------------

    def enter(self, *, loop: bool, branch: bool = False) -> Frame:
        """Begin to trace a body: a loop's, or the side of a branch."""
        frame = Frame(loop, branch)
        self.frames.append(frame)
        return frame

    def leave(self, frame: Frame) -> None:
        """End it: put back the content that tokens from outside had when it began."""
        assert self.frames[-1] is frame
        self.frames.pop()
        for cell, before in frame.saved.values():
            cell.content = before
            cell.version += 1  # views made inside read anew
        for group in frame.alias_sets:
            for token, _ in group.members:
                self.alias_sets[id(token)].remove(group)
        for key in frame.born:
            self.cells.pop(key, None)
            self.views.pop(key, None)
            self.alias_sets.pop(key, None)
        for whole in frame.rebound.values():
            self.rebind(whole)
