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

Which contents stand for one object is kept in `aliases`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import CellType, FunctionType
from typing import Any

import jax
import numpy as np

from gradmc.program.frontend import tables
from gradmc.program.frontend.aliases import Aliases, AliasSet
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import objects, shared_always
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


class Fields(dict[str, Any]):
    """The content of an object whose attributes a loop or branch changes: their names and values."""

    def settle(self, owner: Any) -> None:
        """Change the object itself."""
        for name, value in self.items():
            set_as_it_is(owner, name, value)


def set_as_it_is(owner: Any, name: str, value: Any) -> None:
    """Set an attribute, whatever `__setattr__` the user has written."""
    written = isinstance(type(owner).__setattr__, FunctionType)
    (object.__setattr__ if written else setattr)(owner, name, value)


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
    frames: list[Frame] = field(default_factory=list)
    made: dict[int, Any] = field(default_factory=dict)
    items: dict[int, Any] = field(default_factory=dict)  # lists that hold those of a dict (`slots`)
    picked: dict[int, tuple[Any, dict]] = field(default_factory=dict)
    aliases: Aliases = field(init=False)

    def __post_init__(self) -> None:
        self.aliases = Aliases(self)

    def content(self, token: Any) -> Any:
        """What the token holds now; other values are returned as they are."""
        if not isinstance(token, TOKENS):
            return token
        if self.frames and isinstance(token, list):
            self._note_read(token)
        if self.aliases.sets:
            self.aliases.check(token)
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
            self.aliases.rows_now(token, before, content)

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
        if isinstance(value, TOKENS) and not self.known(value) and self.made.get(id(value)) is not value:
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

    # --- rows ------------------------------------------------------------------------------------

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
        self.aliases.copied(whole, [o for one in others for o in objects(one, self)])

    def no_longer_rows(self, whole: list) -> None:
        """Let the objects that became rows of a list be themselves again: nothing was stored into it."""
        for view in [v for v in self.views.values() if v.parent is whole]:
            del self.views[id(view.token)]
        self.aliases.forget_copies(whole)

    def _made_here(self, token: Any) -> bool:
        return id(token) in (self.frames[-1].born if self.frames else self.made)

    def rebind(self, whole: list, place: Any = None) -> None:
        """Note that the row at some place of a list is about to be another object: who has it keeps it as it is."""
        if isinstance(now := self.peek(whole), Listing):
            rows = [v for v in self.views.values() if v.parent is whole and self.owns(v.token)]
            for view in [v for v in rows if not self._differ(v.index, place, now.length())]:
                kept = self.allocate([])
                self.cells[id(kept)] = Cell(kept, now)
                fresh = view.version == self.version(whole)
                self.views[id(view.token)] = View(view.token, kept, view.index, 0 if fresh else -1)
                self.aliases.copied(whole, [kept])
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

    # --- lists -----------------------------------------------------------------------------------

    def append(self, token: list, item: Any) -> None:
        """`token.append(item)`; an item may be a whole `Listing`, or one that is appended `Sometimes`."""
        view = self.parent(token)
        if view is not None:
            raise CannotRoll("a list inside of another list grows in the loop")
        if self.owns(token) and self.peek(token) is token and not isinstance(item, Listing | Sometimes):
            self.note_change(token)
            list.append(token, item)  # whatever a class derived from it has made of that
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
        for key in frame.born:
            self.cells.pop(key, None)
            self.views.pop(key, None)
        self.aliases.leave(frame)
        for whole in frame.rebound.values():
            self.rebind(whole)
