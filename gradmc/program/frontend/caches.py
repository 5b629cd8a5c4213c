"""Functions under `functools.lru_cache`: what they have returned for the same arguments is returned again.

Without this a recursion that its cache makes short (Fibonacci's numbers) would be traced in full. Traced arguments are
the same if they are the same object. What was computed in a loop's body or on the side of a branch is known there only.
"""

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced

CACHED = type(functools.lru_cache(len))


@dataclass(eq=False, slots=True)
class Cache:
    """What one function has returned.

    Attributes:
        function: it.
        found: by arguments: the frame in which it was called, the arguments (to keep them alive), and the result.
    """

    function: Any
    found: dict[Hashable, tuple[Any, Any, Any]] = field(default_factory=dict)


def called(ev: Evaluation, function: Any, target: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call a cached function by way of its converted form `target`."""
    key = tuple(map(_key, (*args, *kwargs, *kwargs.values())))
    try:
        hash(key)
    except TypeError:
        return target(*args, **kwargs)
    cache = ev.caches.setdefault(id(function), Cache(function))
    entry = cache.found.get(key)
    if entry is not None and _still_known(ev, entry[0]):
        return entry[2]
    place = (ev.heap.frames[-1] if ev.heap.frames else None, ev.given[-1] if ev.given else None)
    result = target(*args, **kwargs)
    cache.found[key] = (place, (args, kwargs), result)
    return result


def _key(value: Any) -> Any:
    return ("traced", id(value)) if is_traced(value) else value


def _still_known(ev: Evaluation, place: tuple[Any, Any]) -> bool:
    """Whether the body in which a result was computed is still being traced."""
    frame, given = place
    in_frame = frame is None or any(frame is f for f in ev.heap.frames)
    return in_frame and (given is None or any(given is g for g in ev.given))
