"""A point where a trajectory was lost is found again, whatever moved the chain."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc import Positive, Real
from gradmc.lpdf import exponential, normal
from gradmc.results import Labels, MemoryStore
from gradmc.results.statistics import lost_draws
from gradmc.run.losses import explain_losses
from gradmc.run.preparing import prepare
from gradmc.run.progress import NoProgress
from gradmc.run.settings import Settings


@gm.model
def trap(x: Real[2], s: Positive):
    lp = normal(x[0], 0.0, 1.0) + normal(x[1], 0.5 * x[0], 1.0) + exponential(s, 1.0)
    lp += 0.1 * jnp.sqrt(jnp.maximum(x[0] + s + 0.5, 0.0))
    return lp


@pytest.fixture(scope="module")
def density() -> gm.Density:
    return gm.density(trap)


@pytest.mark.parametrize(
    "settings",
    [
        {"metric": "dense"},
        {"metric": "low_rank", "executor": "batch"},
        {"metric": "diagonal", "kernel": "hmc", "integration_time": 2.0},
    ],
    ids=str,
)
def test_the_points_have_no_finite_gradient(density: gm.Density, settings: dict[str, Any]) -> None:
    sampler = prepare(density, Settings(seed=2, chains=2, warmup=200, draws=200, **settings))
    store = MemoryStore(chains=2, labels=Labels.of_density(density))
    sampler.run(store, NoProgress())
    tree = store.to_datatree()
    assert lost_draws(tree["sample_stats"].to_dataset()).sum() > 10
    found = explain_losses(sampler, density, tree)
    assert found["not_finite_in"] == "gradient"
    assert "is the derivative of sqrt of 0 at" in found["not_finite"]
    assert "jnp.sqrt(jnp.maximum(x[0] + s + 0.5, 0.0))" in found["not_finite"]
    assert explain_losses(sampler, density, tree, thin=2) == {}


def test_energy_errors_alone_are_no_losses() -> None:
    import xarray as xr

    diverging, error = np.array([[True, True, False]]), np.array([[2e3, np.inf, np.inf]])
    dims = ("chain", "draw")
    statistics = xr.Dataset({"diverging": (dims, diverging), "max_energy_error": (dims, error)})
    assert lost_draws(statistics).tolist() == [[False, True, False]]
    assert not lost_draws(statistics.drop_vars("max_energy_error")).any()
