"""What is known of the libraries, by their public names: the lists in docs/libraries.md are made of it."""

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from scipy.stats import rv_discrete
from scipy.stats._distn_infrastructure import rv_generic

from gradmc.program.frontend.libraries import registry, scipy_stats
from gradmc.program.frontend.libraries.evaluated import Evaluated

LIBRARIES = (
    "math", "cmath", "statistics", "bisect",
    "numpy", "numpy.linalg", "numpy.fft", "numpy.emath", "numpy.polynomial", "numpy.polynomial.polynomial",
    "numpy.polynomial.chebyshev", "numpy.polynomial.hermite", "numpy.polynomial.hermite_e",
    "numpy.polynomial.laguerre", "numpy.polynomial.legendre",
    "scipy.special", "scipy.linalg", "scipy.sparse", "scipy.spatial.distance", "scipy.stats", "scipy.integrate",
    "scipy.interpolate", "scipy.optimize", "scipy.signal", "scipy.ndimage", "scipy.fft",
)  # fmt: skip
"""Modules whose public names are looked up."""

OF_LAWS = ("cdf", "logcdf", "sf", "logsf", "ppf", "isf")
LOG_DENSITIES = ("logpdf", "logpmf")
"""Methods of laws."""

NOT_COMPUTED = frozenset([
    "array_repr", "array_str", "array2string", "save", "savez", "load", "fromfile", "fromfunction", "fromstring",
    "frompyfunc", "array_equal", "array_equiv", "from_dlpack", "frombuffer", "fromiter", "mode",
])  # fmt: skip
"""Names that JAX has too, but that compute nothing of parameters."""


def catalogue() -> dict[str, list[str]]:
    """For each library the public names of the functions that take traced values, sorted.

    Laws of one number have the log density and all of `OF_LAWS` but those that are named; of others the methods stand
    beside them.
    """
    return {name: sorted(_known(_module(name))) for name in LIBRARIES}


def _module(name: str) -> ModuleType:
    return np.emath if name == "numpy.emath" else importlib.import_module(name)


def _known(module: ModuleType) -> Iterator[str]:
    for name in _public(module):
        value = getattr(module, name)
        if hasattr(value, "logpdf") or hasattr(value, "logpmf"):
            yield from _law(name, value)
        elif callable(value) and name not in NOT_COMPUTED and _is_computed(value):
            yield name


def _public(module: ModuleType) -> list[str]:
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return [name for name in names if not isinstance(getattr(module, name, None), ModuleType | None)]


def _is_computed(value: Any) -> bool:
    if isinstance(value, type) and not issubclass(value, np.number | np.bool_):
        return _makes_objects(value)
    return _found(value) is not None


def _makes_objects(kind: type) -> bool:
    """Whether objects of a type can be called with traced values, or made of them."""
    for modules in registry.MODULES.values():
        for place in modules:
            module = importlib.import_module(f"{registry.HERE}.{place}")
            kinds = [*getattr(module, "OBJECTS", {}), *getattr(module, "METHODS", {}), *module.TABLE]
            if any(isinstance(known, type) and issubclass(kind, known) for known in kinds):
                return True
    return False


def _found(value: Any) -> Callable[..., Any] | Evaluated | None:
    return registry.given_functions(value) or registry.find(value)


def _law(name: str, law: Any) -> Iterator[str]:
    if isinstance(law, rv_generic):
        if scipy_stats.has_formula(law, "logpmf" if isinstance(law, rv_discrete) else "logpdf"):
            missing = [m for m in OF_LAWS if not scipy_stats.has_formula(law, m)]
            yield f"{name} (without {', '.join(missing)})" if missing else name
    else:
        methods = [m for m in LOG_DENSITIES if hasattr(law, m) and _found(getattr(law, m)) is not None]
        if methods:
            yield f"{name} ({', '.join(methods)})"


def tables() -> str:
    """The lists as Markdown: a heading and a paragraph for each library."""
    return "\n\n".join(f"## {library}\n\n{', '.join(map(_code, names))}" for library, names in catalogue().items())


def _code(entry: str) -> str:
    name, *rest = entry.split(" ", 1)
    return " ".join([f"`{name}`", *rest])
