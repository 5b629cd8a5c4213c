"""Gradients by forward and by reverse mode: the same numbers, and which one is chosen."""

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import UsageError
from gradmc.lpdf import normal
from tests.models.shipped import shipped


@gm.model
def growth(rate: Real, *, y: Data["n"], steps: int):
    """Logistic growth by many small steps, seen at the end."""
    size = 0.3
    for _ in range(steps):
        size = size + 0.001 * rate * size * (1.0 - size)
    return normal(rate, 0.0, 1.0) + gm.observe("y", normal(y, size, 0.1))


@gm.model
def halving(rate: Positive, *, y: Data["n"]):
    size = 1.0
    while size > 0.01:
        size -= 0.001 * rate * size
    return normal(rate, 1.0, 1.0) + normal(y, size, 0.1)


LONG, SHORT = {"y": [0.5], "steps": 5000}, {"y": [0.5], "steps": 50}


def test_both_modes_give_the_same_value_and_gradient():
    forward, reverse = (gm.density(growth, LONG, gradient=mode) for mode in ("forward", "reverse"))
    for found, wanted in zip(forward.value_and_grad([0.7]), reverse.value_and_grad([0.7]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_forward_mode_keeps_nothing_of_a_recurrence():
    used = {}
    for mode in ("forward", "reverse"):
        density = gm.density(growth, LONG, gradient=mode)
        with density.scope():
            made = jax.jit(jax.value_and_grad(density.logdensity)).lower(np.zeros(1), density.arguments).compile()
        used[mode] = made.memory_analysis().temp_size_in_bytes
    assert used["forward"] < 5_000
    assert used["reverse"] > 8 * LONG["steps"]


@pytest.mark.parametrize(
    ("model", "data", "mode", "why"),
    [
        (growth, LONG, "forward", "times the cost of reverse mode"),
        (growth, SHORT, "reverse", "no long recurrence"),
        (halving, {"y": [0.1]}, "reverse", "the number of iterations is not known"),
    ],
)
def test_the_choice_and_its_reason(model, data, mode, why):
    assert gm.density(model, data).gradient == mode
    told = gm.explain(model, data, measure=False)
    assert told.gradient.mode == mode
    assert why in told.gradient.why
    assert f"gradient: {mode} mode" in str(told)


def test_shipped_models_with_more_parameters_stay_with_reverse_mode():
    assert shipped("eight_schools").density.gradient == "reverse"


def test_draws_by_forward_mode_are_those_of_reverse_mode():
    """Two modes round differently; so the first draws agree to rounding."""
    options = {"seed": 1, "chains": 1, "warmup": 20, "draws": 5, "check": False, "progress": "none"}
    one, other = (
        gm.sample(gm.density(growth, LONG, gradient=mode), **options)["posterior"]["rate"].values
        for mode in ("forward", "reverse")
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_wrong_mode():
    with pytest.raises(UsageError, match='gradient must be "auto", "forward" or "reverse"; got \'both\''):
        gm.density(growth, SHORT, gradient="both")
