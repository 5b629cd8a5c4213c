"""A memory of what was made before."""

import contextlib
from collections.abc import Callable, Hashable
from typing import Any

from gradmc.density.kept import Shelf


class Memo:
    """Things by key, each made once.

    Args:
        shelf: where compiled code is kept for other processes; None where it is not.
    """

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.shelf = shelf
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
