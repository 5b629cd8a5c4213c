"""Divisions by a common divisor become products, except where the last bit decides something."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle import lower
from gradmc.program.middle.lowering import _jaxprs

TENTHS = np.arange(10.0)


def divisions(jaxpr):
    """How many divisions of real numbers a jaxpr makes, at any depth; reciprocals do not count."""
    mine = sum(e.primitive is jp.div_p for e in jaxpr.eqns)
    return mine + sum(divisions(inner) for e in jaxpr.eqns for inner in _jaxprs(e))


def lowered(program, *args):
    return lower(jax.make_jaxpr(program)(*args))


def summed(term, length=10):
    return ir.for_loop(length, lambda i, total: (total + term(i), ()), 0.0)[0]


def recurrence(c, x):
    gain = c / (c + x[0])
    return gain * (2.0 / (c + x[0])) + x[1] / (c + x[0])


# What divides, and how many divisions are left of it.
PROGRAMS = {
    "by a number that the loop does not change": (lambda x: summed(lambda i: ir.load(TENTHS, i) / x[0]), 0),
    "by another one in every iteration": (lambda x: summed(lambda i: x[0] / (x[1] + i)), 1),
    "several by one number": (lambda x: ir.for_loop(9, lambda i, c: (recurrence(c, x), ()), x[1])[0], 0),
    "an array by a number": (lambda x: jnp.sum(x[:3] / x[0]), 0),
    "a number by an array": (lambda x: jnp.sum(x[0] / x), 1),
    "in a branch": (
        lambda x: summed(lambda i: ir.cond(x[2] < 5, lambda: i / x[0], lambda: i * x[1])),
        0,
    ),
    "by an outer index": (lambda x: summed(lambda i: summed(lambda j: x[0] * j / (x[1] + i))), 0),
    "compared": (lambda x: summed(lambda i: jnp.where(ir.load(x, i) / x[0] <= 0.3, 1.0, x[1])), 1),
    "rounded": (lambda x: summed(lambda i: jnp.floor(ir.load(x, i) / x[0])), 1),
    "cut off": (lambda x: summed(lambda i: ir.load(x, (ir.load(x, i) / x[9]).astype(int))), 1),
    "rounded after the loop": (lambda x: jnp.floor(summed(lambda i: ir.load(x, i) / x[0])), 1),
    "rounded in the next iteration": (
        lambda x: ir.for_loop(9, lambda i, c: (ir.load(x, i) / x[0] + jnp.floor(c), ()), 0.0)[0],
        1,
    ),
    "deciding how often": (lambda x: ir.while_loop(lambda c: c < x[3], lambda c: c + 1.0 / x[2] + 2.0 / x[2], 0.0), 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_divisions_left(name, x64):
    program, left = PROGRAMS[name]
    x = jnp.asarray(TENTHS + 1)
    closed = lowered(program, x)
    assert divisions(closed) == left
    np.testing.assert_allclose(jaxpr_as_fun(closed)(x)[0], program(x), rtol=1e-13)


def test_a_quotient_of_data_is_compared_as_it_is(x64):
    """3 * (1 / 10) exceeds 0.3, 3 / 10 does not."""
    assert 3 * (1 / 10) > 0.3 >= 3 / 10

    def program(t, last, p):
        return summed(lambda i: jnp.where(ir.load(t, i) / last <= 0.3, p, 0.0))

    closed = lowered(program, TENTHS, 10.0, 1.0)
    assert jaxpr_as_fun(closed)(TENTHS, 10.0, 1.0) == [4.0]


@pytest.mark.parametrize("divisor", [0.0, -0.0, np.inf, np.nan, 1e-300, 1e300])
def test_unusual_divisors(divisor, x64):
    numerators = np.array([0.0, 1.0, -1.0, np.inf, np.nan])
    closed = lowered(lambda x, d: x / d, numerators, divisor)
    assert divisions(closed) == 0
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(jaxpr_as_fun(closed)(numerators, divisor)[0], numerators / divisor, rtol=1e-15)
