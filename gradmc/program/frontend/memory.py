"""What a program changes in place: arrays, lists, and Python's aliasing of them, without side effects.

JAX values cannot change. So the object that a variable holds (a numpy array, a JAX value, a list) is only a
token: its identity is what Python's aliases share, and `Memory` holds its present content. Storing into
any alias replaces the content of the token, so all aliases see it.

    cell    the present content of one token
    view    a token that is part of another one (`row = matrix[i]`): reading and storing go through the parent
    frame   a loop body or branch being traced. It notes the content that was there when it began, for every
            token from outside that is written within, so that the content can be put back, and so that the
            loop knows what it has to carry
    grown   what a loop body appended to a list from outside: it leaves the loop stacked along the index
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gradmc.program.frontend.values import CannotRoll

if TYPE_CHECKING:
    from gradmc.program.frontend.listing import Listing

TOKENS = (list, dict, np.ndarray, jax.Array)


@dataclass(slots=True, eq=False)
class Cell:
    """The present content of a token."""

    token: Any
    content: Any
    version: int = 0


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
            setattr(owner, name, value)


class Retry(BaseException):
    """The body of the frame at `depth` must be traced again, since it appends to a list and reads it."""

    def __init__(self, depth: int, token: list) -> None:
        super().__init__("trace again")
        self.depth = depth
        self.token = token


@dataclass(slots=True, eq=False)
class Frame:
    """One body being traced."""

    loop: bool
    saved: dict[int, tuple[Cell, Any]] = field(default_factory=dict)
    born: dict[int, Any] = field(default_factory=dict)
    grown: dict[int, tuple[list, list]] = field(default_factory=dict)
    read: dict[int, Any] = field(default_factory=dict)
    failures: list[Any] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Memory:
    """The tokens of one evaluation."""

    cells: dict[int, Cell] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)

    def content(self, token: Any) -> Any:
        """What the token holds now; other values are returned as they are."""
        if not isinstance(token, TOKENS):
            return token
        if self.frames and isinstance(token, list):
            self._note_read(token)
        return self.peek(token)

    def peek(self, token: Any) -> Any:
        """`content` without noting that it was read."""
        view = self.parent(token)
        if view is not None and self.version(view.parent) != view.version:
            from gradmc.program.frontend.subscripts import element

            return element(self.peek(view.parent), view.index)
        cell = self.cells.get(id(token))
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

    def write(self, token: Any, content: Any) -> None:
        """Replace what the token holds."""
        cell = self.cells.get(id(token))
        if cell is None or cell.token is not token:
            cell = self.cells[id(token)] = Cell(token, token)
        if isinstance(content, Fields) and not self.frames:
            content.settle(token)
            del self.cells[id(token)]
            return
        if self.frames and not self.owns(token):
            self.frames[-1].saved.setdefault(id(token), (cell, cell.content))
        cell.content = content
        cell.version += 1

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

    def bear(self, value: Any) -> Any:
        """Note that a value was made here and now; returns it."""
        if self.frames and isinstance(value, TOKENS) and not self.known(value):
            self.frames[-1].born[id(value)] = value
        return value

    def bear_object(self, value: Any) -> Any:
        """Note that an object of a class was made here and now; returns it."""
        if self.frames:
            self.frames[-1].born[id(value)] = value
        return value

    def present_fields(self, owner: Any, names: Iterable[str]) -> Fields:
        """The present values of attributes of an object."""
        changed = self.fields(owner)
        return Fields({name: changed[name] if name in changed else getattr(owner, name) for name in names})

    def fields(self, owner: Any) -> dict[str, Any]:
        """The attributes of an object that a loop or branch has changed, and that it does not know of yet."""
        cell = self.cells.get(id(owner))
        return cell.content if cell is not None and isinstance(cell.content, Fields) else {}

    # --- lists -----------------------------------------------------------------------------------

    def append(self, token: list, item: Any) -> None:
        """`token.append(item)`; an item may be a whole `Listing`, or one that is appended `Sometimes`."""
        from gradmc.program.frontend.listing import Listing
        from gradmc.program.frontend.sometimes import Sometimes

        view = self.parent(token)
        if view is not None:
            raise CannotRoll("a list inside of another list grows in the loop")
        if self.owns(token) and self.peek(token) is token and not isinstance(item, Listing | Sometimes):
            token.append(item)
            return
        present = self.listing(token)
        loop = self._loop_around(token)
        if isinstance(item, Sometimes) and (loop is None or present.grows):
            raise CannotRoll("how long the list gets changes from iteration to iteration")
        if loop is None or id(token) in self.frames[-1].saved or present.grows:
            new = present.concatenate(item) if isinstance(item, Listing) else present.append(item)
            self.write(token, new)
            return
        if id(token) in self.frames[loop].read:
            raise Retry(loop, token)
        self.frames[-1].grown.setdefault(id(token), (token, []))[1].append(item)

    def repeat(self, token: list, times: int) -> None:
        """`token *= times`."""
        if self.owns(token) and self.content(token) is token:
            token *= times
            return
        listing = self.listing(token)
        if listing.grows or self.parent(token) is not None:
            raise CannotRoll("a list is repeated in the loop that appends to it, or inside of another list")
        self.write(token, listing.repeated(times))

    def may_grow(self, token: list) -> None:
        """An item was read that a list does not have: if a loop around appends to it, it may have it later."""
        loop = self._loop_around(token)
        if loop is not None and id(token) not in self.frames[loop].saved:
            raise Retry(loop, token)

    def _loop_around(self, token: Any) -> int | None:
        """The innermost loop being traced outside of which the token was made."""
        for depth in reversed(range(len(self.frames))):
            if id(token) in self.frames[depth].born:
                return None
            if self.frames[depth].loop:
                return depth
        return None

    def listing(self, token: Any) -> "Listing":
        """A list's content as a `Listing`."""
        from gradmc.program.frontend.listing import Listing

        content = self.peek(token)
        return content if isinstance(content, Listing) else Listing.of(content)

    def _note_read(self, token: list) -> None:
        loop = self._loop_around(token)
        if loop is None:
            return
        if any(id(token) in f.grown for f in self.frames[loop:]):
            raise Retry(loop, token)
        for frame in self.frames[: loop + 1]:
            frame.read[id(token)] = token

    # --- frames ----------------------------------------------------------------------------------

    def enter(self, *, loop: bool) -> Frame:
        """Begin to trace a body: a loop's, or the side of a branch."""
        frame = Frame(loop)
        self.frames.append(frame)
        return frame

    def leave(self, frame: Frame) -> None:
        """End it: put back the content that tokens from outside had when it began."""
        assert self.frames[-1] is frame
        self.frames.pop()
        for cell, before in frame.saved.values():
            cell.content = before
            cell.version += 1
        for key in frame.born:
            self.cells.pop(key, None)
            self.views.pop(key, None)
