"""Stop rules: estimates are ArviZ's, looks are rare, and coverage stays nominal."""

import arviz_stats
import numpy as np
import pytest
from arviz_base import from_dict

from gradmc.run.stopping import GROWTH, MIN_DRAWS, Monitor, Targets, estimate


def ar1(rng: np.random.Generator, chains: int, draws: int, correlation: float) -> np.ndarray:
    """Stationary autoregressive chains with mean 0 and variance 1."""
    x = np.empty((chains, draws))
    x[:, 0] = rng.normal(size=chains)
    noise = rng.normal(size=(chains, draws)) * np.sqrt(1 - correlation**2)
    for t in range(1, draws):
        x[:, t] = correlation * x[:, t - 1] + noise[:, t]
    return x


def test_estimates_are_those_of_arviz(rng: np.random.Generator) -> None:
    posterior = {"x": rng.normal(size=(4, 200, 3)), "one": np.ones((4, 200)), "y": rng.normal(size=(4, 200))}
    found = estimate(posterior, Targets(ess=1.0, r_hat=1.1, mcse={"y": 0.1}))
    dataset = from_dict({"posterior": {name: posterior[name] for name in ("x", "y")}})
    table = arviz_stats.summary(dataset, round_to="none")
    assert found.ess == pytest.approx(table[["ess_bulk", "ess_tail"]].to_numpy().min())
    assert found.r_hat == pytest.approx(table["r_hat"].max())
    assert found.mcse["y"] == pytest.approx(table.loc["y", "mcse_mean"])


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        (Targets(ess=100.0), True),
        (Targets(ess=1e6), False),
        (Targets(r_hat=1.1), True),
        (Targets(ess=100.0, r_hat=1.0001), False),
        (Targets(mcse={"x": 0.5}), True),
        (Targets(mcse={"x": 0.5, "absent": 0.5}), False),
    ],
)
def test_every_target_has_to_be_reached(targets: Targets, reached: bool) -> None:
    draws = np.random.default_rng(0).normal(size=(4, 400))
    assert Monitor(targets).look({"x": draws}) is reached


def test_one_chain_never_reaches_a_target_for_r_hat(rng: np.random.Generator) -> None:
    assert not Monitor(Targets(r_hat=1.5)).look({"x": rng.normal(size=(1, 400))})


def test_looks_are_rare(rng: np.random.Generator) -> None:
    monitor = Monitor(Targets(ess=1e9))
    assert not monitor.due(MIN_DRAWS - 1)
    assert monitor.due(MIN_DRAWS)
    monitor.look({"x": rng.normal(size=(2, 200))})
    assert monitor.next_draws == int(200 * GROWTH) + 1
    assert not monitor.due(200)
    assert not Monitor(Targets()).due(10**6)


def test_time_budget() -> None:
    assert Monitor(Targets(seconds=0.001), began=0.0).out_of_time()
    assert not Monitor(Targets(seconds=1e12)).out_of_time()
    assert not Monitor(Targets()).out_of_time()


@pytest.mark.slow
def test_coverage_stays_nominal_when_sampling_stops_at_a_target(rng: np.random.Generator) -> None:
    """Simulation-based calibration of the stop rule.

    The truth is drawn from the posterior that the chains sample, so its rank among the draws kept by the rule
    must be uniform. With 600 replications the chi-square statistic of ten bins exceeds its 1 - 1e-6 quantile
    with probability 1e-6 if the rule is harmless.
    """
    replications, bins = 600, 10
    counts = np.zeros(bins)
    for _ in range(replications):
        truth = rng.normal()
        chains = ar1(rng, 4, 2000, 0.7)
        monitor = Monitor(Targets(ess=150.0))
        draws = MIN_DRAWS
        while draws < 2000 and not monitor.look({"x": chains[:, :draws]}):
            draws = monitor.next_draws
        kept = chains[:, :draws]
        share = np.mean(kept < truth)
        counts[min(int(share * bins), bins - 1)] += 1
    expected = replications / bins
    from scipy.stats import chi2

    assert np.sum((counts - expected) ** 2 / expected) < chi2.ppf(1 - 1e-6, bins - 1)
