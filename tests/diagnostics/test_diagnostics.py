"""Checks, verdict and table on draws whose faults are known."""

import math
import re
from typing import Any

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from gradmc.diagnostics import Diagnosis, Summary, diagnose, summarise
from gradmc.diagnostics.render import render_table
from gradmc.errors import UsageError
from gradmc.results import Labels, MemoryStore


def make_tree(
    *, chains: int = 4, draws: int = 500, shift: float = 0.0, divergences: int = 0, saturated: int = 0
) -> xr.DataTree:
    """Independent draws; optionally chain 2 is shifted, small `tau` diverge, trees are cut off."""
    rng = np.random.default_rng(1)
    store = MemoryStore(chains=chains, labels=Labels(name="made_up", sampled_variables=("mu", "tau")))
    for chain in range(chains):
        tau = np.exp(rng.normal(size=draws))
        diverging = np.isin(np.arange(draws), np.argsort(tau)[:divergences])
        store.append(
            chain,
            False,
            {
                "posterior": {
                    "mu": rng.normal(size=draws) + shift * (chain == 2),
                    "tau": tau,
                    "one": np.ones(draws),
                    "vector": rng.normal(size=(draws, 2)),
                },
                "sample_stats": {
                    "diverging": diverging,
                    "energy": rng.normal(size=draws),
                    "reached_max_treedepth": np.arange(draws) < saturated,
                },
            },
        )
    return store.to_datatree()


def arviz_table(tree: xr.DataTree) -> Any:
    """ArviZ's own table; it divides zero by zero for constants."""
    with np.errstate(all="ignore"):
        return arviz_stats.summary(tree, round_to="none")


def arviz_complains(tree: xr.DataTree) -> bool:
    with np.errstate(all="ignore"):
        return bool(arviz_stats.diagnose(tree, show_diagnostics=False))


def failures(tree: xr.DataTree) -> dict[str, str]:
    return {check.name: f"{check.finding}. {check.advice}" for check in diagnose(tree).failures}


def test_the_table_is_that_of_arviz() -> None:
    tree = make_tree()
    table = summarise(tree)
    reference = arviz_table(tree)
    assert [row.name for row in table.rows] == ["mu", "tau", "one", "vector[0]", "vector[1]"]
    for row in table.rows:
        for column in table.columns:
            assert math.isclose(row[column], reference.loc[row.name, column]) or math.isnan(row[column])


def test_indicators_and_counts_are_summarised_as_numbers() -> None:
    flags, counts = np.random.default_rng(1).random((2, 100)) < 0.3, np.arange(200, dtype=np.uint8).reshape(2, 100)
    store = MemoryStore(chains=2)
    for chain in range(2):
        store.append(chain, False, {"posterior": {"flag": flags[chain], "count": counts[chain]}})
    flag, count = summarise(store.to_datatree()).rows
    assert flag["mean"] == pytest.approx(flags.mean())
    assert (count["mean"], count["sd"]) == pytest.approx((counts.mean(), counts.std(ddof=1)))
    assert isinstance(diagnose(store.to_datatree()), Diagnosis)


def test_good_draws_pass_here_and_in_arviz() -> None:
    tree = make_tree()
    diagnosis = diagnose(tree)
    assert diagnosis.passed
    assert str(diagnosis).startswith("The draws look trustworthy: the chains agree")
    assert not arviz_complains(tree)


def test_a_chain_apart_is_named() -> None:
    found = failures(make_tree(shift=30.0))
    assert set(found) == {"r_hat", "ess"}
    assert "the chains disagree about mu" in found["r_hat"]
    assert "chains 0, 1, 3 stay near" in found["r_hat"]
    assert "chain 2 near 30" in found["r_hat"]
    assert "shares" not in found["r_hat"]


def test_modes_are_told_with_their_shares_of_the_mass() -> None:
    """As the searches for a start saw it: 0.9 and 0.1 differ by 2.2 nats."""
    tree = make_tree(shift=30.0)
    tree.attrs["start_elbo"] = [-1.0, -1.1, -1.0 - math.log(9.0), -0.9]
    assert "as the searches for a start see it: about 90 % and 10 %" in failures(tree)["r_hat"]


def test_bounds_of_other_chains_are_left_alone() -> None:
    tree = make_tree(shift=30.0)
    tree.attrs["start_elbo"] = [-1.0, -1.1]
    found = failures(tree)
    assert "shares" not in found["r_hat"]
    assert "several modes" in found["r_hat"]


def test_a_copied_chain_is_named() -> None:
    tree = make_tree()
    for array in tree["posterior"].data_vars.values():
        array.values[2] = array.values[0]
    assert diagnose(tree).passed  # the energies differ
    tree["sample_stats"]["energy"].values[2] = tree["sample_stats"]["energy"].values[0]
    assert "chains 0 and 2 have the same draws" in failures(tree)["copies"]
    del tree["sample_stats"]
    assert "chains 0 and 2 have the same draws" in failures(tree)["copies"]


def test_a_stuck_chain_is_named() -> None:
    tree = make_tree()
    tree["posterior"]["mu"].values[1] = 0.3
    assert "chain 1 is stuck" in failures(tree)["r_hat"]
    for chain in range(4):
        tree["posterior"]["mu"].values[chain] = float(chain)
    assert "chains 0, 1, 2, 3 are stuck" in failures(tree)["r_hat"]


def test_drift_is_told_from_slowness() -> None:
    tree = make_tree()
    tree["posterior"]["mu"].values[:] += np.linspace(0, 5, 500)
    assert "chains 0, 1, 2, 3 still drift" in failures(tree)["r_hat"]
    rng = np.random.default_rng(3)
    slow = np.zeros((4, 500))
    for t in range(1, 500):
        slow[:, t] = 0.97 * slow[:, t - 1] + rng.normal(size=4)
    tree["posterior"]["mu"].values[:] = slow
    found = failures(tree)["r_hat"]
    assert "the chains move slowly" in found or "still drift" in found


def test_slow_quantities_are_ranked_with_their_numbers() -> None:
    tree = make_tree()
    rng = np.random.default_rng(4)
    for name, memory in (("mu", 0.9), ("tau", 0.98)):
        slow = np.zeros((4, 500))
        for t in range(1, 500):
            slow[:, t] = memory * slow[:, t - 1] + rng.normal(size=4)
        tree["posterior"][name].values[:] = slow
    found = failures(tree)["ess"]
    ranked = re.search(r"too few effective draws of tau \((\d+)\) and mu \((\d+)\): at least 400 needed", found)
    assert ranked is not None, found
    assert int(ranked[1]) < int(ranked[2]) < 400


def make_funnel(divergences: int = 6, *, logarithm: bool = False) -> xr.DataTree:
    """As `make_tree`, with a vector whose entries `tau`, or its exponential, scales."""
    tree = make_tree(divergences=divergences)
    tau, shape = tree["posterior"]["tau"], (4, 500, 8)
    theta = np.random.default_rng(7).normal(size=shape) * tau.values[..., None] + 3.0
    scale = tau.copy(data=np.log(tau.values)) if logarithm else tau
    variables = {"mu": tree["posterior"]["mu"], "tau": scale, "theta": (("chain", "draw", "j"), theta)}
    tree["posterior"] = xr.Dataset(variables, attrs={"sampled_variables": ["mu", "tau", "theta"]})
    return tree


def test_divergences_say_where_they_lie() -> None:
    found = failures(make_funnel())["divergences"]
    assert "24 of 2,000 draws (1.2 %) diverged, mostly where tau is small" in found
    assert "Write theta in non-centred form (mean + tau * standard normal)" in found
    assert "mean + its scale * standard normal" in failures(make_funnel(logarithm=True))["divergences"]
    assert arviz_complains(make_funnel())


def test_only_what_scales_something_is_a_scale() -> None:
    found = failures(make_tree(divergences=6))["divergences"]
    assert "mostly where tau is small" in found
    assert "raise target_accept to 0.95, and look at the prior of tau" in found
    assert "non-centred" not in found
    derived = make_funnel()  # of a non-centred program: theta is recorded
    derived["posterior"].attrs["sampled_variables"] = ["mu", "tau"]
    assert "non-centred" not in failures(derived)["divergences"]


def test_one_chain_or_few_divergences_lean_nowhere() -> None:
    tree = make_funnel(40)
    assert "where tau" in failures(tree)["divergences"]
    tree["sample_stats"]["diverging"].values[1:] = False
    found = failures(tree)["divergences"]
    assert "40 of 2,000 draws (2 %) diverged, all of them in chain 0" in found
    assert "where tau" not in found
    assert "where tau" not in failures(make_funnel(4))["divergences"]


def test_divergences_of_a_stuck_chain_are_its_own() -> None:
    tree = make_funnel()
    for array in tree["posterior"].data_vars.values():
        array.values[3] = array.values[3, :1]
    tree["sample_stats"]["diverging"].values[:3] = False
    tree["sample_stats"]["diverging"].values[3] = True
    found = failures(tree)["divergences"]
    assert "all of them in chain 3, which is stuck. the step size suits another region" in found
    assert "tau" not in found


def test_a_few_divergences_are_a_note() -> None:
    tree = make_tree()
    tree["sample_stats"]["diverging"].values[0, :2] = True
    diagnosis = diagnose(tree)
    assert diagnosis.passed
    assert "Note: 2 of 2,000 draws (0.1 %) diverged" in str(diagnosis)
    tree["sample_stats"]["diverging"].values[1, 0] = True
    assert not diagnose(tree).passed


def test_chains_at_different_heights_are_named_before_slowness() -> None:
    tree = make_tree(shift=3.0)
    height = np.random.default_rng(8).normal(size=(4, 500)) + 120.0 * (np.arange(4) == 2)[:, None]
    tree["sample_stats"] = tree["sample_stats"].to_dataset().assign(lp=(("chain", "draw"), height))
    found = failures(tree)["r_hat"]
    assert "the log density of chain 2 is 120 above that of chains 0, 1, 3" in found
    assert "more draws do not help" in found
    tree["sample_stats"]["lp"].values[2] -= 119.0
    assert "above" not in failures(tree)["r_hat"]


def test_the_digit_that_decides_is_shown() -> None:
    tree = make_tree()
    tree["posterior"]["mu"].values[2] += 0.35
    found = re.search(r"R-hat (\S+)\)", failures(tree)["r_hat"])
    assert found is not None
    assert 1.01 < float(found[1]) < 1.03
    assert len(found[1]) == 5


def test_the_metric_of_the_run_is_not_advised() -> None:
    tree = make_tree(saturated=5)
    assert 'metric="dense"' in failures(tree)["tree_depth"]
    tree.attrs["metric"] = "dense"
    assert "dense" not in failures(tree)["tree_depth"]


def test_the_advice_of_smaller_steps_goes_beyond_the_present_ones() -> None:
    tree = make_funnel()
    for target, advised in ((0.8, "raise target_accept to 0.95"), (0.95, "raise target_accept")):
        tree.attrs["target_accept"] = target
        assert failures(tree)["divergences"].endswith(advised)


def test_few_draws_and_saturated_trees() -> None:
    found = failures(make_tree(draws=60, saturated=1))
    assert "too few effective draws of" in found["ess"]
    assert "4 of 240 trajectories (1.7 %) were cut off" in found["tree_depth"]


def test_slow_energy_is_named_by_chain() -> None:
    tree = make_tree()
    rng = np.random.default_rng(2)
    tree["sample_stats"]["energy"].values[1] = np.cumsum(rng.normal(size=500))
    assert "chain 1 explored the energies slowly" in failures(tree)["bfmi"]


def test_draws_that_are_not_finite_fail() -> None:
    tree = make_tree()
    tree["posterior"]["mu"].values[0, 0] = np.nan
    assert "mu has draws that are infinite or not a number" in failures(tree)["finite"]


def test_one_chain_is_no_failure_but_noted() -> None:
    diagnosis = diagnose(make_tree(chains=1))
    assert diagnosis.passed
    assert "Note: one chain alone cannot show whether chains agree" in str(diagnosis)


@pytest.mark.parametrize("draws", [1, 3])
def test_too_few_draws_to_judge(draws: int) -> None:
    assert f"there are only {draws} draws per chain" in failures(make_tree(draws=draws))["draws"]


def test_json_round_trip() -> None:
    tree = make_tree(divergences=3)
    table = summarise(tree)
    diagnosis = diagnose(tree, table)
    assert render_table(Summary.from_json(table.as_json())) == render_table(table)
    assert Diagnosis.from_json(diagnosis.as_json()) == diagnosis


def test_the_table_shows_what_the_error_justifies() -> None:
    text = render_table(summarise(make_tree(draws=50)), max_rows=2)
    lines = text.splitlines()
    assert lines[0].split() == [
        "mean", "sd", "eti89_lb", "eti89_ub", "ess_bulk", "ess_tail", "r_hat", "mcse_mean", "mcse_sd",
    ]  # fmt: skip
    assert lines[-1] == "... 3 more rows; --all shows them"
    mean, error = lines[1].split()[1], lines[1].split()[-2]
    assert len(mean.partition(".")[2]) == math.ceil(-math.log10(float(error)))


@pytest.mark.parametrize("wrong", [3, None, {"posterior": {}}, make_tree()["posterior"].to_dataset()])
def test_what_holds_no_draws_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match=f"expected draws with the group 'posterior'.* got {type(wrong).__name__}"):
        diagnose(wrong)
