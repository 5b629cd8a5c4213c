"""Random programs in the loop IR: lowered equals plain, in value, reverse and forward gradient.

A program is a list of statements over a state of scalars, a counter and an array; loops and branches hold
lists of statements. It is run with the builders of the IR, once, to make the jaxpr.
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
from gradmc.program.middle import lower, lower_plain
from tests.middle.test_laws import DIRECTION, QUICK, P, answers

SIZE = 5
Y = np.array([0.3, -1.0, 0.6, 0.7, 0.1, -0.4])
FLAGS = np.array([True, False, False, True, True, False])
GROUP = np.array([2, 0, 1, 4, 0, 2])
SCALARS = ("a", "b", "lp")

scalars = st.sampled_from(SCALARS)
places = st.sampled_from(["i", "i-1", "group", "counter", "two", "last", "outer"])
terms = st.one_of(
    st.tuples(st.just("scalar"), st.sampled_from(("a", "b"))),
    st.tuples(st.just("parameter"), st.integers(0, 3)),
    st.tuples(st.just("data"), places),
    st.tuples(st.just("element"), places),
)
expressions = st.tuples(st.sampled_from(["+", "*", "-", "tanh", "max", "log"]), terms, terms)
tests = st.one_of(
    st.tuples(st.just("flag"), places),
    st.tuples(st.just("first"), st.integers(0, 3)),
    st.tuples(st.just("parameter"), expressions),
)
simple = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(("a", "b")), expressions),
    st.tuples(st.just("add"), scalars, expressions),
    st.tuples(st.just("store"), places, expressions),
    st.tuples(st.just("bump"), places, expressions),
    st.tuples(st.just("count"), st.integers(1, 3)),
)
statements = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.tuples(st.just("for"), st.integers(0, 6), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("if"), tests, st.lists(inner, max_size=2), st.lists(inner, max_size=2)),
    ),
    max_leaves=6,
)
programs = st.lists(
    st.tuples(st.just("for"), st.integers(2, 6), st.lists(statements, min_size=1, max_size=4)), min_size=1, max_size=2
)


def place(name, state, indices):
    i = indices[-1]
    return {
        "i": i % SIZE,
        "i-1": (i - 1) % SIZE - SIZE,
        "group": ir.load(GROUP, i % 6),
        "counter": state["n"] % SIZE,
        "two": 2,
        "last": -1,
        "outer": indices[0] % SIZE,
    }[name]


def term(kind, which, p, state, indices):
    if kind == "scalar":
        return state[which]
    if kind == "parameter":
        return p[which]
    return ir.load(Y if kind == "data" else state["x"], place(which, state, indices))


def expression(form, p, state, indices):
    operation, *operands = form
    u, v = (term(*o, p, state, indices) for o in operands)
    return {
        "+": lambda: 0.5 * u + v,
        "*": lambda: 0.5 * u * v,
        "-": lambda: u - 0.3 * v,
        "tanh": lambda: jnp.tanh(u + v),
        "max": lambda: jnp.maximum(u, 0.5 * v),
        "log": lambda: jnp.log(1.0 + u * u) - v * 0.1,
    }[operation]()


def run(body, p, state, indices):
    for statement in body:
        state = step(statement, p, state, indices)
    return state


def step(statement, p, state, indices):
    kind, *rest = statement
    if kind == "for":
        length, body = rest

        def iteration(i, state):
            return run(body, p, state, [*indices, i]), state["a"]

        return ir.for_loop(length, iteration, state)[0]
    if kind == "if":
        test, yes, no = rest
        return ir.cond(
            decide(test, p, state, indices),
            lambda s: run(yes, p, s, indices),
            lambda s: run(no, p, s, indices),
            state,
        )
    if kind == "count":
        return state | {"n": (state["n"] * rest[0] + 1) % 7}
    value = expression(rest[-1], p, state, indices)
    if kind == "set":
        return state | {rest[0]: 0.9 * jnp.sin(value)}
    if kind == "add":
        return state | {rest[0]: state[rest[0]] + 0.1 * value}
    where = place(rest[0], state, indices)
    if kind == "bump":
        value = ir.load(state["x"], where) + 0.1 * value
    return state | {"x": ir.store(state["x"], jnp.tanh(value), where)}


def decide(test, p, state, indices):
    kind, which = test
    if kind == "flag":
        return ir.load(FLAGS, place(which, state, indices))
    if kind == "first":
        return indices[-1] == which
    return expression(which, p, state, indices) > 0.2


def check(program):
    def fn(p):
        state = {"a": p[0], "b": 0.5, "lp": 0.0, "n": 0, "x": jnp.linspace(0.1, 0.5, SIZE) * p[1]}
        state = run(program, p, state, [0])
        return state["lp"] + state["a"] * state["b"] + jnp.sum(jnp.sin(state["x"]) * Y[:SIZE]) + 0.1 * state["n"]

    CHECKED.append(1)
    if len(CHECKED) % EVERY == 0:
        jax.clear_caches()
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(fn)(jnp.asarray(P))
        value, gradient, derivative = answers(lower(closed))
        plain, plain_gradient = map(np.asarray, value_and_gradient(lower_plain(closed)))
    assert np.isfinite(plain)
    assert np.isfinite(plain_gradient).all()
    np.testing.assert_allclose(value, plain, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(gradient, plain_gradient, rtol=1e-9, atol=1e-11)
    terms = plain_gradient * DIRECTION
    np.testing.assert_allclose(derivative, terms.sum(), rtol=0, atol=1e-11 + 1e-9 * np.abs(terms).sum())


def value_and_gradient(closed):
    """What the program is compared with needs no forward mode: its derivative along a direction is a product."""
    both = jax.jit(jax.value_and_grad(lambda p: jaxpr_as_fun(closed)(p)[0]))
    return both.lower(jnp.asarray(P)).compile(compiler_options=QUICK)(jnp.asarray(P))


CHECKED: list[int] = []
EVERY = 25
"""Programs between two clearings of JAX's caches: each leaves some 2 MB of compiled code."""

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@settings(max_examples=40, derandomize=True, phases=[Phase.explicit, Phase.generate], **COMMON)
@given(programs)
def test_some_programs(program):
    check(program)


@pytest.mark.slow
def test_new_programs(seed):
    """60 programs, others in every session."""

    @replay(seed)
    @settings(max_examples=60, database=None, phases=[Phase.generate], **COMMON)
    @given(programs)
    def some(program):
        check(program)

    some()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(4))
def test_many_programs(part):
    """1,000 programs in four parts, the same in every run, which may run at the same time."""

    @replay(part)
    @settings(max_examples=250, database=None, phases=[Phase.generate], **COMMON)
    @given(programs)
    def some(program):
        check(program)

    some()
