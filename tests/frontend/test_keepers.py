"""What library functions keep of what they are given is the object itself: a store into one is seen by the other."""

import collections
import dataclasses
import functools
import itertools
import operator
import types
import typing
from typing import Any

import numpy as np
import pytest

from tests.frontend.grammar import compiled
from tests.frontend.laws import agree

X = np.array([0.3, -0.7, 1.1, 2.0, -0.2, 0.6])
ARGS = (0.7, -0.4, np.linspace(-1.0, 1.5, 6))

Pair = collections.namedtuple("Pair", "a b")


class Typed(typing.NamedTuple):
    a: Any
    b: Any


class Listed(list):
    pass


class Keyed(dict):
    pass


class Kind(type):
    pass


class Special(metaclass=Kind):
    def __init__(self, a):
        self.a = a


class Made:
    def __new__(cls, a):
        made = super().__new__(cls)
        made.a = a
        return made


@dataclasses.dataclass
class Record:
    a: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: Any


USED = (np, collections, dataclasses, functools, itertools, operator, types, typing)
AROUND = {m.__name__: m for m in USED} | {"np": np}
AROUND |= {c.__name__: c for c in (Pair, Typed, Listed, Keyed, Special, Made, Record, Frozen)}
KEEPERS = {
    "Pair(y, 1.0)": ".a",
    "Typed(b=1.0, a=y)": ".a",
    "Pair._make([y, 1.0])": "[0]",
    "Pair(1.0, 2.0)._replace(a=y)": ".a",
    "Pair(y, 2.0)._asdict()": "['a']",
    "Pair([y], 2.0)": ".a[0]",
    "Listed([y, 1.0])": "[0]",
    "Keyed(a=y)": "['a']",
    "Special(y)": ".a",
    "Made(y)": ".a",
    "Record(y)": ".a",
    "Frozen(y)": ".a",
    "dataclasses.replace(Record(1.0), a=y)": ".a",
    "dataclasses.asdict(Record([y]))": "['a'][0]",
    "dataclasses.astuple(Frozen(Record(y)))": "[0][0]",
    "dict.fromkeys('ab', y)": "['a']",
    "collections.OrderedDict(a=y)": "['a']",
    "collections.defaultdict(float, a=y)": "['a']",
    "collections.ChainMap({'a': y})": "['a']",
    "collections.deque([y])": "[0]",
    "(lambda d: (d.append(y), d)[1])(collections.deque())": "[0]",
    "types.SimpleNamespace(a=y)": ".a",
    "types.MappingProxyType({'a': y})": "['a']",
    "functools.partial(np.multiply, y)": ".args[0]",
    "functools.reduce(lambda a, b: b, [1.0, y])": "",
    "operator.itemgetter(0, 1)([y, y])": "[0]",
    "operator.attrgetter('a')(Record(y))": "",
    "list(itertools.repeat(y, 2))": "[0]",
    "list(itertools.chain([y], [y]))": "[0]",
    "list(itertools.product([y], [1.0]))": "[0][0]",
    "[list(g) for _, g in itertools.groupby([y], key=lambda v: 1)]": "[0][0]",
    "next(itertools.cycle([y]))": "",
    "typing.cast(float, y)": "",
    "np.array(y, copy=False)": "",
}
STORED_BEFORE = """
def program(p, q, theta, *, x):
    y = theta.copy()
    y[1] += p
    kept = {keeper}
    z = kept{item}
    z[0] += q
    return np.sum(kept{item} * x) + np.sum(y)
"""
IN_A_LOOP = """
def program(p, q, theta, *, x):
    y, s = theta.copy(), 0.0
    for i in range(8):
        kept = {keeper}
        z = kept{item}
        z[i % 6] += q
        s += y[0] + y[i % 6]
    return s + np.sum(kept{item} * x) + np.sum(y)
"""


@pytest.mark.parametrize("source", [STORED_BEFORE, IN_A_LOOP], ids=["stored before", "in a loop"])
@pytest.mark.parametrize("keeper", KEEPERS)
def test_an_object_kept_is_the_object(keeper: str, source: str) -> None:
    function = compiled(source.format(keeper=keeper, item=KEEPERS[keeper]), f"<{keeper}>", AROUND)
    agree(function, ARGS, {"x": X})
