"""Functions of numba and autograd stand for those that they are made of; neither library is needed."""

import functools
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.frontend.laws import agree


class Dispatcher:
    """Like what `numba.njit` makes of a function."""

    def __init__(self, function: Any) -> None:
        self.py_func = function

    def __call__(self, *args: Any) -> Any:
        return self.py_func(*args)


Dispatcher.__module__ = "numba.core.registry"


class prange:  # noqa: N801
    """Like `numba.prange`."""

    def __new__(cls, *args: int) -> range:  # type: ignore[misc]
        return range(*args)


def primitive(raw: Any) -> Any:
    """Like `autograd.tracer.primitive`."""
    scope: dict[str, Any] = {"__name__": "autograd.tracer"}
    exec("def make(raw):\n    def wrapped(*args):\n        return raw(*args)\n    return wrapped", scope)
    made = scope["make"](raw)
    made.fun = raw
    return made


@Dispatcher
def squares(x, a):
    s = 0.0
    for i in prange(len(x)):
        s += (x[i] - a) ** 2
    return s


exp = primitive(np.exp)


def program(a, *, x):
    return squares(x, a) + np.sum(exp(a * x))


def test_dispatchers_and_primitives(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = ModuleType("numba")
    numba.prange = prange  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numba", numba)
    agree(program, (0.4,), {"x": np.arange(12.0) / 10})


def twice(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 2 * function(*args, **kwargs)

    return wrapper


@twice
def scaled(a, y):
    return a * y


class Frame:
    def __init__(self, a: Any) -> None:
        self.a = a

    @functools.cached_property
    def double(self) -> Any:
        return self.a * np.exp(self.a)


def decorated(a, *, x):
    frame = Frame(a)
    return frame.double + frame.double * sum(scaled(a, v) for v in x) + functools.partial(scaled, y=2.0)(a)


def test_wraps_partial_and_cached_properties() -> None:
    agree(decorated, (0.4,), {"x": np.arange(12.0) / 10})
