"""Imports without a search for garbage meanwhile: modules make hundreds of thousands of objects and hardly any garbage.

Python looks for garbage the more often the more objects are made; that was a sixth of the time that importing JAX took.
What a module has made counts for old from the beginning, so that the next search among young objects passes it by.
"""

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

FROZEN = 1_000
"""Python itself sets some hundred objects aside from searches; where there are more, a program did: they stay so."""


@contextmanager
def importing() -> Iterator[None]:
    """No search for garbage, unless another thread begins one."""
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            if gc.get_freeze_count() < FROZEN:
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()


def load(name: str) -> ModuleType:
    """Import a module by its name."""
    with importing():
        return importlib.import_module(name)
