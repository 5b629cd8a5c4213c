"""A log density and other things in a tuple, as samplers take them: what differs between two returns does not count."""

import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import trace
from tests.frontend.laws import agree

Z = np.linspace(0.1, 1.0, 20)
ARGS = (0.3, 1.5)
OUTSIDE = {
    "None": lambda: (-1e3, None),
    "a number": lambda: (-1e3, np.nan),
    "an array of another length": lambda: (-1e3, np.zeros(3)),
    "an empty dict": lambda: (-1e3, {}),
    "an empty tuple": lambda: (-1e3, ()),
    "a text": lambda: (-1e3, "outside"),
    "a list": lambda: (-1e3, [1.0, None]),
}


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("p", [0.3, -0.3])
def test_a_density_with_other_things(outside, p):
    def log_probability(p, q, z):
        if not 0.0 < p < 10.0:
            return OUTSIDE[outside]()
        residuals = z - p * z**2 - q
        return -0.5 * np.sum(residuals**2), {"residuals": residuals}

    def program(p, q, *, z):
        return log_probability(p, q, z)

    def unpacked(p, q, *, z):
        value, _ = log_probability(p, q, z)
        return value + q

    agree(program, (p, 1.5), {"z": Z})
    agree(unpacked, (p, 1.5), {"z": Z})


@pytest.mark.parametrize("p", [0.3, -0.3])
@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_density_that_was_never_reduced_to_its_one_entry(p, shape):
    def program(p, q, *, z):
        if p < 0.0:
            return -1e3
        return np.reshape(-0.5 * np.sum((z - p * z - q) ** 2), shape)

    agree(program, (p, 1.5), {"z": Z})


def test_in_loops():
    def pair(p, q, v):
        if p > v:
            return p * v, None
        return q, (v, p)

    def program(p, q, *, z):
        total, kept = 0.0, (p, 1)
        for v in z:
            value, _ = pair(p, q, v)
            total += value
            if p > v:
                kept = (kept[0] * v, z)
            total += kept[0]
        return total

    agree(program, ARGS, {"z": Z})


@pytest.mark.parametrize("place", [0, 1])
def test_what_differs_is_refused_where_it_is_used(place):
    def program(p, q, *, z):
        made = (1.0, (2.0, np.nan)) if p > q else (p, (q, z))
        return made[0] + np.sum(made[1][place])

    if place == 0:
        agree(program, ARGS, {"z": Z})
        return
    with pytest.raises(ProgramError, match=r"an item of a tuple may have no value here: it is a number on one side"):
        trace(program, ARGS, {"z": Z})
