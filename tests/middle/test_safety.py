"""No NaN reaches a gradient from a side that is not taken, whatever lies there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import lower

SINGULAR = {
    "log of a negative number": (lambda x: jnp.log(x), -1.0),
    "log at 0": (lambda x: jnp.log(x), 0.0),
    "sqrt at 0": (lambda x: jnp.sqrt(x), 0.0),
    "division by 0": (lambda x: 1.0 / x, 0.0),
    "power with exponent 0": (lambda x: x**0.0 + x**0.5, 0.0),
    "power of parameters": (lambda x: x**x, -1.0),
    "overflow": (lambda x: jnp.exp(x), 1e5),
    "overflow in a product": (lambda x: x * jnp.exp(x), 1e5),
    "log1p at -1": (lambda x: jnp.log1p(x), -1.0),
    "inside a reduction": (lambda x: jnp.sum(jnp.log(x * jnp.arange(3.0))), 1.0),
    "inside a loop": (lambda x: ir.for_loop(3, lambda i, c: (c + jnp.log(x * i), ()), 0.0)[0], 1.0),
    "inside a recurrence": (lambda x: ir.for_loop(9, lambda i, c: (jnp.sqrt(c), ()), x)[0], 0.0),
}
VECTOR = [name for name in SINGULAR if not name.startswith("inside")]


def gradients(program, *args):
    """Reverse and forward gradients of the lowered program."""
    closed = lower(jax.make_jaxpr(program)(*args))

    def fn(*a):
        return jaxpr_as_fun(closed)(*a)[0]

    return jax.jit(lambda *a: (fn(*a), jax.grad(fn)(*a), jax.jacfwd(fn)(*a)))(*args)


def check(program, x, expected):
    with jax.enable_x64(True):
        value, reverse, forward = gradients(program, jnp.asarray(x))
        assert np.isfinite(value)
        np.testing.assert_allclose(reverse, expected, rtol=1e-12)
        np.testing.assert_allclose(forward, expected, rtol=1e-12)


@pytest.mark.parametrize("name", SINGULAR)
def test_in_a_vectorised_branch(name):
    fn, bad = SINGULAR[name]

    def program(x):
        def body(i, lp):
            # The first two iterations take the harmless side.
            return lp + ir.cond(i < x[1], lambda: 3.0 * x[0], lambda: fn(x[0] + x[1] - 1.9)), ()

        return ir.for_loop(2, body, 0.0)[0]

    check(program, [bad, 1.9], [6.0, 0.0])


@pytest.mark.parametrize("name", SINGULAR)
def test_in_a_vectorised_branch_on_data(name):
    fn, bad = SINGULAR[name]
    mask = np.array([True, False, True, True, False])
    data = np.where(mask, bad, 1.5)

    def program(x):
        def body(i, lp):
            v = x[0] * ir.load(data, i)
            w = ir.cond(ir.load(mask, i), lambda: v, lambda: fn(v))
            return lp + w, ()

        return ir.for_loop(5, body, 0.0)[0]

    if name in ("inside a reduction", "inside a loop"):
        return
    with jax.enable_x64(True):
        good = jax.grad(lambda x: fn(1.5 * x))(1.0)
        check(program, [1.0], [3 * bad + 2 * good])


@pytest.mark.parametrize("name", SINGULAR)
def test_in_a_sequential_branch(name):
    fn, bad = SINGULAR[name]

    def program(x):
        def body(i, c):
            return ir.cond(c < 1e9, lambda: c * 1.0 + x[1], lambda: fn(x[0]) * c), ()

        return ir.for_loop(30, body, x[1])[0]

    check(program, [bad, 1.0], [0.0, 31.0])


@pytest.mark.parametrize("name", SINGULAR)
def test_in_where(name):
    fn, bad = SINGULAR[name]
    check(lambda x: jnp.where(x[0] == bad, 2.0 * x[0], fn(x[0])) + x[0], [bad, 0.0], [3.0, 0.0])


@pytest.mark.parametrize("name", SINGULAR)
def test_in_where_inside_a_loop(name):
    fn, bad = SINGULAR[name]

    def program(x):
        def body(i, lp):
            v = x[0] + 0.0 * i
            shared = fn(v)
            return lp + jnp.where(v == bad, 2.0 * v, shared), jnp.where(v == bad, 0.0, shared)

        lp, ys = ir.for_loop(40, body, 0.0)
        return lp + jnp.sum(ys)

    check(program, [bad], [80.0])


@pytest.mark.parametrize("name", VECTOR)
def test_in_where_on_arrays(name):
    fn, bad = SINGULAR[name]
    check(lambda x: jnp.sum(jnp.where(x == bad, 2.0 * x, fn(x))), [bad, bad], [2.0, 2.0])


def test_nested_selections():
    def program(x):
        inner = jnp.where(x[0] > 0, jnp.log(x[0]), 0.0)
        return jnp.where(x[0] > -5, inner + x[0], jnp.sqrt(x[0] - 100))

    check(program, [-1.0], [1.0])


def test_an_accumulating_selection_is_an_accumulator():
    def program(x):
        return ir.for_loop(50, lambda i, lp: (jnp.where(x[0] > i, lp + x[0] * i, lp), ()), 0.0)[0]

    with jax.enable_x64(True):
        closed = jax.make_jaxpr(program)(jnp.array([7.5]))
        assert "scan" not in str(lower(closed))
    check(program, [7.5], [28.0])
