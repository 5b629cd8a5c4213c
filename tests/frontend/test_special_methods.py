"""Classes that the user wrote, with special methods, and objects of them in loops, branches and lists."""

import collections
import contextlib
import dataclasses
import enum
import functools
import math
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.laws import agree

X = np.array([0.3, -0.7, 1.1, 2.0, -0.2, 0.6])
ARGS = (0.7, -0.4, np.linspace(-1.0, 1.5, 6))
PROGRAMS: list[Callable[..., Any]] = []
REFUSED: list[Callable[..., Any]] = []


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    PROGRAMS.append(function)
    return function


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    REFUSED.append(function)
    return function


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_plain(function: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnrolledLoopWarning)  # loops over objects are written out
        agree(function, ARGS, {"x": X}, differences=False)


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match=r"a class derived from (list|dict), has a method __[a-z]+__ of its own"):
        agree(function, ARGS, {"x": X})


class Vec:
    def __init__(self, a, b):
        self.a = a
        self.b = b

    def __add__(self, o):
        return Vec(self.a + o.a, self.b + o.b) if isinstance(o, Vec) else Vec(self.a + o, self.b + o)

    __radd__ = __add__

    def __mul__(self, k):
        return Vec(self.a * k, self.b * k)

    def __neg__(self):
        return Vec(-self.a, -self.b)

    def __sub__(self, o):
        return self + (-o)

    def __iadd__(self, o):
        self.a += o.a
        self.b += o.b
        return self

    def __abs__(self):
        return math.sqrt(self.a**2 + self.b**2)

    def __getitem__(self, i):
        return (self.a, self.b)[i]

    def __setitem__(self, i, v):
        if i == 0:
            self.a = v
        else:
            self.b = v

    def __len__(self):
        return 2

    def __iter__(self):
        yield self.a
        yield self.b

    def __contains__(self, v):
        return v == self.a

    def __lt__(self, o):
        return self.a < o.a

    def __eq__(self, o):
        return self.a == o.a

    __hash__ = None

    def __bool__(self):
        return bool(self.a > 0)

    def __float__(self):
        return float(self.a)

    def __matmul__(self, o):
        return self.a * o.a + self.b * o.b

    def __pow__(self, k):
        return Vec(self.a**k, self.b**k)

    def __floordiv__(self, k):
        return Vec(self.a // k, self.b // k)

    def __call__(self, v):
        return self.a * v

    def __round__(self, d=None):
        return round(self.a, d)

    def __invert__(self):
        return Vec(self.b, self.a)


@program
def arithmetic(p, q, theta, *, x):
    v = Vec(p, q)
    for i in range(30):
        v = (v * 0.9 + Vec(x[i % 6], p)) - Vec(q, 0.1)
    return abs(v) + v @ v * 0.1 + (~v)[0] + sum(v) + (v**2)[1]


@program
def in_place(p, q, theta, *, x):
    v = Vec(p, q)
    w = v
    for i in range(30):
        v += Vec(x[i % 6], p)
        v[0] *= 0.9
        v[1] = v[1] - v[0] * 0.1
    return w.a + v.b + len(v)


@program
def iterated(p, q, theta, *, x):
    v = Vec(p, q)
    s = 0.0
    for i in range(30):
        v.a = v.a * 0.5 + x[i % 6]
        for c in v:
            s += c
        a, b = v
        s += a * b
        s += sum(v) + max(v)
    return s + next(iter(v))


@program
def as_a_condition(p, q, theta, *, x):
    v = Vec(p, q)
    s = 0.0
    for i in range(30):
        v.a = v.a * 0.5 + x[i % 6]
        if v:
            s += 1 * p
        if not v:
            s -= q
        if v < Vec(0.3, 0):
            s += v.a
        if v == Vec(0.3, 0):
            s += v.a
        s += float(v)
        s += p if v else q
    return s


@program
def sums_of_objects(p, q, theta, *, x):
    return (
        abs(sum([Vec(p * v, q) for v in x], Vec(0.0, 0.0)))
        + abs(functools.reduce(lambda a, b: a + b, [Vec(p * v, q) for v in x]))
        + abs(sum(Vec(p * v, q) for v in x))
    )


class Lazy:
    def __init__(self, p):
        self.__dict__["p"] = p

    def __getattr__(self, n):
        if n.startswith("__"):
            raise AttributeError(n)
        return self.p * len(n)

    def __setattr__(self, n, v):
        self.__dict__[n] = v * 2


@program
def attributes_that_are_missing(p, q, theta, *, x):
    many = Lazy(p)
    s = 0.0
    for i in range(30):
        s += many.abc * x[i % 6]
    return s


@program
def attributes_set_by_a_method(p, q, theta, *, x):
    many = Lazy(p)
    many.p = q
    s = 0.0
    for i in range(30):
        many.z = x[i % 6] * p
        s += many.z
    return s + many.p


class Prop:
    def __init__(self, v):
        self._v = v
        self.n = 0

    @property
    def v(self):
        self.n += 1
        return self._v

    @v.setter
    def v(self, new):
        self._v = new * 0.5

    @classmethod
    def make(cls, v):
        return cls(v * 2)

    @staticmethod
    def stat(v):
        return v + 1

    @functools.cached_property
    def c(self):
        return self._v * 3


@program
def properties(p, q, theta, *, x):
    o = Prop.make(p)
    s = 0.0
    for i in range(30):
        o.v = o.v + x[i % 6]
        s += Prop.stat(o.v)
    return s + o.n + o.c


class Cm:
    def __init__(self, v):
        self.v = v

    def __enter__(self):
        self.v += 1
        return self

    def __exit__(self, t, e, tb):
        self.v *= 0.5
        return False


class Sw:
    def __enter__(self):
        return self

    def __exit__(self, t, e, tb):
        return t is ValueError


@program
def entered_and_left(p, q, theta, *, x):
    c = Cm(p)
    for i in range(30):
        with c as d, Cm(q) as e:
            d.v += x[i % 6] * e.v
    return c.v


@program
def left_early(p, q, theta, *, x):
    c = Cm(p)

    def f(i):
        with c:
            if x[i] > 0.5:
                return c.v
            c.v += 1
        return c.v * 2

    return sum(f(i) for i in range(6)) + c.v


@program
def an_exception_swallowed(p, q, theta, *, x):
    s = 0.0
    for i in range(6):
        with Sw():
            if i == 3:
                raise ValueError
            s += p * x[i]
    return s


@contextlib.contextmanager
def scaled(o, k):
    o.v *= k
    yield o
    o.v /= k * 2


@program
def a_context_manager_of_a_generator(p, q, theta, *, x):
    c = Cm(p)
    for i in range(30):
        with scaled(c, 2.0) as d:
            d.v += x[i % 6]
    return c.v


@program
def a_context_manager_on_a_branch(p, q, theta, *, x):
    c = Cm(p)
    if p > 0.2:
        with scaled(c, 2.0) as d:
            d.v += q
    return c.v


class It:
    def __init__(self, n, p):
        self.n = n
        self.i = 0
        self.p = p

    def __iter__(self):
        return self

    def __next__(self):
        if self.i >= self.n:
            raise StopIteration
        self.i += 1
        self.p = self.p * 0.5 + self.i
        return self.p


@program
def an_iterator_of_a_class(p, q, theta, *, x):
    s = 0.0
    for v in It(30, p):
        s += v * q
    it = It(5, q)
    s += next(it) + next(it)
    s += next(It(0, p), q)
    return s + sum(It(10, p)) + it.i


@program
def an_iterator_that_moves_on(p, q, theta, *, x):
    it = It(100, p)
    s = 0.0
    for i in range(30):
        s += next(it) * x[i % 6]
    return s


class Seq:
    def __init__(self, v):
        self.v = v

    def __getitem__(self, i):
        if i >= len(self.v):
            raise IndexError
        return self.v[i] * 2

    def __len__(self):
        return len(self.v)


@program
def items_by_places(p, q, theta, *, x):
    o = Seq([p * v for v in x])
    o.v[0] = q
    s = 0.0
    for v in o:
        s += v
    for i in range(len(o)):
        s += o[i] * i
    return s + sum(o) + o[-1]


class D(dict):
    def __missing__(self, k):
        self[k] = 0.5
        return 0.5


@program
def missing_keys(p, q, theta, *, x):
    d = D()
    s = 0.0
    for i in range(30):
        d[i % 4] = d[i % 4] * 0.5 + p * x[i % 6]
        s += d[i % 4]
    return s


class L(list):
    def __getitem__(self, i):
        return super().__getitem__(i) * 2

    def push(self, v):
        self.append(v)
        return self


@refused
def a_list_with_items_of_its_own(p, q, theta, *, x):
    many = L([p, q])
    many.push(p * q).push(x[0])
    return many[0] + many[2] + sum(many) + len(many)


@dataclasses.dataclass(order=True)
class R:
    a: Any
    b: Any = dataclasses.field(compare=False, default=0.0)


@program
def dataclasses_compared(p, q, theta, *, x):
    r = R(p, q)
    s = 0.0
    for i in range(30):
        r.a = r.a * 0.5 + x[i % 6]
        if r < R(0.3):
            s += r.a
        if r == R(0.3):
            s += 1
        if r >= R(q):
            s -= r.a * 0.1
        if r != R(0.3):
            s += 0.1 * p
    return s


class Color(enum.Enum):
    A = 1
    B = 2

    def w(self):
        return self.value * 2


@program
def an_enumeration(p, q, theta, *, x):
    s = 0.0
    for c in [Color.A, Color.B] * 5:
        s += p * c.w() if c is Color.A else q * c.value
    return s


class Desc:
    def __get__(self, o, t):
        return o._x * 2

    def __set__(self, o, v):
        o._x = v + 1


class HD:
    d = Desc()

    def __init__(self, v):
        self.d = v


@program
def a_descriptor(p, q, theta, *, x):
    o = HD(p)
    s = 0.0
    for i in range(30):
        o.d = o.d * 0.1 + x[i % 6]
        s += o.d
    return s


class Dual:
    def __init__(self, v, d):
        self.v = v
        self.d = d

    def __mul__(self, o):
        o = o if isinstance(o, Dual) else Dual(o, 0.0)
        return Dual(self.v * o.v, self.v * o.d + self.d * o.v)

    __rmul__ = __mul__

    def __add__(self, o):
        o = o if isinstance(o, Dual) else Dual(o, 0.0)
        return Dual(self.v + o.v, self.d + o.d)

    __radd__ = __add__

    def __truediv__(self, o):
        return Dual(self.v / o.v, (self.d * o.v - self.v * o.d) / o.v**2)

    def __rsub__(self, o):
        return Dual(o - self.v, -self.d)


@program
def dual_numbers(p, q, theta, *, x):
    z = Dual(p, 1.0)
    for i in range(30):
        z = 0.5 * z * z * 0.3 + x[i % 6] + z / Dual(2.0 + q * q, 0.0) * (1 - z) * 0.1
    return z.v + z.d


@program
def numbers_of_numpy_beside(p, q, theta, *, x):
    v = Vec(p, q)
    r = 0.0
    for i in range(10):
        r += (np.float64(x[i % 6]) * 1.0) + (2.0 + v)[0]
        v = v + 1.0
    return r


class Stack:
    def __init__(self):
        self._l = []

    def __len__(self):
        return len(self._l)

    def push(self, v):
        self._l.append(v)

    def pop(self):
        return self._l.pop()


@program
def a_stack(p, q, theta, *, x):
    st = Stack()
    s = 0.0
    for i in range(30):
        st.push(p * x[i % 6])
        if len(st) > 3:
            s += st.pop() * len(st)
    return s + len(st)


@program
def a_stack_until_it_is_empty(p, q, theta, *, x):
    st = Stack()
    s = 0.0
    for v in x:
        st.push(p * v)
    while st:
        s = s * 0.5 + st.pop()
    return s


class L2(list):
    def append(self, v):
        super().append(v * 2)

    def extend(self, vs):
        for v in vs:
            self.append(v)


class D2(dict):
    def __setitem__(self, k, v):
        super().__setitem__(k, v * 2)

    def __getitem__(self, k):
        return super().__getitem__(k) + 1

    def get(self, k, d=None):
        return super().get(k, d)


@program
def a_list_that_appends_otherwise(p, q, theta, *, x):
    many = L2([p])
    many.append(q)
    many.extend([p, q])
    for i in range(12):
        many.append(x[i % 6] * p)
    return sum((i + 1) * v for i, v in enumerate(many))


@refused
def a_dict_that_stores_otherwise(p, q, theta, *, x):
    d = D2()
    s = 0.0
    for i in range(12):
        d[i % 3] = p * x[i % 6]
        s += d[i % 3] + d.get(i % 3, 0.0)
    d["z"] = q
    return s + d["z"] + sum(d.values())


class Fz:
    def __init__(self, v):
        object.__setattr__(self, "v", v)

    def __setattr__(self, n, v):
        raise AttributeError("frozen")


@program
def frozen_objects(p, q, theta, *, x):
    s = 0.0
    for i in range(12):
        f = Fz(p * x[i % 6])
        try:
            f.v = 1.0
        except AttributeError:
            s += f.v
    return s


class Sup:
    def __init__(self, v):
        super().__setattr__("v", v)

    def __setattr__(self, n, v):
        super().__setattr__(n, v * 2)


@program
def attributes_set_by_the_base(p, q, theta, *, x):
    o = Sup(p)
    for i in range(12):
        o.v = o.v * 0.3 + x[i % 6]
    return o.v


@program
def many_objects(p, q, theta, *, x):
    many = [Vec(p * v, q) for v in x] + [Vec(q, p)]
    for k in range(20):
        for o in many:
            o.a = o.a * 0.9 + o.b * x[k % 6]
    return sum(o.a * (i + 1) for i, o in enumerate(many))


class Node:
    def __init__(self, v, left=None, right=None):
        self.v = v
        self.left = left
        self.right = right


class Acc:
    total = 0.0

    def __init__(self):
        self.items = []

    def add(self, v):
        self.items.append(v)
        self.total += v
        return self

    @property
    def mean(self):
        return self.total / len(self.items)

    def __iadd__(self, v):
        self.total += v
        return self

    def __getitem__(self, i):
        return self.items[i]

    def __len__(self):
        return len(self.items)

    def __call__(self, v):
        self.total = self.total * 0.5 + v
        return self.total

    def __enter__(self):
        self.total += 1.0
        return self

    def __exit__(self, *a):
        self.total *= 2.0
        return False


class Sub(Acc):
    def add(self, v):
        super().add(v * 0.5)
        return self


@program
def objects_appended(p, q, theta, *, x):
    many = []
    for v in x:
        many.append(Vec(p * v, q))
    return many[0].a + many[3].a


@program
def objects_of_a_comprehension(p, q, theta, *, x):
    many = [Vec(p * i, q) for i in range(30)]
    return many[0].a + many[3].a


@program
def objects_in_a_dict(p, q, theta, *, x):
    d = {i: Vec(p * i, q) for i in range(30)}
    return d[0].a + d[3].a


@program
def objects_stored_into_a_list(p, q, theta, *, x):
    many = [None] * 30
    for i in range(30):
        many[i] = Vec(p * i, q)
    return many[0].a + many[3].a


@program
def the_last_object(p, q, theta, *, x):
    for i in range(30):
        v = Vec(p * i, q)
    return v.a


@program
def objects_mapped(p, q, theta, *, x):
    many = list(map(lambda v: Vec(p * v, q), x))  # noqa: C417
    return many[0].a + many[3].a


@program
def partial_functions(p, q, theta, *, x):
    many = [functools.partial(lambda a, b: a * b, p * v) for v in x]
    return many[0](q) + many[3](q)


@program
def namespaces(p, q, theta, *, x):
    many = [types.SimpleNamespace(a=p * v) for v in x]
    return many[0].a + many[3].a


@program
def deques(p, q, theta, *, x):
    many = [collections.deque([p * v]) for v in x]
    return many[0][0] + many[3][0]


@program
def a_generator_that_is_sent_values(p, q, theta, *, x):
    def g():
        t = p
        while True:
            v = yield t
            t = t * 0.5 + v

    it = g()
    next(it)
    s = 0.0
    for i in range(12):
        s += it.send(x[i % 6])
    return s


@program
def a_tree(p, q, theta, *, x):
    root = Node(p)
    for i in range(6):
        n = root
        while True:
            if x[i] < 0.5:
                if n.left is None:
                    n.left = Node(q * x[i])
                    break
                n = n.left
            else:
                if n.right is None:
                    n.right = Node(p * x[i])
                    break
                n = n.right

    def tot(n):
        return 0.0 if n is None else n.v + 0.5 * tot(n.left) + 2 * tot(n.right)

    return tot(root)


@program
def a_linked_list(p, q, theta, *, x):
    head = None
    for i in range(6):
        head = Node(p * x[i], head)
    s = 0.0
    n = head
    k = 1
    while n is not None:
        s += k * n.v
        n = n.left
        k += 1
    return s


@program
def a_derived_class(p, q, theta, *, x):
    a = Sub()
    b = a
    for i in range(30):
        b.add(p * x[i % 6])
        a += q
    return a.total + b.mean


@dataclasses.dataclass(frozen=True)
class Still:
    a: Any

    @property
    def twice(self):
        return 2.0 * self.a


@program
def what_cannot_be_set(p, q, theta, *, x):
    still = Still(p)
    s = 0.0
    for v in x:
        try:
            still.a = v
        except dataclasses.FrozenInstanceError:
            s += q * v
    return s + still.twice
