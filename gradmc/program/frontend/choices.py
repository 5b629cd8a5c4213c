"""Things that are no numbers at a symbolic place: a letter of a sequence, a name, a record, a row of a frame.

What stands there in every iteration is known. A `Choice` is one of some objects: which one says a number that is
computed along the loop. What Python makes of the objects one by one (a comparison, an item of a dict, an attribute, a
method) is done now for each that comes up, and must change nothing; the results are numbers as a rule, and become an
array that the loop looks up.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradmc.program import ir, marks
from gradmc.program.frontend import failing, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import objects, shared_always
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import TEXTS, CannotRoll, Choice, any_traced, is_traced

MOST_PAIRS = 100_000
"""So many combinations of several choices are looked at."""
SIMPLE = (str, bytes, bool, int, float, type(None))
REMEDY = "Put what the loop needs into arrays, and index those with whole numbers."


def pick(ev: Evaluation, items: Sequence[Any], k: Any) -> Any:
    """`items[k]` at a symbolic index that is within bounds.

    Raises:
        CannotRoll: the items are traced, and of different structure.
    """
    if any_traced(list(items)):
        return Listing.of(items).item(ev, k)
    column = _column(items)
    if column is not None:
        return _looked_up(ev, column, k)
    if all(isinstance(v, SIMPLE) for v in items):
        options = tuple(dict.fromkeys((type(v), v) for v in items))
        places = {option: n for n, option in enumerate(options)}
        codes = np.asarray([places[type(v), v] for v in items])
        return Choice(tuple(v for _, v in options), _looked_up(ev, codes, k))
    return Choice(tuple(items), k)


def _looked_up(ev: Evaluation, column: np.ndarray, k: Any) -> Any:
    return tables.look_up(ev, ir.load(column, k), column, [k])


def _column(items: Sequence[Any]) -> np.ndarray | None:
    """Numbers, or arrays of one shape, as an array; None for anything else."""
    kinds = set(map(type, items))
    if kinds <= {bool} or kinds <= {int, np.int64} or kinds <= {int, float, np.float64, np.int64}:
        column = np.asarray(items)
        return column if column.dtype != object else None
    arrays = all(isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "biuf" for v in items)
    if arrays and len({(np.shape(v), v.dtype) for v in items}) == 1:
        return np.stack(items)
    return None


def options_of(value: Any) -> tuple | None:
    """What a variable that holds text or None may be; None for a variable that holds something else."""
    if isinstance(value, Choice):
        return value.options if all(o is None or isinstance(o, TEXTS) for o in value.options) else None
    return (value,) if value is None or isinstance(value, TEXTS) else None


def among(ev: Evaluation, value: Any, options: tuple) -> Choice:
    """The same as one of more options."""
    if not isinstance(value, Choice):
        return Choice(options, np.asarray(options.index(value)))
    return Choice(options, _looked_up(ev, np.asarray([options.index(o) for o in value.options]), value.code))


def involved(values: Sequence[Any]) -> bool:
    """Whether one of some values is a choice."""
    return any(isinstance(v, Choice) for v in values)


def mapped(ev: Evaluation, function: Callable[..., Any], *operands: Any) -> Any:
    """What a function makes of objects, some of which are choices.

    Raises:
        CannotRoll: another operand is not known while compiling.
    """
    chosen = [o for o in operands if isinstance(o, Choice)]
    if any(is_traced(o) for o in operands):
        raise CannotRoll("something that is no number meets a value that is not known while compiling", REMEDY)
    sizes = [len(c.options) for c in chosen]
    if np.prod(sizes) > MOST_PAIRS:
        raise CannotRoll("too many combinations of things that are no numbers", REMEDY)
    code = chosen[0].code
    for choice in chosen[1:]:
        size = len(choice.options)
        code = tables.apply(ev, code * size + choice.code, lambda a, b, size=size: a * size + b, code, choice.code)
    table = tables.known(ev, code)
    every = list(itertools.product(*(c.options for c in chosen)))
    used = range(len(every)) if table is None else np.unique(table.values).tolist()
    results, named = _harmless(ev, [_bound(function, operands, every[n]) for n in used])
    if len(used) < len(every):
        places = np.zeros(len(every), np.int64)
        places[list(used)] = np.arange(len(used))
        code = _looked_up(ev, places, code)
    result = pick(ev, results, code)
    for one in objects(result, ev.heap) if named else ():
        for other in named:
            if one is not other:
                ev.heap.aliases.note([one, other], shared_always, one)
    return result


def _bound(function: Callable[..., Any], operands: Sequence[Any], chosen: Sequence[Any]) -> Callable[[], Any]:
    """The function on operands with these things in the places of the choices."""
    given = iter(chosen)
    values = [next(given) if isinstance(o, Choice) else o for o in operands]
    return lambda: function(*values)


def _harmless(ev: Evaluation, functions: Sequence[Callable[[], Any]]) -> tuple[list[Any], list[Any]]:
    """The results of functions that change nothing and mark nothing, and the objects from before among them."""
    heap = ev.heap
    frame = heap.enter(loop=False)
    try:
        with marks.collecting() as marked:
            found = [function() for function in functions]
        results = [heap.peek(value) for value in found]
        named = [o for value in found for o in objects(value, heap) if id(o) not in frame.born]
        raising = any(failure.kinds for failure in frame.failures)
        changes = frame.saved or frame.grown or raising or marked.observe or marked.record
    finally:
        heap.leave(frame)
    if changes:
        raise CannotRoll("something is changed or marked by way of things that are no numbers", REMEDY)
    for failure in frame.failures:
        failing.note(ev, failure.condition)
    return results, named


def item(ev: Evaluation, owner: Choice, index: Any) -> Any:
    """`owner[index]`, where the index is symbolic too: of sequences of one length."""
    sizes = {len(o) if isinstance(o, str | list | tuple) else -1 for o in owner.options}
    if len(sizes) > 1 or -1 in sizes:
        raise CannotRoll("one of several sequences of different lengths is indexed by a symbolic index", REMEDY)
    (size,) = sizes
    table = tables.known(ev, index)
    if table is None or table.values.min(initial=0) < 0 or table.values.max(initial=0) >= size:
        raise CannotRoll("one of several sequences is indexed by an index that may be beyond it", REMEDY)
    place = tables.apply(ev, owner.code * size + index, lambda c, i: c * size + i, owner.code, index)
    return pick(ev, [v for option in owner.options for v in option], place)


def parts(ev: Evaluation, choice: Choice) -> list[Any]:
    """The items of one of several sequences of the same length."""
    sizes = {len(o) if isinstance(o, str | list | tuple) else -1 for o in choice.options}
    if len(sizes) > 1 or -1 in sizes:
        raise CannotRoll("one of several things that are no sequences of one length is iterated", REMEDY)
    return [mapped(ev, lambda o, j=j: o[j], choice) for j in range(sizes.pop())]
