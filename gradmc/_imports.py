"""Imports without a search for garbage meanwhile: modules make hundreds of thousands of objects and hardly any garbage.

Python looks for garbage the more often the more objects are made; that was a sixth of the time that importing JAX took.
"""

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def importing() -> Iterator[None]:
    """No search for garbage, unless another thread begins one."""
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()


def load(name: str) -> ModuleType:
    """Import a module by its name."""
    with importing():
        return importlib.import_module(name)
