"""The code that XLA is given stays small: compile time grows with the number of equations."""

import jax
import numpy as np
import pytest

from gradmc.program.jaxprs import nested
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
