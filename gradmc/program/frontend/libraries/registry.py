"""What library functions do to traced values: one table, keyed by the function itself.

A name says little: `numpy.emath.sqrt` is not `numpy.sqrt`, `math.remainder` is not `numpy.remainder`. Each library that
a program can have imported has a module here (`MODULES`), with

    TABLE      function: what to call in its place when an argument is traced
    GIVEN      functions that are given functions of the user's, and what to call in their place, with the evaluation
               first: the values that those close over may be traced, whatever the other arguments are
    OBJECTS    type of an object that can be called (a spline made of data): from the object, what to call in its place
    METHODS    type of an object: from the object and its bound method, what to call in its place
    FOLLOWED   names of modules whose functions are compiled along like the user's own

An entry that needs the evaluation (it notes where the program fails, or calls functions of the user's) is `Evaluated`.
A module is imported when a program calls a function of its library. What JAX mirrors under the same name stands in
`mirrored`.
"""

import importlib
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from gradmc.program.exact import is_hashable
from gradmc.program.frontend.libraries.evaluated import Evaluated
from gradmc.program.frontend.libraries.mirrored import jaxs

HERE = "gradmc.program.frontend.libraries"
MODULES: dict[str, tuple[str, ...]] = {
    "math": ("standard_library",),
    "cmath": ("standard_library",),
    "statistics": ("standard_library",),
    "_bisect": ("standard_library",),
    "numpy": ("numpy_arrays", "numpy_polynomial"),
    "scipy.special": ("scipy_special",),
    "scipy.linalg": ("scipy_linalg",),
    "scipy.sparse": ("scipy_sparse",),
    "scipy.spatial": ("scipy_spatial",),
    "scipy.stats": ("scipy_stats",),
    "scipy._external": ("scipy_stats",),
    "scipy._lib": ("scipy_stats",),
    "scipy.integrate": ("scipy_integrate",),
    "scipy.interpolate": ("scipy_interpolate",),
    "scipy.optimize": ("scipy_optimize",),
    "scipy.signal": ("scipy_signal",),
    "scipy.ndimage": ("scipy_signal",),
}
"""The modules here that know a library's functions."""


def library_of(function: Any) -> str:
    """The library that a function, a method or an object is of; empty for none that is known."""
    owner = getattr(function, "__self__", None)
    places = [getattr(function, "__module__", None), type(function).__module__, type(owner).__module__]
    if isinstance(function, np.ufunc):
        places = ["numpy" if getattr(np, function.__name__, None) is function else "scipy.special"]
    for place in filter(None, places):
        for name in MODULES:
            if place == name or place.startswith(f"{name}."):
                return name
        if place.split(".")[0] in ("numpy", "scipy"):
            return place.split(".")[0]
    return ""


def _modules(function: Any) -> Iterator[ModuleType]:
    for module in MODULES.get(library_of(function), ()):
        yield importlib.import_module(f"{HERE}.{module}")


def find(function: Any) -> Callable[..., Any] | Evaluated | None:
    """What to call in place of a library function when an argument is traced; None: nothing is known."""
    owner = getattr(function, "__self__", None)
    for module in _modules(function):
        if is_hashable(function) and (found := module.TABLE.get(function)) is not None:
            return found
        for kind, makes in getattr(module, "OBJECTS", {}).items():
            if isinstance(function, kind):
                return makes(function)
        for kind, makes in getattr(module, "METHODS", {}).items():
            if isinstance(owner, kind) and (found := makes(owner, function)) is not None:
                return found
    return jaxs(function)


def given_functions(function: Any) -> Callable[..., Any] | None:
    """What to call in place of a library function that is given functions of the user's, the evaluation first."""
    if not is_hashable(function) or library_of(function) not in ("scipy.integrate", "scipy.optimize"):
        return None
    for module in _modules(function):
        if (found := getattr(module, "GIVEN", {}).get(function)) is not None:
            return found
    return None


OWN = frozenset({"gradmc.program.marginalization", "gradmc.program.imputing"})
"""Modules of gradmc whose functions are written as a user would write them."""


def followed(function: FunctionType) -> bool:
    """Whether a library's function is compiled along like the user's own."""
    place = function.__module__ or ""
    if place in OWN:
        return True
    if place.split(".")[0] not in ("scipy", "numpy"):
        return False
    return any(place in getattr(module, "FOLLOWED", ()) for module in _modules(function))
