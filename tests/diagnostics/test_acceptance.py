"""A step size that warmup did not tune is told in words."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc.diagnostics import diagnose
from gradmc.diagnostics.acceptance import check_acceptance


def made_up(rates: list[float], steps: list[float], draws: int = 100, **attributes: float) -> xr.DataTree:
    """Chains with constant acceptance and step size."""
    shape = (len(rates), draws)
    statistics = {
        "acceptance_rate": (("chain", "draw"), np.broadcast_to(np.array(rates)[:, None], shape)),
        "step_size": (("chain", "draw"), np.broadcast_to(np.array(steps)[:, None], shape)),
    }
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(draws)}
    tree = xr.DataTree.from_dict({"sample_stats": xr.Dataset(statistics, coords)})
    tree.attrs = {"target_accept": 0.8, "tuning_steps": 1000, **attributes}
    return tree


@pytest.mark.parametrize(
    ("tree", "finding", "advice"),
    [
        (made_up([0.9, 0.31], [0.5, 0.5]), "chain 1 accepted only 31 % of steps, 80 % were aimed at", "warm up longer"),
        (made_up([0.1, 0.3, 0.9], [1.0] * 3), "chains 0, 1 accepted only 10 %", "did not find the step size"),
        (
            made_up([0.5], [0.5], tuning_steps=0),
            "chain 0 accepted only 50 %",
            "without warmup the step size is not tuned",
        ),
        (made_up([0.9, 0.2], [0.5, 3e-12]), "the step size of chain 1 shrank to 3e-12", "see `gradmc check`"),
        (made_up([0.1], [0.5], target_accept=0.3), "only 10 % of steps, 30 % were aimed at", "warm up longer"),
    ],
)
def test_a_low_acceptance_fails(tree: xr.DataTree, finding: str, advice: str) -> None:
    check = check_acceptance(tree)
    assert check is not None
    assert check.passed is False
    assert finding in check.finding
    assert advice in check.advice


def test_an_acceptance_near_the_target_passes() -> None:
    check = check_acceptance(made_up([0.9, 0.65], [0.5, 0.5]))
    assert check is not None
    assert check.passed
    assert check.finding == "at least 65 % of steps accepted"
    assert check_acceptance(made_up([0.1], [0.5], draws=99)) is None
    assert check_acceptance(made_up([0.1], [0.5], target_accept=None)) is None  # type: ignore[arg-type]


def test_sampling_without_warmup_warns() -> None:
    """The tails, where chains begin, are far wider than the centre: the first step size does not fit it."""
    density = gm.from_logdensity(lambda x: -5 * jnp.sum(jnp.log1p(1e4 * x**2)), np.zeros(2))
    with pytest.warns(gm.SamplingWarning) as caught:
        tree = gm.sample(density, warmup=0, draws=150, chains=2, seed=1, start="uniform", progress="none")
    assert [w for w in caught if "without warmup the step size is not tuned" in str(w.message)]
    assert "- Chains 0, 1 accepted only" in str(diagnose(tree))
