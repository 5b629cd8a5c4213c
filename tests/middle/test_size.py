"""The code that XLA is given stays small: compile time grows with the number of equations."""

import jax
import numpy as np
import pytest

from gradmc.program.compiler import evaluate
from gradmc.program.jaxprs import nested, walk
from tests.benchmarks.loop_programs import CASES
from tests.benchmarks.loops import split, versions

MOST = 2.0
"""Equations of value and gradient, times those of the shortest version by hand (measured: 0.8 to 1.9)."""


def equations(jaxpr):
    return sum(1 + sum(map(equations, nested(eqn))) for eqn in jaxpr.eqns)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_program_has_few_more_equations_than_by_hand(case, x64):
    x, data = case.make(case.sizes[0], np.random.default_rng(1))
    arrays, fixed = split(data)

    def counted(fn):
        both = jax.value_and_grad(lambda p, arrays: fn(p, **arrays, **fixed))
        return equations(jax.make_jaxpr(both)(x, arrays))

    counts = {name: counted(fn) for name, fn in versions(case).items()}
    assert counts.pop("plain") <= MOST * min(counts.values())


def filtered(kernel, *, pictures):
    """Pictures under filters of 3 x 3."""
    total = 0.0
    for picture in pictures:
        for f in range(len(kernel)):
            for r in range(4):
                for c in range(5):
                    z = 0.0
                    for a in range(3):
                        for b in range(3):
                            z += kernel[f, a, b] * (picture[r + a, c + b] / 16.0)
                    total += max(z, 0.0) ** 2
    return total


def test_a_filter_has_no_axes_of_its_own(x64):
    """All arrays are as large as what comes out of the filters, or smaller: nothing is kept for each of its terms."""
    pictures = np.arange(7 * 6 * 7).reshape(7, 6, 7) % 16
    kernel = np.random.default_rng(1).normal(size=(4, 3, 3))
    lowered = jax.make_jaxpr(jax.grad(lambda k, p: evaluate(filtered, (k,), {"pictures": p})[0]))(kernel, pictures)
    assert max(v.aval.size for eqn in walk(lowered.jaxpr) for v in eqn.outvars) <= 7 * 4 * 4 * 5
