"""Sampling by batches of the data: unbiased gradients, moments within stated bounds, what is refused, and resuming."""

import itertools
from pathlib import Path
from typing import Any

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gradmc as gm
from gradmc import Data, Real
from gradmc.config.load import load_config
from gradmc.density.control_variates import ControlVariates
from gradmc.errors import ResumeError, UsageError
from gradmc.kernels.random import Event, batch_rows, chain_key
from gradmc.kernels.sghmc import Sghmc
from gradmc.lpdf import bernoulli_logit, normal
from gradmc.results.reading import open_draws
from tests.density.rows import POINT, data, line
from tests.goodness import BUDGET, assert_frequencies

Z = stats.norm.isf(BUDGET / 2)
"""Standard errors that a right program exceeds with probability `BUDGET`."""


@gm.model
def regression(a: Real, b: Real, *, x: Data["n"], y: Data["n"]):
    """Normal rows of known spread: the posterior is normal."""
    lp = normal(a, 0.0, 1.0) + normal(b, 0.0, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], a + b * x[i], 1.0))
    return lp


@gm.model
def logistic(alpha: Real, beta: Real["k"], *, x: Data["n", "k"], y: Data["n"]):
    """Yes or no, with integer data along the rows."""
    lp = normal(alpha, 0.0, 2.0) + normal(beta, 0.0, 2.0)
    for i in range(len(y)):
        eta = alpha
        for j in range(len(beta)):
            eta += x[i, j] * beta[j]
        lp += gm.observe("y", bernoulli_logit(y[i], eta))
    return lp


def rows_of_regression(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=n)
    return {"x": x, "y": 0.5 - 0.3 * x + rng.normal(size=n)}


QUICK: dict[str, Any] = {"kernel": "sghmc", "seed": 2, "progress": "none", "check": False}


def test_the_mean_over_all_batches_is_the_gradient_and_the_noise_falls_to_nothing_at_the_reference(
    strict: None,
) -> None:
    """Exactly: over all pairs of rows drawn with replacement; data along no row, and integers, included."""
    rows = 6
    density = gm.density(line, data(rows))
    variates = ControlVariates.of(density, "n", 2)
    reference, x = POINT + 0.1, POINT
    value, gradient = density.value_and_grad(reference)
    arguments = variates.arguments(reference, value, gradient)

    def estimate(x: Any, chosen: Any) -> Any:
        return variates.logdensity(x, variates.chosen(arguments, chosen))

    with density.scope():
        both = jax.jit(jax.value_and_grad(estimate))
        pairs = np.array(list(itertools.product(range(rows), repeat=2)), np.uint32)
        found = [both(jnp.asarray(x), jnp.asarray(pair)) for pair in pairs]
        there = [both(jnp.asarray(reference), jnp.asarray(pair)) for pair in pairs]
    value, gradient = density.value_and_grad(x)
    np.testing.assert_allclose(np.mean([v for v, _ in found]), value, rtol=1e-12)
    np.testing.assert_allclose(np.mean([g for _, g in found], axis=0), gradient, rtol=1e-10, atol=1e-11)
    assert np.std([g for _, g in found], axis=0).min() > 1e-3, "batches differ"
    np.testing.assert_allclose(np.std([g for _, g in there], axis=0), 0.0, atol=1e-11)


def test_every_row_is_as_likely_as_any_other_at_every_step(seed: int) -> None:
    rows, size = 7, 5

    def at(transition: Any, number: Any) -> Any:
        event = Event(key=jnp.asarray(chain_key(seed, 0)), transition=transition, number=number)
        return batch_rows(event, size, rows)

    transitions, numbers = np.meshgrid(np.arange(2000, dtype=np.uint32), np.arange(4, dtype=np.uint32))
    drawn = np.asarray(jax.vmap(at)(transitions.ravel(), numbers.ravel()))
    assert_frequencies(np.bincount(drawn.ravel(), minlength=rows), np.full(rows, 1 / rows))
    following = drawn[:, 0] * rows + drawn[:, 1]  # two rows of a batch, and the same row of two steps
    assert_frequencies(np.bincount(following, minlength=rows**2), np.full(rows**2, rows**-2.0))
    steps = drawn[:-1, 2].astype(int) * rows + drawn[1:, 2]
    assert_frequencies(np.bincount(steps, minlength=rows**2), np.full(rows**2, rows**-2.0))


def test_the_moments_of_a_normal_posterior_are_off_by_as_much_as_is_said() -> None:
    """With large steps and small batches, so that it is much; means are right, since the dynamics are symmetric."""
    given = rows_of_regression(2000)
    design = np.stack([np.ones(2000), given["x"]], axis=1)
    covariance = np.linalg.inv(design.T @ design + np.eye(2))
    mean = covariance @ design.T @ given["y"]
    with pytest.warns(gm.SamplingWarning, match="batches of 32 of 2000 rows of n: their variances are about 1"):
        tree = gm.sample(regression, given, batch={"n": 32}, step_size=0.5, warmup=500, draws=5000, **QUICK)
    excess, noise = tree.attrs["variance_excess"], tree.attrs["gradient_noise"]
    assert 0.08 < excess < 0.2
    assert excess == Sghmc().excess(0.5, noise)
    for k, name in enumerate(("a", "b")):
        draws = tree["posterior"][name].values
        ess = min(float(arviz_stats.ess(own, method="mean")) for own in (draws, (draws - draws.mean()) ** 2))
        sd = np.sqrt(covariance[k, k] * (1 + excess))
        assert ess > 4000
        assert abs(draws.mean() - mean[k]) < Z * sd / np.sqrt(ess)
        # The noise is known to 15 % (three of these errors), and the variance of the draws to sqrt(2 / ESS).
        bound = 0.45 * 0.5 * noise + Z * (1 + excess) * np.sqrt(2 / ess)
        assert abs(draws.var() / covariance[k, k] - 1 - excess) < bound
    verdict = gm.diagnose(tree)
    assert [check.name for check in verdict.failures] == ["batches"]
    assert "take smaller steps" in str(verdict) or "take larger batches" in str(verdict)


@pytest.fixture(scope="module")
def yes_or_no() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 3))
    chance = 1 / (1 + np.exp(-(0.3 + x @ np.array([0.5, -1.0, 0.2]))))
    return {"x": x, "y": (rng.uniform(size=len(x)) < chance).astype(int)}


def test_a_logistic_regression_of_many_rows_agrees_with_nuts(yes_or_no: dict[str, Any]) -> None:
    """Within the errors of both, and the excess that the results tell of."""
    tree = gm.sample(logistic, yes_or_no, batch={"n": 256}, warmup=300, draws=1000, **QUICK)
    keep = gm.Keep(exclude=("log_likelihood/*",))
    exact = gm.sample(
        logistic, yes_or_no, warmup=200, draws=300, seed=1, keep=keep, progress="none", start="uniform", check=False
    )
    assert set(tree.children) >= {"posterior", "sample_stats"}
    assert "log_likelihood" not in tree.children
    excess = tree.attrs["variance_excess"]
    assert excess < 0.02
    for name in ("alpha", "beta"):
        ours = tree["posterior"][name].values.reshape(4, 1000, -1)
        theirs = exact["posterior"][name].values.reshape(4, 300, -1)
        for k in range(ours.shape[2]):
            one, other = ours[..., k], theirs[..., k]
            sizes = [min(float(arviz_stats.ess(d, method=m)) for m in ("mean", "sd")) for d in (one, other)]
            error = np.sqrt(1 / sizes[0] + 1 / sizes[1])
            assert abs(one.mean() - other.mean()) / other.std() < Z * error
            assert abs(one.std() / other.std() - 1) < excess / 2 + Z * error / np.sqrt(2)
    verdict = gm.diagnose(tree)
    assert verdict.passed
    assert "Note: the draws are approximate, by batches of 256 of 20000 rows of n" in str(verdict)


def test_a_start_that_is_given_is_where_the_reference_is_looked_for(yes_or_no: dict[str, Any]) -> None:
    few = {name: array[:500] for name, array in yes_or_no.items()}
    mode = gm.optimize(logistic, few)
    tree = gm.sample(logistic, few, batch={"n": 64}, initial=mode, warmup=100, draws=200, **QUICK)
    assert tree.attrs["start_note"] == "one path around the point that was given"
    assert abs(float(tree["posterior"]["alpha"].mean() - mode.values["alpha"])) < float(mode.errors["alpha"])
    assert tree.attrs["start_gradients"] < 200


def test_a_run_that_goes_on_makes_the_same_draws(tmp_path: Path) -> None:
    given = rows_of_regression(300)
    short = {**QUICK, "batch": {"n": 48}, "chains": 2, "warmup": 60}
    whole = gm.sample(regression, given, draws=80, **short)
    gm.sample(regression, given, draws=30, output=tmp_path / "run", **short)
    rest = gm.sample(regression, given, draws=80, output=tmp_path / "run", resume=True, **short)
    for group in ("posterior", "sample_stats"):
        for name, array in whole[group].data_vars.items():
            np.testing.assert_array_equal(array.values, rest[group][name].values, err_msg=str(name))
    assert rest.attrs["gradient_noise"] > 0
    again = {**short, "batch": {"n": 17}}
    with pytest.raises(ResumeError, match="batch"):
        gm.sample(regression, given, draws=90, output=tmp_path / "run", resume=True, **again)


def test_draws_do_not_depend_on_the_executor() -> None:
    given = rows_of_regression(300)
    short = {**QUICK, "batch": {"n": 48}, "chains": 3, "warmup": 40, "draws": 40}
    one, other = (gm.sample(regression, given, executor=executor, **short) for executor in ("threads", "batch"))
    np.testing.assert_allclose(one["posterior"]["a"].values, other["posterior"]["a"].values, rtol=1e-8)


def test_a_configuration_has_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[model]\ntarget = "m.py:f"\n[sampler]\nkernel = "sghmc"\nbatch = { n = 256 }\nstep_size = 0.1\n')
    sampler = load_config(path, [], {}).config.sampler
    assert (sampler.kernel, sampler.batch, sampler.step_size) == ("sghmc", {"n": 256}, 0.1)


@gm.model
def alone(mu: Real, *, y: Data["n"]):
    """Its rows are not marked."""
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)


@pytest.mark.parametrize(
    ("model", "given", "asked", "message"),
    [
        (regression, "rows", {}, 'needs batch={"n": 256}'),
        (regression, "rows", {"batch": {"m": 8}}, "batch: 'm' is no dimension of the model; it has 'n'"),
        (regression, "rows", {"batch": {"n": 80}}, "batch: 80 rows of 'n' at a time, which has 40"),
        (regression, "rows", {"batch": {"n": 0}}, "batch: n must be a whole number at least 1"),
        (regression, "rows", {"batch": 8}, "batch must name one dimension"),
        (regression, "rows", {"batch": {"n": 8}, "kernel": "nuts"}, 'batch is for kernel="sghmc"'),
        (regression, "rows", {"batch": {"n": 8}, "shard": "n"}, "leave one of them out"),
        (regression, "rows", {"batch": {"n": 8}, "adaptation": gm.Warmup()}, "rejects nothing"),
        (regression, "rows", {"batch": {"n": 8}, "step_size": 1.5}, "step_size must be a number between 0 and 1"),
        (alone, "y", {"batch": {"n": 8}}, r"write lp \+= gm.observe"),
        (gm.from_logdensity(lambda x: -jnp.sum(x**2), jnp.zeros(2)), None, {"batch": {"n": 8}}, "declared with @gm"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(model: Any, given: str, asked: Any, message: str) -> None:
    known = {"rows": rows_of_regression(40), "y": {"y": np.zeros(40)}}
    with pytest.raises(UsageError, match=message.replace("{", r"\{")):
        gm.sample(model, known.get(given), **{**QUICK, **asked})


def test_where_a_few_rows_decide_the_verdict_says_so() -> None:
    """Those far from all others, of which most batches know nothing."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(size=400), [10.0, -10.0]])
    with pytest.warns(gm.SamplingWarning, match="use all data"):
        tree = gm.sample(regression, {"x": x, "y": 0.1 * x}, batch={"n": 16}, chains=2, warmup=100, draws=200, **QUICK)
    assert tree.attrs["variance_excess"] > 0.05
    assert not gm.diagnose(tree).passed


def test_results_on_disk_say_it_too(tmp_path: Path) -> None:
    short = {**QUICK, "batch": {"n": 48}, "chains": 2, "warmup": 50, "draws": 50}
    gm.sample(regression, rows_of_regression(300), output=tmp_path / "run", **short)
    told = open_draws(tmp_path / "run" / "draws.zarr").attrs
    assert told["batch"] == "48 of 300 rows of n"
    assert told["variance_excess"] > 0.01
