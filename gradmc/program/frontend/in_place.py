"""Library functions that change what they are given: heapq.heappush, numpy's out=, ndarray.partition, ...

They change contents as they find them. Outside of loops and branches that is all there is to it. Inside of one, where a
body is traced once or on both sides, contents are compared before and after the call, and what has changed is put back
and stored as by a subscript.
"""

import bisect
import heapq
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.exact import is_hashable
from gradmc.program.frontend import dicts, lasting
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.stores import replace
from gradmc.program.frontend.values import CannotRoll, any_traced, is_array

NEVER = ("math", "cmath", "statistics", "jax", "builtins", "itertools", "fractions", "decimal", "gradmc", "numpyro")
"""Modules whose functions change nothing that they are given."""
ARRAYS = ("numpy", "scipy")
"""Modules whose functions change nothing but arrays, and those only where they are told to."""
TOLD = ("out", "copy", "overwrite_a", "overwrite_b", "overwrite_x", "overwrite_ab", "overwrite_data")
FEW = 2
"""Arguments of such functions among which none is `out`."""
KEEPING_ORDER = frozenset(
    [
        heapq.heappush,
        heapq.heappop,
        heapq.heapify,
        heapq.heapreplace,
        heapq.heappushpop,
        bisect.insort,
        bisect.insort_left,
    ]
)
"""Functions that keep a list in order, as they find it."""
CHANGE = "a list is kept in order by heapq or bisect, and what is in it is not known while compiling"
REMEDY = "Keep data in order so, numbers or tuples of numbers; for what depends on parameters take sorted, min or max."


def followed(ev: Evaluation, function: Any, args: Iterable[Any], told: Iterable[str], call: Callable[[], Any]) -> Any:
    """The result of a call, whose changes of its arguments become stores.

    Args:
        ev: the evaluation.
        function: what is called.
        args: what it is given, by place and by name.
        told: the names of the latter.
        call: calls it.

    Raises:
        CannotRoll: what it changes by depends on parameters, or on where in a loop it is called.
    """
    args = list(args)
    if is_hashable(function) and function in KEEPING_ORDER and args and type(args[0]) is list:
        return _kept_in_order(ev, function, args, dict(zip(reversed([*told]), reversed(args), strict=False)))
    if not ev.heap.frames or not _may_change(function, args, told):
        return call()
    watched = [(owner, content, content.copy()) for owner, content in _contents(ev, args)]
    result = call()
    for owner, content, before in watched:
        if _differ(content, before):
            now = content.copy()
            _put_back(content, before)
            _store(ev, owner, now)
            result = owner if result is content else result
    return result


def into(ev: Evaluation, function: Any, args: tuple, kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
    """`function(*args, out=x)` of numpy where something is traced: computed, and stored into `x`, which is returned.

    None where there is no such `out`.
    """
    count = function.nin if isinstance(function, np.ufunc) else len(args)
    out = kwargs.get("out", args[count] if len(args) == count + 1 else None)
    out = out[0] if type(out) is tuple and len(out) == 1 else out
    if _module(function) != "numpy" or not is_array(out) or "where" in kwargs:
        return None
    options = {name: value for name, value in kwargs.items() if name != "out"}
    if not any_traced([ev.heap.content(v) for v in (*args, *options.values(), out)]):
        return None
    content, result = ev.heap.content(out), jnp.asarray(ev.heap.content(call(*args[:count], **options)))
    if not np.can_cast(result.dtype, content.dtype, "same_kind"):
        raise TypeError(f"Cannot cast output from {result.dtype} to {content.dtype} with casting rule 'same_kind'")
    if np.broadcast_shapes(result.shape, content.shape) != content.shape:
        raise ValueError(f"an output of shape {content.shape} cannot take a result of shape {result.shape}")
    lasting.refuse(ev, out, result)
    replace(ev, out, jnp.broadcast_to(result, content.shape).astype(content.dtype))
    return out


def _kept_in_order(ev: Evaluation, function: Any, args: list[Any], named: dict[str, Any]) -> Any:
    """A function of heapq or bisect that changes a list, whose items are known."""
    owner, *others = args[: len(args) - len(named)]
    content = ev.heap.content(owner)
    if any_traced([content, *args]) or not _is_plain(content):
        raise CannotRoll(CHANGE, REMEDY)
    now = list(content)
    result = function(now, *others, **named)
    if ev.heap.frames:
        _store(ev, owner, now)
    else:
        lasting.refuse(ev, owner, others)
        ev.heap.note_change(owner)
        content[:] = now
    return result


def _is_plain(content: Any) -> bool:
    if type(content) is not list:
        return False
    parts = [part for item in content for part in (item if isinstance(item, tuple) else (item,))]
    return not any(isinstance(part, list | dict | np.ndarray) for part in parts)


def _module(function: Any) -> str:
    kind = function if isinstance(getattr(function, "__module__", None), str) else type(function)
    return str(kind.__module__).split(".")[0]


def _may_change(function: Any, args: list[Any], told: Iterable[str]) -> bool:
    module = _module(function)
    if module in ARRAYS:
        few = function.nin if isinstance(function, np.ufunc) else FEW
        return len(args) > few or any(name in TOLD for name in told)
    return module not in NEVER


def _contents(ev: Evaluation, args: list[Any]) -> list[tuple[Any, Any]]:
    """Arguments that can be changed, with their contents as a library function finds them."""
    owners = {id(a): a for a in args if isinstance(a, list | dict | np.ndarray)}
    found = [(owner, ev.heap.content(owner)) for owner in owners.values()]
    return [
        (owner, content)
        for owner, content in found
        if type(content) in (list, dict) or (isinstance(content, np.ndarray) and content.flags.writeable)
    ]


def _differ(now: Any, before: Any) -> bool:
    if isinstance(now, np.ndarray):
        return now.tobytes() != before.tobytes()
    if isinstance(now, dict):
        return list(now) != list(before) or any(a is not b for a, b in zip(now.values(), before.values(), strict=True))
    return len(now) != len(before) or any(map(operator.is_not, now, before))


def _put_back(content: Any, before: Any) -> None:
    if isinstance(content, np.ndarray):
        content[...] = before
    elif isinstance(content, dict):
        content.clear()
        content.update(before)
    else:
        content[:] = before


def _store(ev: Evaluation, owner: Any, now: Any) -> None:
    lasting.refuse(ev, owner, now)
    if isinstance(owner, dict):
        with dicts.changed(ev, owner) as content:
            _put_back(content, now)
    elif isinstance(owner, list):
        ev.heap.rebind(owner)
        ev.heap.write(owner, Listing.of(now))
    else:
        replace(ev, owner, now)
