"""Divergences at the centre of an angle are told from others, which are judged as strictly as ever."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc import Circular, Data, Ordered, Real
from gradmc.diagnostics import diagnose
from gradmc.lpdf import normal, von_mises

Y = (np.random.default_rng(1).vonmises(math.pi - 0.05, 6.0, size=40) + math.pi) % (2 * math.pi) - math.pi


@gm.model
def direction(mu: Circular, *, y: Data["n"]):
    """Its location lies at the seam of the angle."""
    return von_mises(y, mu, 6.0)


@gm.model
def beside_a_funnel(mu: Circular, v: Real, x: Real[9]):
    return von_mises(mu, 3.0, 1.0) + normal(v, 0.0, 3.0) + normal(x, 0.0, math.exp(v / 2))


def sampled(model: Any, data: Any = None, **settings: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = gm.sample(model, data, seed=1, chains=2, warmup=400, draws=600, progress="none", **settings)
    return tree, [str(warning.message) for warning in caught if "diverged" in str(warning.message)]


def test_at_the_centre_of_an_angle_divergences_are_a_note() -> None:
    tree, warned = sampled(direction, {"y": Y})
    assert tree["sample_stats"]["diverging"].values.mean() > 0.02
    assert tree.attrs["diverging_at_centre_of"] == "mu"
    diagnosis = diagnose(tree)
    (check,) = (check for check in diagnosis.checks if check.name == "divergences")
    assert check.passed is None
    assert "diverged at the centre around which mu is measured" in str(diagnosis).replace("\n  ", " ")
    assert not warned
    total = np.exp(1j * Y).sum()
    draws = np.exp(1j * tree["posterior"]["mu"].values)
    assert abs(np.angle(draws.mean()) - np.angle(total)) < 0.05


def test_elsewhere_they_are_judged_as_ever() -> None:
    tree, warned = sampled(beside_a_funnel, target_accept=0.3, metric="diagonal")
    assert tree["sample_stats"]["diverging"].values.sum() >= 10
    assert "diverging_at_centre_of" not in tree.attrs
    assert "divergences" in {check.name for check in diagnose(tree).failures}
    assert warned


@gm.model
def close_together(c: Ordered[5]):
    """Order statistics of five normal numbers, whose gaps come down to 1e-5."""
    return normal(c, 0.0, 0.5)


def test_an_order_has_no_seam() -> None:
    """Entries may come as close as they like: divergences are those of long steps, which the advice mends.

    Means within six standard errors, if 1,200 draws are worth 400.
    """
    tree, warned = sampled(close_together, target_accept=0.95)
    assert not tree["sample_stats"]["diverging"].values.any()
    assert not warned
    c = tree["posterior"]["c"].values.reshape(-1, 5)
    assert np.diff(c, axis=1).min() < 2e-3
    expected = 0.5 * np.array([-1.162964, -0.495019, 0.0, 0.495019, 1.162964])
    np.testing.assert_allclose(c.mean(axis=0), expected, atol=6 * c.std(axis=0).max() / np.sqrt(400))


@pytest.mark.parametrize("kernel", ["microcanonical"])
def test_other_kernels_are_left_alone(kernel: str) -> None:
    tree, _ = sampled(direction, {"y": Y}, kernel=kernel)
    assert "diverging_at_centre_of" not in tree.attrs
