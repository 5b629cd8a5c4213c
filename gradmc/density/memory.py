"""A memory of what was made before."""

import contextlib
from collections.abc import Callable, Hashable
from typing import Any


class Memory:
    """Things by key, each made once."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def holds(self, key: Hashable) -> bool:
        """Whether something was made for this key."""
        try:
            return key in self._made
        except TypeError:
            return False

    def remember[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave for this key, now or before; what cannot be a key is made anew."""
        if self.holds(key):
            return self._made[key]
        made = make()
        with contextlib.suppress(TypeError):
            self._made[key] = made
        return made
