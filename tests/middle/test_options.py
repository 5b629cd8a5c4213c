"""Chunks and switches change how a program runs, not what it means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.program.middle import Options, lower, lower_plain
from tests.middle.programs import PROGRAMS
from tests.middle.test_laws import P, answers


@pytest.mark.parametrize("name", ["linear_regression", "item_response", "survival", "stacked_marks", "extremes"])
@pytest.mark.parametrize("limit", [1, 200, 1_000])
def test_chunks(name, limit):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        chunked = lower(closed, Options(memory_limit=limit))
        assert "remat" in str(chunked) or limit > 1
        for got, expected in zip(answers(chunked), answers(lower_plain(closed)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["linear_regression", "garch", "hidden_markov", "survival", "counter", "many_series"])
def test_without_vectorising(name):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        for got, expected in zip(
            answers(lower(closed, Options(vectorise=False))), answers(lower_plain(closed)), strict=True
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
