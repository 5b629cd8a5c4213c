"""Many short chains: nested R-hat is ArviZ's, sees starting points that are not forgotten, and judges runs."""

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base.array import array_stats

import gradmc as gm
from gradmc.diagnostics import summarise
from gradmc.diagnostics.estimators import estimates, nested_r_hat
from gradmc.run.stopping import Targets, estimate

SUPERCHAINS, MEMBERS, DRAWS = 8, 16, 12
CHAINS = SUPERCHAINS * MEMBERS


def draws(rng: np.random.Generator, remembered: float) -> np.ndarray:
    """Chains (chain, draw) that remember so much of where their superchain started."""
    starts = rng.standard_normal(SUPERCHAINS)[np.arange(CHAINS) % SUPERCHAINS]
    return rng.standard_normal((CHAINS, DRAWS)) + remembered * starts[:, None]


def tree_of(x: np.ndarray) -> xr.DataTree:
    posterior = xr.Dataset({"x": (("chain", "draw"), x)}, coords={"chain": np.arange(len(x))})
    tree = xr.DataTree.from_dict({"posterior": posterior})
    tree.attrs["superchains"] = SUPERCHAINS
    return tree


@pytest.mark.parametrize("remembered", [0.0, 0.5])
@pytest.mark.parametrize("count", [4, DRAWS])
def test_it_is_arvizs(remembered: float, count: int, rng: np.random.Generator) -> None:
    x = draws(rng, remembered)[:, :count]
    own = np.arange(CHAINS) % SUPERCHAINS
    found = estimates(x[None], probability=0.9, superchains=own)["r_hat"][0]
    np.testing.assert_allclose(found, array_stats.rhat_nested(x, superchain_ids=own), rtol=1e-10)
    reached = estimate({"x": x}, Targets(r_hat=1.01), SUPERCHAINS)
    np.testing.assert_allclose(reached.r_hat, found, rtol=1e-10)


def test_a_single_draw_of_each_chain_will_do(rng: np.random.Generator) -> None:
    own = np.arange(CHAINS) % SUPERCHAINS
    fine, poor = (nested_r_hat(draws(rng, remembered)[None, :, :1], own)[0] for remembered in (0.0, 2.0))
    assert fine < 1.2 < poor


def test_superchains_may_differ_in_size(rng: np.random.Generator) -> None:
    """Where some chains were left out."""
    x = draws(rng, 0.0)[None]
    whole = nested_r_hat(x, np.arange(CHAINS) % SUPERCHAINS)
    fewer = nested_r_hat(x[:, 3:], np.arange(3, CHAINS) % SUPERCHAINS)
    np.testing.assert_allclose(fewer, whole, rtol=0.02)


def test_the_verdict_is_by_superchains() -> None:
    """With one set of numbers: by chance, about one set in 100 fails by something else too."""
    rng = np.random.default_rng(1)
    good, bad = (gm.diagnose(tree_of(np.repeat(draws(rng, r), 4, axis=1))) for r in (0.0, 0.4))
    assert "nested R-hat of 8 superchains" in str(good)
    assert [check.name for check in bad.failures] == ["r_hat"]
    assert {check.name: check.limit for check in good.checks}["ess"] == 400, "not 100 for each of 128 chains"


def test_the_usual_one_where_chains_are_few(rng: np.random.Generator) -> None:
    tree = tree_of(draws(rng, 0.0)[: 2 * SUPERCHAINS - 1])
    assert summarise(tree).superchains == 0


def test_a_copy_among_many_is_found(rng: np.random.Generator) -> None:
    x = draws(rng, 0.0)
    x[100] = x[3]
    found = gm.diagnose(tree_of(x))
    assert "Chains 3 and 100 have the same draws" in str(found)
