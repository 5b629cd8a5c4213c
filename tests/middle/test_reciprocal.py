"""Divisions by a common divisor become products, except where the last bit decides something."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import nested
from gradmc.program.middle import lower

TENTHS = np.arange(10.0)


def divisions(jaxpr):
    """How many divisions of real numbers a jaxpr makes, at any depth; reciprocals do not count."""
    mine = sum(e.primitive is jp.div_p for e in jaxpr.eqns)
    return mine + sum(divisions(inner) for e in jaxpr.eqns for inner in nested(e))


def lowered(program, *args):
    return lower(jax.make_jaxpr(program)(*args))


def summed(term, length=10):
    return ir.for_loop(length, lambda i, total: (total + term(i), ()), 0.0)[0]


def recurrent(step, length=9):
    """c = step(i, c), time after time."""
    return lambda x: ir.for_loop(length, lambda i, c: (step(i, c, x), ()), x[1])[0]


def gain(i, c, x):
    share = c / (c + x[0])
    return share * (2.0 / (c + x[0])) + x[1] / (c + x[0])


# What divides, and how many divisions are left of it.
PROGRAMS = {
    "several by one number": (recurrent(gain), 0),
    "by a number that the loop does not change": (recurrent(lambda i, c, x: (c + i) / x[0]), 0),
    "by another one in every iteration": (recurrent(lambda i, c, x: x[0] / (x[1] + c)), 1),
    "in a branch": (recurrent(lambda i, c, x: ir.cond(i < 5, lambda: c / x[0], lambda: c * x[1])), 0),
    "in an inner loop": (
        recurrent(lambda i, c, x: ir.for_loop(9, lambda j, d: ((d + j) / x[0], ()), c)[0]),
        0,
    ),
    "in a while": (
        lambda x: ir.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + 1, c[1] / x[0] + x[1]), (0, x[1]))[1],
        0,
    ),
    "without a recurrence": (lambda x: summed(lambda i: ir.load(TENTHS, i) / x[0]), 1),
    "without a loop": (lambda x: x[1] / x[0] + x[2] / x[0], 2),
    "beside the recurrence": (recurrent(lambda i, c, x: c * (ir.load(TENTHS, i) / x[0])), 1),
    "compared": (recurrent(lambda i, c, x: jnp.where(c / x[0] <= 0.3, c, x[1])), 1),
    "rounded": (recurrent(lambda i, c, x: jnp.floor(c / x[0]) + x[1]), 1),
    "cut off": (recurrent(lambda i, c, x: ir.load(x, (c / x[9]).astype(int))), 1),
    "rounded after the loop": (lambda x: jnp.floor(recurrent(lambda i, c, x: c / x[0])(x)), 1),
    "rounded in the next iteration": (recurrent(lambda i, c, x: c / x[0] + jnp.floor(c)), 1),
    "deciding how often": (lambda x: ir.while_loop(lambda c: c < x[3], lambda c: c + c / x[2] + 2.0 / x[2], 1.0), 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_divisions_left(name, x64):
    program, left = PROGRAMS[name]
    x = jnp.asarray(TENTHS + 1)
    closed = lowered(program, x)
    assert divisions(closed) == left
    np.testing.assert_allclose(jaxpr_as_fun(closed)(x)[0], program(x), rtol=1e-13)


@pytest.mark.parametrize("divisor", [0.0, -0.0, np.inf, np.nan, 1e-300, 1e300])
def test_unusual_divisors(divisor, x64):
    closed = lowered(lambda d, c: ir.for_loop(2, lambda i, c: (c / d, ()), c)[0], divisor, 1.0)
    assert divisions(closed) == 0
    for start in (0.0, 1.0, -1.0, np.inf, np.nan):
        with np.errstate(all="ignore"):
            expected = np.float64(start) / divisor / divisor
        np.testing.assert_allclose(jaxpr_as_fun(closed)(divisor, start)[0], expected, rtol=1e-15)
