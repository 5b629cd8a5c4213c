"""Simulation-based calibration of runs that a stop rule ends: coverage stays nominal (Talts et al. 2018).

Parameters are drawn from the prior of a conjugate model, data from the parameters, and NUTS samples the posterior of
each data set until the rule is satisfied.  All replications share one compiled sampler and one set of long runs: the
draws that a rule keeps are the first ones of the run without it.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

import gradmc as gm
from gradmc.lpdf import gamma, normal
from gradmc.run.driver import Driver
from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from gradmc.run.stopping import MIN_DRAWS, Monitor, Targets
from tests.goodness import BUDGET
from tests.run.doubles import Quiet, Sink

REPLICATIONS = 500
CHAINS = 2
DRAWS = 1500
DATA = 6
SHAPE, RATE = 4.0, 3.0
BINS = 10
INTERVAL = 0.89

RULES = {
    "ess": Targets(ess=150.0),
    "r_hat": Targets(r_hat=1.01),
    "mcse": Targets(mcse={"mu": 0.03, "tau": 0.05}),
}


@gm.model
def normal_gamma(mu: gm.Real, tau: gm.Positive, *, y: gm.Data["n"]):
    """Normal data with unknown mean and precision, and the conjugate prior."""
    scale = 1.0 / tau**0.5
    return gamma(tau, SHAPE, RATE) + normal(mu, 0.0, scale) + normal(y, mu, scale)


def posterior_means(y: np.ndarray) -> dict[str, np.ndarray]:
    """E[mu | y] and E[tau | y] of each row of `y` (Gelman et al. 2013, section 3.3)."""
    n, mean = y.shape[1], y.mean(axis=1)
    rate = RATE + 0.5 * np.sum((y - mean[:, None]) ** 2, axis=1) + 0.5 * n * mean**2 / (n + 1)
    return {"mu": n * mean / (n + 1), "tau": (SHAPE + 0.5 * n) / rate}


@dataclasses.dataclass(frozen=True)
class Replications:
    """What the replications share: the truths, the data, and all draws, (replication, chain, draw)."""

    truths: dict[str, np.ndarray]
    y: np.ndarray
    draws: dict[str, np.ndarray]


def replicate(rng: np.random.Generator) -> Replications:
    """Sample the posteriors of all data sets."""
    tau = rng.gamma(SHAPE, 1 / RATE, REPLICATIONS)
    mu = rng.normal(0.0, 1 / np.sqrt(tau))
    y = rng.normal(mu[:, None], 1 / np.sqrt(tau)[:, None], (REPLICATIONS, DATA))
    density = gm.density(normal_gamma, {"y": y[0]})
    assert len(density.arguments) == 1, "the data are the only argument"
    seed = int(rng.integers(2**31))
    settings = Settings(seed=seed, chains=CHAINS * REPLICATIONS, warmup=200, draws=DRAWS, executor="threads")
    sampler = prepare(density, settings)

    def one(r: int) -> dict[str, np.ndarray]:
        sink, lanes = Sink(), sampler.lanes[CHAINS * r : CHAINS * (r + 1)]
        plan = dataclasses.replace(sampler.plan, arguments=(y[r],), data=(y[r],))
        Driver(plan, lanes, sink, Quiet(), workers=1).run(interval=0.01)
        return {
            name: np.stack([sink.draws(c, name=name) for lane in lanes for c in lane.chains]) for name in ("mu", "tau")
        }

    with ThreadPoolExecutor(settings.threads) as pool:
        runs = list(pool.map(one, range(REPLICATIONS)))
    return Replications({"mu": mu, "tau": tau}, y, {name: np.stack([run[name] for run in runs]) for name in runs[0]})


def kept(targets: Targets, draws: dict[str, np.ndarray]) -> int:
    """How many draws of each chain the rule keeps."""
    monitor, length = Monitor(targets), MIN_DRAWS
    while length < DRAWS and not monitor.look({name: values[:, :length] for name, values in draws.items()}):
        length = min(monitor.next_draws, DRAWS)
    return length


@pytest.mark.slow
def test_coverage_is_nominal(rng: np.random.Generator) -> None:
    """Three tests for each rule and parameter; the whole fails with probability `BUDGET` if all rules are harmless."""
    replications = replicate(rng)
    p_values = {name: p for rule in RULES for name, p in judge(replications, rule).items()}
    assert min(p_values.values()) > BUDGET / len(p_values), p_values


def judge(replications: Replications, rule: str) -> dict[str, float]:
    """p-values of three hypotheses for each parameter.

    Ranks of the truth are uniform (chi-squared); 89 % intervals hold the truth in 89 % of the replications (binomial);
    errors of the posterior mean, in posterior standard deviations, average to nothing (t).
    """
    runs = [{name: values[r] for name, values in replications.draws.items()} for r in range(REPLICATIONS)]
    lengths = [kept(RULES[rule], run) for run in runs]
    assert len(set(lengths)) > 1, f"{rule} decides how long a run is"
    assert np.mean(np.array(lengths) < DRAWS) > 0.9, f"{rule} decides before the end"
    exact = posterior_means(replications.y)
    p_values: dict[str, float] = {}
    for name, truths in replications.truths.items():
        parts = [run[name][:, :length].ravel() for run, length in zip(runs, lengths, strict=True)]
        ranks = np.array([np.mean(part < truth) for part, truth in zip(parts, truths, strict=True)])
        inside = int(np.sum(np.abs(ranks - 0.5) < INTERVAL / 2))
        errors = np.array([(part.mean() - mean) / part.std() for part, mean in zip(parts, exact[name], strict=True)])
        p_values[f"{rule}: ranks of {name}"] = stats.chisquare(np.histogram(ranks, BINS, (0, 1))[0]).pvalue
        p_values[f"{rule}: coverage of {name}"] = stats.binomtest(inside, REPLICATIONS, INTERVAL).pvalue
        p_values[f"{rule}: mean of {name}"] = stats.ttest_1samp(errors, 0.0).pvalue
    return p_values
