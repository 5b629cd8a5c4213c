"""Loops that only store: they run on all iterations at once, and of several stores to one place the last counts.

Random programs, lowered, against Python's own loops.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as replay
from hypothesis import strategies as st
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import lower

SIZE, MOST = 3, 7
GROUP = np.array([2, 0, 1, 1, 0, 2, 2])
FLAGS = np.array([True, False, False, True, True, False, True])
P = np.array([0.7, -0.4])

stores = st.tuples(
    st.sampled_from(["store", "store", "store", "add"]), st.sampled_from(["one", "one", "last", "outer", "i", "group"])
)


def branches(inner):
    test = st.tuples(st.sampled_from(["flag", "first", "before"]), st.integers(0, 4))
    return st.tuples(st.just("if"), test, st.lists(inner, min_size=1, max_size=2), st.lists(inner, max_size=2))


def loops(inner):
    return st.tuples(st.just("for"), st.integers(1, MOST), st.lists(inner, min_size=1, max_size=2))


flat = st.one_of(stores, branches(st.one_of(stores, branches(stores))))
programs = st.lists(loops(st.one_of(flat, loops(flat))), min_size=1, max_size=2)


def place(name, indices, group):
    i = indices[-1]
    return {"i": i % SIZE, "group": group(i), "one": 1, "last": -1, "outer": indices[0] % SIZE}[name]


def value(at, p, indices):
    """What a store stores: another number for each store, iteration and parameter."""
    return p[at % 2] * (1.0 + 0.37 * indices[-1] + 2.9 * indices[0]) + 0.1 * at


def decided(test, indices, flag):
    kind, k = test
    return {"flag": lambda: flag(indices[-1]), "first": lambda: indices[-1] == k, "before": lambda: indices[-1] < k}[
        kind
    ]()


def python(body, p, x, indices, at=0):
    for n, (kind, *rest) in enumerate(body):
        here = at * 7 + n + 1
        if kind == "for":
            for i in range(rest[0]):
                python(rest[1], p, x, [*indices, i], here)
        elif kind == "if":
            yes = decided(rest[0], indices, lambda i: FLAGS[i])
            python(rest[1] if yes else rest[2], p, x, indices, here if yes else here + 3)
        else:
            where = place(rest[0], indices, lambda i: GROUP[i])
            x[where] = value(here, p, indices) + (x[where] if kind == "add" else 0.0)


def staged(body, p, x, indices, at=0):
    for n, (kind, *rest) in enumerate(body):
        here = at * 7 + n + 1
        if kind == "for":
            step = lambda i, x, body=rest[1], here=here: (staged(body, p, x, [*indices, i], here), ())  # noqa: E731
            x = ir.for_loop(rest[0], step, x)[0]
        elif kind == "if":
            test = decided(rest[0], indices, lambda i: ir.load(FLAGS, i))
            yes = lambda x, body=rest[1], here=here: staged(body, p, x, indices, here)  # noqa: E731
            no = lambda x, body=rest[2], here=here: staged(body, p, x, indices, here + 3)  # noqa: E731
            x = ir.cond(test, yes, no, x)
        else:
            where = place(rest[0], indices, lambda i: ir.load(GROUP, i))
            new = value(here, p, indices) + (ir.load(x, where) if kind == "add" else 0.0)
            x = ir.store(x, new, where)
    return x


def check(program):
    x = np.array([0.3, -1.0, 0.6])
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda p: staged(program, p, jnp.asarray(x) * p[1], [0]))(jnp.asarray(P))
        got = jaxpr_as_fun(lower(closed))(jnp.asarray(P))[0]
    want = x * P[1]
    python(program, P, want, [0])
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12, atol=1e-13)


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@settings(max_examples=80, derandomize=True, phases=[Phase.generate], **COMMON)
@given(programs)
def test_some_programs(program):
    check(program)


@pytest.mark.slow
def test_new_programs(seed):
    """Others in every session."""

    @replay(seed)
    @settings(max_examples=80, database=None, phases=[Phase.generate], **COMMON)
    @given(programs)
    def some(program):
        check(program)

    some()
