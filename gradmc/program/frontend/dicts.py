"""Dicts: plain ones, and those with slots (`slots`), by plain keys and by keys that data decide.

A key that data decide is a `Choice`: one of several, by a number that is known in every iteration. What is read of a
plain dict by such a key is looked up among its items; what is stored gives the dict slots. A loop around that carries
the dict must know of them from the start, and is traced again (`Reslot`).
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import choices, failing, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import has_identity
from gradmc.program.frontend.slots import REMEDY, UNLIKE, Reslot, SlotPlan, Slots, kind_of, of_known_class, plan_for
from gradmc.program.frontend.tables import Table
from gradmc.program.frontend.values import CannotRoll, Choice, Unbound, any_traced, is_traced

KEYED = "is indexed by a value that is not known while compiling"
LEAVES = "an array or list leaves a dict by a key that changes"
LEAVES_REMEDY = "Let it stay there, with a number beside it that says whether it counts."
KEYED_REMEDY = "Put the values into an array, and index that with whole numbers."


def _content(ev: Evaluation, owner: dict) -> Any:
    content = ev.heap.content(owner)
    return content.settled if isinstance(content, Slots) else content


# --- keys ----------------------------------------------------------------------------------------


def key_of(ev: Evaluation, index: Any) -> Any:
    """What a dict is indexed by: the key, or a `Choice` if data decide which.

    Raises:
        CannotRoll: parameters decide it.
    """
    if isinstance(index, tuple) and any_traced(index):
        parts = [key_of(ev, part) for part in index]
        return choices.mapped(ev, lambda *values: values, *parts) if choices.involved(parts) else tuple(parts)
    if not is_traced(index):
        return index
    table = None if np.ndim(index) else tables.demand(ev, index)
    if table is None:
        raise CannotRoll(f"a dict {KEYED}", KEYED_REMEDY)
    options, code = np.unique(table.values, return_inverse=True)
    codes = Table.of(code.reshape(table.values.shape), table.loops)
    return Choice(tuple(options.tolist()), tables.look(ev, codes)) if len(options) > 1 else options[0].item()


def options_of(ev: Evaluation, key: Any) -> list[Any]:
    """The keys that come up, each once."""
    if not isinstance(key, Choice):
        return [key]
    table = tables.known(ev, key.code)
    used = range(len(key.options)) if table is None else np.unique(table.values).tolist()
    return list(dict.fromkeys(key.options[n] for n in used))


def _place(ev: Evaluation, keys: Iterable[Any], key: Any) -> Any:
    """Where a key stands among some; -1 if it is none of them."""
    places = {k: n for n, k in enumerate(keys)}
    if not isinstance(key, Choice):
        return places.get(key, -1)
    return _at(ev, np.asarray([places.get(o, -1) for o in key.options]), key.code)


def _at(ev: Evaluation, column: np.ndarray, place: Any) -> Any:
    """`column[place]`, plain if it is the same in all iterations."""
    found = tables.look_up(ev, ir.load(column, place), column, [place])
    same = tables.same(tables.known(ev, found))
    return found if same is None else same


def _there(ev: Evaluation, content: Slots, place: Any) -> Any:
    """Whether the dict has the key of a slot; there is no slot -1."""
    if not is_traced(place):
        if place < 0:
            return False
        return bool(content.stamps[place] >= 0) if content.known() else ir.load(content.stamps, place) >= 0
    if content.known():
        return _at(ev, np.append(content.stamps >= 0, False), place)
    inside = tables.apply(ev, place >= 0, lambda p: p >= 0, place)
    here = ir.load(content.stamps, place) >= 0
    return here if tables.same(tables.known(ev, inside)) is True else jnp.logical_and(inside, here)


# --- slots ---------------------------------------------------------------------------------------


def _with_slots(ev: Evaluation, owner: dict, plan: SlotPlan) -> Slots:
    """The content of a dict, with the slots of a plan.

    Raises:
        Reslot: a loop around carries it without them.
        CannotRoll: it holds things of different structure.
    """
    content = _content(ev, owner)
    if ev.heap.parent(owner) is not None:
        raise CannotRoll("a dict in a long list is stored into by a key that changes", REMEDY)
    if not of_known_class(owner):
        raise CannotRoll(f"a {type(owner).__name__} is stored into by a key that changes", REMEDY)
    if isinstance(content, Slots):
        before = content.plan()
        if before.covers(plan):
            return content
        whole = before.joined(plan)
    else:
        whole = _plan_of(ev, content, plan)
    depth = ev.heap.outermost(owner) if whole.objects else ev.heap.loop_around(owner)
    if depth is not None:
        raise Reslot(depth, owner, whole)
    return Slots.of(ev, content, kind_of(owner), whole)


def _plan_of(ev: Evaluation, content: dict, plan: SlotPlan) -> SlotPlan:
    """A plan that covers what a plain dict holds."""
    for key, value in content.items():
        plan = plan_for(*ev.apart(value), [key]).joined(plan)
    return SlotPlan(tuple(dict.fromkeys((*content, *plan.keys))), plan.form, plan.blanks, plan.moving)


def alike(ev: Evaluation, content: dict, value: Any) -> bool:
    """Whether all items of a plain dict, and another value, could stand in slots of one dict."""
    try:
        _plan_of(ev, content, plan_for(*ev.apart(value), []))
    except CannotRoll:
        return False
    return True


@contextmanager
def changed(ev: Evaluation, owner: dict) -> Iterator[dict]:
    """The plain dict to change in place of `owner`: itself, or a copy that becomes its content."""
    heap = ev.heap
    present = heap.content(owner)
    whole = heap.parent(owner) is None
    if whole and present is owner and heap.owns(owner):
        heap.note_change(owner)
        yield owner
        return
    new = copy.copy(present)
    yield new
    if whole:
        heap.write(owner, new)
    else:
        ev.replace(owner, new)


def before_store(ev: Evaluation, item: Any) -> None:
    """Something is about to be stored into an array or list.

    If it is one of the items of a dict, and data decide which, it must be known as the row of a list.

    Raises:
        Reslot: so that the dict has slots before the loops around.
    """
    picked, owner = ev.heap.picked.get(id(item), (None, {}))
    if picked is item and isinstance(content := _content(ev, owner), dict):
        first = next(iter(content.values()))
        plan = _plan_of(ev, content, plan_for(*ev.apart(first), tuple(content)))
        if (depth := ev.heap.outermost(owner)) is not None and ev.heap.parent(owner) is None and of_known_class(owner):
            raise Reslot(depth, owner, plan)


def _moving(ev: Evaluation, owner: dict, content: Slots) -> Slots:
    """The content of a dict, one of whose keys is about to come or go."""
    return content if ev.heap.owns(owner) else _with_slots(ev, owner, replace(content.plan(), moving=True))


# --- operations ----------------------------------------------------------------------------------


def contains(ev: Evaluation, owner: dict, index: Any) -> Any:
    """`index in owner`."""
    key, content = key_of(ev, index), _content(ev, owner)
    if isinstance(content, Slots):
        return _there(ev, content, _place(ev, content.keys, key))
    return choices.mapped(ev, lambda k: k in content, key) if isinstance(key, Choice) else key in content


def load(ev: Evaluation, owner: dict, index: Any) -> Any:
    """`owner[index]`."""
    key, content = key_of(ev, index), _content(ev, owner)
    if isinstance(owner, defaultdict) and owner.default_factory and not _surely(ev, content, key):
        return set_default(ev, owner, key, ev.call(owner.default_factory))
    return _read(ev, owner, content, key)


def _read(ev: Evaluation, owner: dict, content: Any, key: Any) -> Any:
    """The item by a key, which a dict does not get by this."""
    if isinstance(content, Slots):
        return _item(ev, content, key, *([0] if isinstance(owner, Counter) else []))
    if not isinstance(key, Choice):
        return content[key]
    if isinstance(owner, Counter):
        return choices.mapped(ev, lambda k: content[k], key)
    item = _picked(ev, content, key)
    if has_identity(item) or isinstance(item, Choice):
        ev.heap.picked[id(item)] = item, owner
    return item


def _surely(ev: Evaluation, content: Any, key: Any) -> bool:
    """Whether a dict has a key in all iterations."""
    if isinstance(content, Slots):
        return _there(ev, content, _place(ev, content.keys, key)) is True
    return all(option in content for option in options_of(ev, key))


def _item(ev: Evaluation, content: Slots, key: Any, *otherwise: Any) -> Any:
    """An item of a dict with slots; if the key is not there, something else, or the program fails."""
    place = _place(ev, content.keys, key)
    here = _there(ev, content, place)
    if otherwise:
        return _or(ev, here, lambda: content.item(ev, place), *otherwise)
    if here is False:
        raise KeyError(options_of(ev, key)[0])
    if here is not True:
        failing.note(ev, jnp.logical_not(here), KeyError)
    return content.item(ev, place)


def _or(ev: Evaluation, here: Any, item: Callable[[], Any], otherwise: Any) -> Any:
    if not is_traced(here):
        return item() if here else otherwise
    found = ev.choose(here, item, lambda: otherwise)
    if isinstance(found, Unbound):
        raise CannotRoll(UNLIKE, REMEDY)
    return found


def _picked(ev: Evaluation, content: dict, key: Choice) -> Any:
    """An item of a plain dict by a key that data decide."""
    there = [o for o in options_of(ev, key) if o in content]
    if not there:
        raise KeyError(options_of(ev, key)[0])
    here = choices.mapped(ev, lambda k: k in content, key)
    if is_traced(here) and tables.same(tables.known(ev, here)) is not True:
        failing.note(ev, jnp.logical_not(here), KeyError)
        place = _place(ev, there, key)
        key = Choice(tuple(there), tables.apply(ev, jnp.maximum(place, 0), lambda p: np.maximum(p, 0), place))
    return choices.mapped(ev, lambda k: content[k], key)


def get(ev: Evaluation, owner: dict, index: Any, default: Any = None) -> Any:
    """`owner.get(index, default)`."""
    here = contains(ev, owner, index)

    def item() -> Any:
        return _read(ev, owner, _content(ev, owner), key_of(ev, index))

    if not is_traced(here):
        return item() if here else default
    return _or(ev, here, item, default)


def store(ev: Evaluation, owner: dict, index: Any, value: Any) -> None:
    """`owner[index] = value`."""
    key = key_of(ev, index)
    before = _content(ev, owner)
    if not isinstance(key, Choice) and isinstance(before, Slots) and not _takes(ev, before, value):
        before = _without_rows(ev, owner)
    if not isinstance(key, Choice) and not isinstance(before, Slots):
        with changed(ev, owner) as content:
            content[key] = value
        return
    leaves, form = ev.apart(value)
    content = _with_slots(ev, owner, plan_for(leaves, form, options_of(ev, key)))
    place = _place(ev, content.keys, key)
    here = _there(ev, content, place)
    if here is not True:
        content = _moving(ev, owner, content)
    ev.traced += 1
    _put(ev, owner, content.inserted(place, here).stored(ev, place, value))


def _takes(ev: Evaluation, content: Slots, value: Any) -> bool:
    """Whether a value can be an item of a dict with slots, as the others are."""
    try:
        plan_for(*ev.apart(value), []).joined(content.plan())
    except CannotRoll:
        return False
    return True


def _put(ev: Evaluation, owner: dict, content: Slots) -> None:
    """Make a content that of a dict, unless nothing but rows of its list has changed."""
    if content is not ev.heap.content(owner):
        ev.heap.write(owner, content)


def set_default(ev: Evaluation, owner: dict, index: Any, default: Any = None) -> Any:
    """`owner.setdefault(index, default)`."""
    key = key_of(ev, index)
    if not isinstance(key, Choice) and not isinstance(_content(ev, owner), Slots):
        with changed(ev, owner) as content:
            return content.setdefault(key, default)
    leaves, form = ev.apart(default)
    content = _with_slots(ev, owner, plan_for(leaves, form, options_of(ev, key)))
    place = _place(ev, content.keys, key)
    here = _there(ev, content, place)
    if here is not True:
        content = _moving(ev, owner, content)
        ev.traced += 1
        if here is not False:
            old, _ = ev.apart(content.item(ev, place))
            default = ev.together(form, [jnp.where(here, a, b) for a, b in zip(old, leaves, strict=True)])
        content = content.inserted(place, here).stored(ev, place, default)
        _put(ev, owner, content)
    return content.item(ev, place)


def pop(ev: Evaluation, owner: dict, index: Any, *default: Any) -> Any:
    """`owner.pop(index)` or `owner.pop(index, default)`."""
    key = key_of(ev, index)
    content = _without_rows(ev, owner)
    if not isinstance(key, Choice) and not isinstance(content, Slots):
        with changed(ev, owner) as content:
            return content.pop(key, *default)
    if not isinstance(content, Slots):
        items = [(k, v) for k, v in content.items() if k in options_of(ev, key)]
        if not items:
            if default:
                return default[0]
            raise KeyError(options_of(ev, key)[0])
        content = _with_slots(ev, owner, plan_for(*ev.apart(items[0][1]), options_of(ev, key)))
    if content.rows is not None:
        raise CannotRoll(LEAVES, LEAVES_REMEDY)
    place = _place(ev, content.keys, key)
    here = _there(ev, content, place)
    if here is False and default:
        return default[0]
    was = _item(ev, content, key, *default)
    content = _moving(ev, owner, content)
    ev.traced += 1
    ev.heap.write(owner, content.deleted(place, here))
    return was


def _without_rows(ev: Evaluation, owner: dict) -> Any:
    """The content of a dict; one whose items are rows of a list becomes a plain one, if its keys are known."""
    content = _content(ev, owner)
    if not isinstance(content, Slots) or content.rows is None or not content.known() or not ev.heap.owns(owner):
        return content
    ev.heap.write(owner, content.as_dict(ev))
    return ev.heap.content(owner)


def delete(ev: Evaluation, owner: dict, index: Any) -> None:
    """`del owner[index]`."""
    pop(ev, owner, index)


def clear(ev: Evaluation, owner: dict) -> None:
    """`owner.clear()`, of a dict with slots."""
    if isinstance(_without_rows(ev, owner), dict):
        ev.heap.write(owner, kind_of(owner)())
        return
    if _content(ev, owner).rows is not None:
        raise CannotRoll(LEAVES, LEAVES_REMEDY)
    content = _moving(ev, owner, _content(ev, owner))
    ev.heap.write(owner, replace(content, stamps=np.full(len(content.keys), -1), count=0))


def update(ev: Evaluation, owner: dict, *others: Any, **items: Any) -> None:
    """`owner.update(others, **items)`."""
    for other in [*others, items]:
        pairs = mapping(ev, other)
        if isinstance(pairs, Mapping) and not isinstance(pairs, dict):
            pairs = dict(pairs)
        if isinstance(owner, Counter):
            for key, value in pairs.items() if isinstance(pairs, dict) else [(k, 1) for k in ev.iterate(pairs)]:
                store(ev, owner, key, ev.binary("Add", load(ev, owner, key), value))
            continue
        for key, value in pairs.items() if isinstance(pairs, dict) else map(ev.iterate, ev.iterate(pairs)):
            store(ev, owner, key, value)


def together(ev: Evaluation, content: Slots) -> dict:
    """A new dict with slots."""
    owner = content.kind()
    ev.heap.allocate(owner)
    ev.heap.write(owner, content)
    return owner


def copied(ev: Evaluation, content: Slots) -> dict:
    """A new dict with the same items."""
    if content.rows is None:
        return together(ev, content)
    return ev.heap.allocate(content.as_dict(ev))


def display(ev: Evaluation, *pairs: tuple[Any, Any] | tuple[Any]) -> dict:
    """`{key: value, **other, ...}`; an other one stands by itself."""
    made: dict = ev.heap.allocate({})
    for pair in pairs:
        if len(pair) == 2:
            store(ev, made, *pair)
            continue
        (other,) = pair
        content = _content(ev, other) if isinstance(other, dict) else other
        if isinstance(content, Slots) and content.rows is None and not length(ev, made):
            made = together(ev, replace(content, kind=dict))
        else:
            update(ev, made, other)
    return made


def length(ev: Evaluation, owner: dict) -> Any:
    """`len(owner)`."""
    content = ev.heap.content(owner)
    return content.length() if isinstance(content, Slots) else len(content)


def give_slots(ev: Evaluation, owner: dict, plan: SlotPlan) -> None:
    """Give a dict slots before a branch that changes its keys."""
    ev.heap.write(owner, Slots.of(ev, ev.heap.content(owner), kind_of(owner), plan))


def take_slots(ev: Evaluation, owner: dict, before: Any) -> None:
    """Let a dict of arrays or lists hold again what it held before it was given slots."""
    given = ev.heap.peek(owner)
    if isinstance(given, Slots) and given.rows is not None:
        ev.heap.no_longer_rows(given.rows.token)
    ev.heap.write(owner, before)


def mapping(ev: Evaluation, value: Any) -> Any:
    """What a dict holds now, as a dict of Python's; other values as they are."""
    content = _content(ev, value) if isinstance(value, dict) else value
    return content.as_dict(ev) if isinstance(content, Slots) else content
