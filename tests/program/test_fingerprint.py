"""Fingerprints: equal for what computes the same, other for every change that a trace would see, none where unsure."""

import functools
import math
import os
import random
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats import norm

from gradmc.program.fingerprint import fingerprint

SCALE = 2.0
TABLE = [1.0, 2.0]
NAMES = {"a": 1, "b": [1, 2]}
ARRAY = np.arange(3.0)


class Prior:
    """An instance among the globals."""

    width = 3.0

    def __init__(self) -> None:
        self.mean = 1.0

    def at(self, x: float) -> float:
        return (x - self.mean) / self.width


class Slotted:
    __slots__ = ("mean",)

    def __init__(self) -> None:
        self.mean = 1.0


PRIOR, SLOTTED = Prior(), Slotted()
HELPERS = types.ModuleType("helpers_of_a_user")
HELPERS.__file__ = "/home/user/helpers.py"
HELPERS.rate = 1.5  # type: ignore[attr-defined]


def helper(x: float, power: float = 2.0) -> float:
    return SCALE * x**power


helper.rate = 1.0  # type: ignore[attr-defined]


def program(x: float) -> float:
    inner = [helper(v) + norm.logpdf(v) + stats.gamma.logpdf(v, 2) for v in TABLE]
    return math.exp(x) * np.sum(ARRAY) + sum(inner) + PRIOR.at(x) + SLOTTED.mean + HELPERS.rate + NAMES["a"]


def closed_over(k: Any) -> Callable[..., Any]:
    def inner(x: float) -> float:
        return x * k

    return inner


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a number": lambda patch: patch.setitem(globals(), "SCALE", 2.5),
    "its type": lambda patch: patch.setitem(globals(), "SCALE", 2),
    "an entry": lambda patch: patch.setitem(globals(), "TABLE", [1.0, 3.0]),
    "another entry": lambda patch: patch.setattr(sys.modules[__name__], "TABLE", [*TABLE, 1.0]),
    "an entry within": lambda patch: patch.setitem(NAMES, "b", [1, 3]),
    "an array's element": lambda patch: patch.setitem(globals(), "ARRAY", np.array([0, 1, 2 + 1e-12])),
    "an attribute": lambda patch: patch.setattr(PRIOR, "mean", 2.0),
    "a slot": lambda patch: patch.setattr(SLOTTED, "mean", 2.0),
    "a class's attribute": lambda patch: patch.setattr(Prior, "width", 2.0),
    "a method": lambda patch: patch.setattr(Prior, "at", lambda self, x: x),
    "a module's attribute": lambda patch: patch.setattr(HELPERS, "rate", 1.0),
    "a default": lambda patch: patch.setattr(helper, "__defaults__", (3.0,)),
    "a function's code": lambda patch: patch.setattr(helper, "__code__", (lambda x, power=2.0: x).__code__),
    "a function's attribute": lambda patch: patch.setattr(helper, "rate", 2.0),
    "another function": lambda patch: patch.setitem(globals(), "helper", closed_over(1.0)),
    "a library's function": lambda patch: patch.setitem(globals(), "norm", stats.t),
}


def test_nothing_changed() -> None:
    assert fingerprint(program) is not None
    assert fingerprint(program) == fingerprint(program)
    hash(fingerprint(program))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_shows(change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(program)
    change(monkeypatch)
    assert fingerprint(program) != before
    monkeypatch.undo()
    assert fingerprint(program) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ([1], (1,)),
        (np.float64(1), 1.0),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.array([1, "a"], object), np.array([1, "b"], object)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (1j, 1j + 1),
        (closed_over(1.0), closed_over(2.0)),
        (functools.partial(helper, power=1), functools.partial(helper, power=3)),
        (functools.lru_cache(closed_over(1)), functools.lru_cache(closed_over(2))),
    ],
)
def test_unlike_things(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_like_things() -> None:
    assert fingerprint(closed_over([1.0])) == fingerprint(closed_over([1.0]))
    assert fingerprint({"y": np.arange(5)}) == fingerprint({"y": np.arange(5)})
    nan = float("nan")
    assert fingerprint(nan) == fingerprint(nan)


def test_what_holds_itself() -> None:
    cycle: list[Any] = [1.0]
    cycle.append(cycle)
    assert fingerprint(cycle) == fingerprint(cycle) is not None


def by_name(x: float) -> float:
    return x * getattr(HELPERS, "ra" + "te")


def by_globals(x: float) -> float:
    return x * globals()["SCALE"]


def by_clock(x: float) -> float:
    return x * time.time()


def by_chance(x: float) -> float:
    return x * random.random()


def by_numpys_chance(x: float) -> float:
    return x * np.random.uniform()


def by_frozen_chance(x: float) -> float:
    return x * stats.norm(0, 1).rvs()


def by_environment(x: float) -> float:
    return x * len(os.environ)


def by_import(x: float) -> float:
    import datetime

    return x * datetime.datetime.now().year


def by_file(x: float) -> float:
    with open("scale") as file:
        return x * float(file.read())


def by_numpys_file(x: float) -> float:
    return x * float(np.loadtxt("scale"))


@pytest.mark.parametrize(
    "fn",
    [
        *(by_name, by_globals, by_clock, by_chance, by_numpys_chance, by_frozen_chance, by_environment, by_import),
        *(by_file, by_numpys_file, closed_over(np.random.default_rng(1)), closed_over(iter([1.0])), closed_over(time)),
    ],
    ids=lambda fn: fn.__name__,
)
def test_none_where_unsure(fn: Callable[..., Any]) -> None:
    assert fingerprint(fn) is None
