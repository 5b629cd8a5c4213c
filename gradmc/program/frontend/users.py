"""Whose a function is: the user's own, or a library's."""

import functools
import os
import sys
import sysconfig
from pathlib import Path
from types import FunctionType

import jax
import numpy as np


@functools.cache
def _libraries() -> tuple[str, ...]:
    places = sysconfig.get_paths()
    roots = {places[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots |= {str(Path(m.__file__).parent) for m in (jax, np) if m.__file__}
    roots.add(str(Path(__file__).parents[2]))
    return tuple(f"{root}{os.sep}" for root in roots)  # another folder may begin with the same name


def is_users(function: FunctionType) -> bool:
    """Whether a function is the user's own: not the standard library's, not an installed package's."""
    name = function.__code__.co_filename
    if name.startswith((*_libraries(), "<frozen")):
        return False
    return (function.__module__ or "").split(".")[0] not in sys.stdlib_module_names or function.__module__ == "__main__"
