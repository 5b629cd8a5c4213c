"""Tracing: once, with float arrays as arguments, and again where the compiler must know an array."""

import math

import jax
import numpy as np
import pytest

from gradmc.density import density
from gradmc.lpdf import normal
from gradmc.program.data import Data
from gradmc.program.marks import observe
from gradmc.program.model import model
from gradmc.program.supports import Real

CALLS = []


@model
def counted(mu: Real, *, y: Data["n"], weights=(1, 2), name="a"):
    CALLS.append(name)
    return observe("y", normal(y, mu, 1.0, pointwise=True)).sum()


def test_the_program_is_traced_once():
    CALLS.clear()
    d = density(counted, {"y": [1.0, 2.0]})
    assert len(CALLS) == 1
    d([0.0])
    d.value_and_grad([0.0])
    d.log_density({"mu": 0.0})
    assert len(CALLS) == 1
    d.group_dims  # noqa: B018
    with d.scope():
        jax.jit(d.expand)(np.zeros(1), d.arguments)
    assert len(CALLS) == 2  # once more, with marks


def test_only_float_arrays_are_arguments():
    @model
    def program(mu: Real, *, y: Data["n"], index, scale, text, flags):
        return normal(y[index], mu, scale).sum() if text == "a" and flags[0] else mu

    data = {"y": [1.0, 2.0], "index": [0, 0, 1], "scale": 2.0, "text": "a", "flags": [True]}
    d = density(program, data)
    assert len(d.arguments) == 1
    np.testing.assert_array_equal(d.arguments[0], [1.0, 2.0])
    assert d([0.5]) == pytest.approx(normal(np.array([1.0, 1.0, 2.0]), 0.5, 2.0))


def test_arrays_that_the_compiler_must_know_are_built_in():
    @model
    def program(mu: Real, *, y: Data["n"], steps: Data["n"]):
        count = int(steps[0])  # a size, needed while compiling
        lp = 0.0
        for i in range(count):
            lp += normal(y[i], mu, 1.0)
        return lp

    d = density(program, {"y": [1.0, 2.0, 3.0], "steps": [2.0, 0.0, 0.0]})
    assert d([0.0]) == pytest.approx(2 * -0.5 * math.log(2 * math.pi) - 2.5)
