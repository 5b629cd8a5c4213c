"""Functions of numpy and scipy that JAX has again under the same name, looked up by the function itself."""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.lpdf._special import log_beta
from gradmc.program.exact import is_hashable

NAMESPACES: dict[str, str] = {
    "numpy": "jax.numpy",
    "numpy.linalg": "jax.numpy.linalg",
    "numpy.fft": "jax.numpy.fft",
    "scipy.special": "jax.scipy.special",
    "scipy.linalg": "jax.scipy.linalg",
    "scipy.stats": "jax.scipy.stats",
    "scipy.fft": "jax.scipy.fft",
    "scipy.integrate": "jax.scipy.integrate",
    "scipy.ndimage": "jax.scipy.ndimage",
    "scipy.signal": "jax.scipy.signal",
    "scipy.cluster.vq": "jax.scipy.cluster.vq",
}
"""Modules whose functions JAX has again, in a module of its own, each under the same name."""

RENAMED: dict[str, dict[str, str]] = {
    "numpy": {"asanyarray": "asarray", "ascontiguousarray": "atleast_1d"},
    "scipy.special": {"psi": "digamma"},
}
"""Functions that JAX has under another name."""

DIFFERENT: dict[str, frozenset[str]] = {
    "numpy": frozenset(["roots", "polydiv", "printoptions", "set_printoptions", "get_printoptions"]),
    "scipy.linalg": frozenset(["hankel"]),
}
"""Functions that JAX means otherwise: another order or shape of the result, or nothing that is computed."""

OURS: dict[str, dict[str, Callable[..., Any]]] = {
    "scipy.special": {
        "betaln": log_beta,
        "beta": lambda a, b: jnp.exp(log_beta(a, b)),
        "exp10": lambda x: jnp.power(10.0, x),
        "log_expit": lambda x: -jnp.logaddexp(0.0, -x),
        **{name: getattr(jnp, name) for name in ("cbrt", "exp2", "expm1", "log1p")},
    },
}
"""Functions that are more accurate here than in JAX, or that JAX has elsewhere."""


@functools.cache
def _namespace(name: str) -> dict[Any, Callable[..., Any]]:
    """The functions of one module that JAX has, and JAX's."""
    library, jaxs = vars(sys.modules[name]), vars(importlib.import_module(NAMESPACES[name]))
    renamed = RENAMED.get(name, {})
    names = {key: renamed.get(key, key) for key in library if not key.startswith("_")}
    pairs = {key: jaxs[other] for key, other in names.items() if other in jaxs} | OURS.get(name, {})
    wanted = [key for key in sorted(pairs.keys() - DIFFERENT.get(name, frozenset())) if _computes(library[key])]
    # Of several names of one function (`np.permute_dims is np.transpose`) its own counts.
    wanted.sort(key=lambda key: key == getattr(library[key], "__name__", ""))
    return {library[key]: pairs[key] for key in wanted}


def _computes(function: Any) -> bool:
    """Whether an object of a module computes something: a function, or a type of numbers."""
    if isinstance(function, type):
        return issubclass(function, np.number | np.bool_) and function.__module__ == "numpy" and _is_number(function)
    return (
        callable(function)
        and is_hashable(function)
        and not hasattr(function, "logpdf")
        and not hasattr(function, "logpmf")
    )


def _is_number(kind: type) -> bool:
    return (
        kind not in (np.number, np.integer, np.inexact, np.floating, np.complexfloating) and not kind.__subclasses__()
    )


def jaxs(function: Any) -> Callable[..., Any] | None:
    """JAX's own form of a function of numpy or scipy; None if it has none."""
    if not is_hashable(function):
        return None
    for name in NAMESPACES:
        if name in sys.modules and function in _namespace(name):
            return _namespace(name)[function]
    return None
