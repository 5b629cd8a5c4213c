"""What a loop can run over with a symbolic index: a length, and an item for every index.

`range`, `enumerate`, `zip` and `reversed` return the objects of this file when a program calls them. Each can
still be iterated by Python.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import choices, frames, nullable, operators, partial, special_methods, subscripts, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing, Listing
from gradmc.program.frontend.slots import Slots
from gradmc.program.frontend.values import CannotRoll, Choice, Selected, any_traced, is_array, is_leaf, is_traced

FINITE = (itertools.product, itertools.combinations, itertools.combinations_with_replacement, itertools.permutations)
ITERATOR_REMEDY = "Loop over the items themselves, or over zip(...) of what is needed together."
AGAIN_REMEDY = "Make a list of it, pairs = list(zip(x, y)), and loop over pairs, or a part of them."
LONG_LIST = 8
"""Longer lists of numbers roll."""


@dataclass(frozen=True, eq=False, slots=True)
class Rollable:
    """A source of items by index; `length` may be traced, and is then at most `most` if that is known."""

    length: Any
    item: Callable[[Any], Any]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class TracedRange:
    """`range` with a traced end."""

    start: Any
    stop: Any
    step: Any

    def __iter__(self) -> Iterator[Any]:
        raise CannotRoll("the length of the range is not known while compiling")


class Once:
    """What can be run through once: what `enumerate`, `zip`, `reversed`, `map` and generator expressions give."""

    __slots__ = ()


@dataclass(frozen=True, eq=False, slots=True)
class Enumerated(Once):
    """`enumerate`."""

    ev: Evaluation
    source: Any
    start: Any = 0

    def __iter__(self) -> Iterator[Any]:
        for k, item in enumerate(iterate(self.ev, self.source)):
            yield self.start + k, item


@dataclass(frozen=True, eq=False, slots=True)
class Zipped(Once):
    """`zip`."""

    ev: Evaluation
    sources: tuple
    strict: bool = False

    def __iter__(self) -> Iterator[Any]:
        return zip(*(iterate(self.ev, s) for s in self.sources), strict=self.strict)


@dataclass(frozen=True, eq=False, slots=True)
class Reversed(Once):
    """`reversed`."""

    ev: Evaluation
    source: Any

    def __iter__(self) -> Iterator[Any]:
        source = rollable(self.ev, self.source)
        if source is None and isinstance(self.source, list):
            return _backwards(self.ev, self.source)
        if source is None:
            return reversed(list(iterate(self.ev, self.source)))
        return (source.item(source.length - 1 - k) for k in range(source.length))


@dataclass(frozen=True, eq=False, slots=True)
class Mapped(Once):
    """`map`."""

    ev: Evaluation
    function: Callable[..., Any]
    sources: tuple

    def __iter__(self) -> Iterator[Any]:
        return (self.function(*items) for items in zip(*(iterate(self.ev, s) for s in self.sources), strict=False))


@dataclass(frozen=True, eq=False, slots=True)
class DictView(Mapped):
    """The values or items of a dict: those that it has when they are looked at."""

    def __len__(self) -> int:
        return len(self.sources[0])


def taken[T](ev: Evaluation, source: T, *, early: bool = False) -> T | tuple[()]:
    """What is left of a source that is about to be run through: nothing of an iterator that has been already.

    Args:
        ev: the evaluation.
        source: anything.
        early: whether it may be left before its end.

    Raises:
        CannotRoll: it was made before the loop at hand, or has been left at a place that is not known.
    """
    if not isinstance(source, Once) or isinstance(source, DictView):
        return source
    frames = ev.heap.frames
    made = max((k for k, frame in enumerate(frames) if id(source) in frame.born), default=-1)
    if any(frame.loop for frame in frames[made + 1 :]):
        raise CannotRoll("an iterator that was made before the loop or branch moves on inside it", ITERATOR_REMEDY)
    known = ev.spent.get(id(source))
    if known is None or known[0] is not source:
        ev.spent[id(source)] = source, early, frames[-1] if frames else None
        return ev.heap.allocate_object(replace(source))  # pyright: ignore[reportArgumentType]
    _, left, frame = known
    if left or (frame is not None and frame not in frames):
        raise CannotRoll("an iterator is used again, and how far it has come is not known", AGAIN_REMEDY)
    return ()


def refuse_twice(sources: Iterable[Any]) -> None:
    """Refuse one iterator in two places of a call, which would each take some of its items.

    Raises:
        CannotRoll: there is one.
    """
    once = [id(source) for source in sources if isinstance(source, Once)]
    if len(set(once)) < len(once):
        raise CannotRoll("an iterator is run through twice at once", AGAIN_REMEDY)


def view(ev: Evaluation, owner: dict, name: str) -> Any:
    """The `keys`, `values` or `items` of a dict with slots."""
    keys = ev.heap.content(owner).present()
    if name == "keys":
        return dict.fromkeys(keys).keys()
    if name == "values":
        return DictView(ev, lambda k: subscripts.load(ev, owner, k), (keys,))
    return DictView(ev, lambda k: (k, subscripts.load(ev, owner, k)), (keys,))


def iterate(ev: Evaluation, source: Any) -> Iterable[Any]:
    """The items, one after the other, in Python."""
    source = special_methods.iterated(ev, taken(ev, nullable.used(ev, source)))
    if isinstance(source, Choice):
        return choices.parts(ev, source)
    source = source.values if isinstance(source, frames.TracedSeries) else source
    content = ev.heap.content(source)
    if isinstance(content, Slots):
        return content.present()
    if isinstance(content, Listing) and is_traced(content.length()):
        return content.items(ev)
    if isinstance(source, list):
        return _forwards(ev, source)
    if isinstance(content, Listing):
        return (subscripts.item(ev, source, k) for k in range(content.length()))
    if is_array(content):
        return (subscripts.item(ev, source, k) for k in range(np.shape(content)[0]))
    return advancing(ev, content)


def _forwards(ev: Evaluation, items: list) -> Iterator[Any]:
    """The items of a list by their places, as Python's iterator does: what is stored meanwhile is seen."""
    k = 0
    while k < _length(ev, items):
        yield _at(ev, items, k)
        k += 1


def _backwards(ev: Evaluation, items: list) -> Iterator[Any]:
    """The items of a list from its end, by their places."""
    for k in reversed(range(_length(ev, items))):
        yield _at(ev, items, k)


def _length(ev: Evaluation, items: list) -> int:
    content = ev.heap.peek(items)
    if not isinstance(content, Listing):
        return len(content)
    if is_traced(content.length()):
        raise CannotRoll("a list is iterated while it grows as often as parameters say")
    return content.length()


def _at(ev: Evaluation, items: list, k: int) -> Any:
    content = ev.heap.peek(items)
    single = type(content) is list and ev.heap.parent(items) is None
    return content[k] if single else subscripts.item(ev, items, k)


def advancing(ev: Evaluation, source: Any) -> Any:
    """An iterator that is about to move on; one made outside of the loop or branch at hand must not."""
    heap = ev.heap
    if isinstance(source, Iterator) and not heap.owns(source):
        raise CannotRoll("an iterator that was made before the loop or branch moves on inside it", ITERATOR_REMEDY)
    return source


def of_few(ev: Evaluation, source: Any) -> bool:
    """Whether it is a list or tuple of few items, or something made of one."""
    match source:
        case Enumerated() | Reversed():
            return of_few(ev, source.source)
        case Zipped() | Mapped():
            return any(of_few(ev, one) for one in source.sources)
    content = ev.heap.content(source) if isinstance(source, list) else source
    length = (
        content.length()
        if isinstance(content, Listing)
        else len(content)
        if isinstance(content, list | tuple)
        else None
    )
    return isinstance(length, int) and length <= LONG_LIST


def rollable(ev: Evaluation, source: Any) -> Rollable | None:
    """The source by index, if it has one form for every index."""
    source = source if isinstance(source, Selected) and source.length is not None else nullable.used(ev, source)
    match source:
        case Rollable():
            return source
        case range():
            return _range(ev, source.start, len(source), source.step)
        case TracedRange():
            return _traced_range(ev, source)
        case Enumerated():
            inner = rollable(ev, source.source)
            start = source.start
            return inner and Rollable(inner.length, lambda i: (_plus(ev, start, i), inner.item(i)), inner.most)
        case Zipped():
            return _zip(ev, source)
        case Selected(length=length) if length is not None:
            return Rollable(
                length,
                lambda i: subscripts.element(ev, partial.unchanged(ev, source).value, i),
                source.mask.shape[0],
            )
        case Mapped(function=function):
            inner = _zip(ev, Zipped(ev, source.sources))
            return inner and Rollable(inner.length, lambda i: function(*inner.item(i)), inner.most)
        case Reversed():
            inner = rollable(ev, source.source)
            return inner and Rollable(
                inner.length, lambda i: inner.item(operators.binary(ev, "Sub", inner.length - 1, i)), inner.most
            )
    if frames.is_series(source) or isinstance(source, frames.TracedSeries):
        source = frames.as_array(source)
    content = ev.heap.content(source)
    if isinstance(content, Slots | dict):
        content = content.present() if isinstance(content, Slots) else list(content)
        return Rollable(len(content), lambda i: subscripts.item(ev, content, i)) if len(content) > LONG_LIST else None
    if isinstance(content, Growing) and content.over:
        return Rollable(content.count, lambda i: subscripts.item(ev, source, i), content.room)
    if isinstance(content, Listing):
        stacked = _listing(ev, content)
        return stacked and Rollable(stacked.length, lambda i: subscripts.item(ev, source, i))
    if is_array(content):
        return Rollable(content.shape[0], lambda i: subscripts.item(ev, source, i))
    if isinstance(content, list | tuple) and len(content) > LONG_LIST and _plain(ev, content[0]):
        stacked = _listing(ev, Listing.of(content))
        if stacked is None and not any_traced(content):
            return Rollable(len(content), lambda i: subscripts.item(ev, source, i))
        version = ev.heap.version(source)

        def item(i: Any) -> Any:
            stale = _holds_lists(content[0]) or ev.heap.version(source) != version
            return stacked.item(i) if stacked and not stale else subscripts.item(ev, source, i)

        return stacked and Rollable(len(content), item)
    if isinstance(content, str | list | tuple) and len(content) > LONG_LIST and not any_traced(content):
        return Rollable(len(content), lambda i: subscripts.item(ev, source, i))
    return None


def _plain(ev: Evaluation, item: Any) -> bool:
    """Whether an item is a number, or a tuple or list of numbers: the others of its list are likely to be so too."""
    if isinstance(item, tuple | list):
        item = ev.heap.peek(item)
        return isinstance(item, tuple | list) and len(item) > 0 and all(_plain(ev, v) for v in item)
    return is_leaf(item) and np.ndim(item) == 0


def _holds_lists(item: Any) -> bool:
    return isinstance(item, list) or (isinstance(item, tuple) and any(map(_holds_lists, item)))


def materialised(ev: Evaluation, source: Any) -> Any:
    """The items of an iterator of itertools, numpy or pandas, or of a view of a dict, in a list, to be indexed."""
    if isinstance(source, (*FINITE, np.ndindex)):
        return list(source)
    rows = isinstance(source, map) or getattr(source, "__qualname__", "") == "DataFrame.iterrows"
    views = isinstance(source, type({}.items()) | type({}.keys()) | type({}.values()))
    if (rows and ev.heap.owns(source)) or (views and len(source) > LONG_LIST):
        return list(source)
    return source


def _range(ev: Evaluation, start: Any, length: Any, step: Any, most: int | None = None) -> Rollable:
    def item(i: Any) -> Any:
        scaled = i if step == 1 else operators.binary(ev, "Mult", step, i)
        return scaled if isinstance(start, int) and start == 0 else operators.binary(ev, "Add", start, scaled)

    return Rollable(length, item, most)


def _traced_range(ev: Evaluation, source: TracedRange) -> Rollable:
    """A range whose ends are traced: its length may be the same in all iterations around it, or bounded."""
    start, stop, step = source.start, source.stop, source.step
    if is_traced(step) or step == 0:
        raise CannotRoll("the step of the range is not known while compiling")
    trips = stop if isinstance(start, int) and start == 0 else operators.binary(ev, "Sub", stop, start)
    if step != 1:
        up = operators.binary(ev, "Add", trips, step - (1 if step > 0 else -1))
        trips = operators.binary(ev, "FloorDiv", up, step)
    length = tables.apply(ev, jnp.maximum(trips, 0), lambda n: np.maximum(n, 0), trips)
    table = tables.demand(ev, length)
    if table is None:
        return _range(ev, start, length, step)
    one = tables.same(table)
    return _range(ev, start, length if one is None else one, step, int(table.values.max(initial=0)))


def _zip(ev: Evaluation, source: Zipped) -> Rollable | None:
    inner = [rollable(ev, s) for s in source.sources]
    if not inner or any(s is None for s in inner):
        return None
    sources = [s for s in inner if s is not None]
    lengths = [s.length for s in sources]
    if any(map(is_traced, lengths)):
        length = lengths[0]
        for other in lengths[1:]:
            length = tables.apply(ev, jnp.minimum(length, other), np.minimum, length, other)
    else:
        length = min(lengths)
        if source.strict and len(set(lengths)) > 1:
            raise ValueError(f"zip() arguments have lengths {lengths}, and strict=True")
    bounds = [s.length if s.most is None else s.most for s in sources]
    most = min((b for b in bounds if not is_traced(b)), default=None)
    return Rollable(length, lambda i: tuple(s.item(i) for s in sources), most)


def _plus(ev: Evaluation, start: Any, i: Any) -> Any:
    return operators.binary(ev, "Add", start, i) if is_traced(start) or start else i


def _listing(ev: Evaluation, content: Listing) -> Rollable | None:
    try:
        stack = content.stacked(ev)
    except CannotRoll:
        return None
    return Rollable(stack.count, lambda i: stack.item(ev, i))
