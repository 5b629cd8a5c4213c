"""What library functions keep of what they are given: `T(y, 1.0)` of a named tuple, `deque([y])`, `itertools.chain`.

They are given present contents (`library_calls.present`), and an array that has been stored into is another one than
its content is. What they return, and what their owner holds then, has the array again in place of its content: who
stores into one stores into the other, as in Python.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

from gradmc.program.frontend.heap import TOKENS
from gradmc.program.frontend.identity import PLAIN, shared_always

COMPUTING = frozenset(
    ["numpy", "scipy", "jax", "jaxlib", "numpyro", "math", "cmath", "statistics", "pandas", "gradmc", "fractions"]
)
"""Modules whose functions compute: what they return is new, or is told by its function (`library_calls`)."""


@dataclass(eq=False, slots=True)
class Kept:
    """The arrays, lists and dicts of which a library function is given contents.

    Attributes:
        computing: whether the function computes, so that it keeps nothing and takes lists of lists for arrays.
        given: by the id of a content the content, and whose it is.
        clear: whether each content belongs to one of them.
    """

    computing: bool
    given: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    clear: bool = True

    def note[T](self, token: Any, content: T) -> T:
        """Note that the function sees `content` for a token; returns the content."""
        if content is not token and isinstance(content, TOKENS):
            known = self.given.setdefault(id(content), (content, token))
            self.clear = self.clear and known[1] is token
        return content

    def restored(self, function: Callable[..., Any], result: Any) -> Any:
        """The result of a function, with arrays in place of their contents; likewise in the object it is a method of.

        Raises:
            CannotRoll: a content is that of two arrays.
        """
        if not self.given or self.computing:
            return result
        owner = getattr(function, "__self__", None)
        if owner is not None and not isinstance(owner, (ModuleType, type, *TOKENS)):
            self._restored(owner, {})
        return self._restored(result, {})

    def _restored(self, value: Any, done: dict[int, Any]) -> Any:
        if type(value) in PLAIN or id(value) in done:
            return value
        if id(value) in self.given:
            if not self.clear:
                raise shared_always()
            return self.given[id(value)][1]
        done[id(value)] = value
        if isinstance(value, Iterator):
            return (self._restored(item, {}) for item in value)
        if isinstance(value, tuple | list | dict | deque | MappingProxyType):
            return self._inside(value, done)
        if isinstance(value, functools.partial):
            args, named = self._restored(value.args, done), self._restored(dict(value.keywords), done)
            same = all(
                a is b for a, b in zip((*args, *named.values()), (*value.args, *value.keywords.values()), strict=True)
            )
            return value if same else functools.partial(value.func, *args, **named)
        self._attributes(value, done)
        return value

    def _inside(self, value: Any, done: dict[int, Any]) -> Any:
        """A container with its items restored: itself if it can be changed."""
        mapping = isinstance(value, dict | MappingProxyType)
        items = list(value.items() if mapping else enumerate(value))
        changed = {key: new for key, item in items if (new := self._restored(item, done)) is not item}
        if not changed:
            return value
        if isinstance(value, MappingProxyType):
            return MappingProxyType({**value, **changed})
        if isinstance(value, tuple):
            new = [changed.get(key, item) for key, item in items]
            return tuple.__new__(type(value), new)
        for key, item in changed.items():
            value[key] = item
        return value

    def _attributes(self, value: Any, done: dict[int, Any]) -> None:
        """Restore the attributes of an object."""
        if isinstance(value, (type, ModuleType, *TOKENS)) or callable(value) or module_of(type(value)) in COMPUTING:
            return
        names = [name for kind in type(value).__mro__ for name in _slots(kind)]
        for name in (*vars(value), *names) if hasattr(value, "__dict__") else names:
            item = getattr(value, name, None)
            if (new := self._restored(item, done)) is not item:
                object.__setattr__(value, name, new)


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(s for s in slots if s not in ("__dict__", "__weakref__"))


def module_of(function: Any) -> str:
    """The package a function, or the type of what is called, is from."""
    kind = function if isinstance(getattr(function, "__module__", None), str) else type(function)
    return str(kind.__module__).split(".")[0]
