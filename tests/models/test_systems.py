"""The models of programs, physics and pictures against references that share no code with them."""

import csv
import importlib.util
import itertools
import sys
import warnings

import jax
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm
from scipy.special import ellipj, ellipkinc, gammaln, logsumexp, ndtr
from scipy.stats import binom, norm

import gradmc as gm
from gradmc.config.target import load_model
from tests.check import AMPLE
from tests.models.shipped import FOLDER, OPTIMIZED, SYSTEMS, shipped


def module(name):
    """The file of a model."""
    spec = importlib.util.spec_from_file_location(f"shipped_{name}", FOLDER / name / "model.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def program(name, function):
    """Another program of a model's file."""
    return load_model(f"{FOLDER / name / 'model.py'}:{function}")


def columns(path):
    """The columns of a file of numbers."""
    rows = list(csv.DictReader((FOLDER / path).read_text().splitlines()))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def terms(density, points, name):
    """Observed terms at positions, a row for each."""
    with density.scope():
        found = jax.jit(jax.vmap(lambda x: density.expand(x, density.arguments)["log_likelihood"][name]))
        return np.asarray(found(np.asarray(points)))


def positions(density, draws, thin):
    """Every `thin`-th draw, unconstrained."""
    posterior = draws["posterior"].to_dataset().isel(draw=slice(None, None, thin)).stack(sample=("chain", "draw"))
    values = {name: np.moveaxis(posterior[name].values, -1, 0) for name in density.shapes}
    return [density.unconstrain({n: v[i] for n, v in values.items()}) for i in range(posterior.sizes["sample"])]


def as_its_file_says(system, **changes):
    """The draws of a model's `run.toml`."""
    sampler = system.config.sampler
    names = ("seed", "chains", "warmup", "draws", "target_accept")
    return gm.sample(system.density, **{n: getattr(sampler, n) for n in names} | changes, progress="none")


def test_all_systems_are_shipped():
    assert {*SYSTEMS} < {path.parent.name for path in FOLDER.glob("*/run.toml")}
    assert OPTIMIZED == ("cnn_digits", "diffractive_optics")


# --- phylogeny ---------------------------------------------------------------------------------------


def test_pruning_is_the_sum_over_all_inner_nodes():
    """With matrix exponentials of Kimura's rates, and all 64 assignments of bases to the three inner nodes."""
    system = shipped("phylogeny")
    length, kappa = np.array([0.05, 0.07, 0.06, 0.1, 0.15, 0.02, 0.04]), 5.0
    rates = np.ones((4, 4))
    for a, b in ((0, 2), (1, 3)):
        rates[a, b] = rates[b, a] = kappa
    np.fill_diagonal(rates, 0.0)
    rates /= kappa + 2.0
    np.fill_diagonal(rates, -rates.sum(axis=1))
    P = [expm(rates * t) for t in length]
    terms = []
    for human, chimpanzee, gorilla, orangutan, gibbon, count in zip(
        *(system.data[name] for name in ("human", "chimpanzee", "gorilla", "orangutan", "gibbon", "count")), strict=True
    ):
        total = 0.0
        for root, african, pair in itertools.product(range(4), repeat=3):
            above = P[6][root, african] * P[5][african, pair] * P[0][pair, human] * P[1][pair, chimpanzee]
            total += 0.25 * above * P[2][african, gorilla] * P[3][root, orangutan] * P[4][root, gibbon]
        terms.append(count * np.log(total))
    x = system.density.unconstrain({"length": length, "kappa": kappa})
    with system.density.scope():
        found = system.density.expand(x, system.density.arguments)["log_likelihood"]["count"]
    np.testing.assert_allclose(found, terms, rtol=1e-10)


# --- first passage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("current", [16.0, 20.0, 40.0])
def test_the_latency_is_the_integral_over_the_voltage(current):
    model = module("first_passage")
    values = {"tau": 18.0, "threshold": -50.6, "sharpness": 1.8}
    wanted = quad(lambda v: 1.0 / model.slope(v, current, **values), model.REST, model.PEAK, limit=200)[0]
    np.testing.assert_allclose(model.first_passage_time(current, **values), wanted, rtol=2e-5)


def test_the_latency_does_not_jump_where_the_number_of_steps_does():
    model = module("first_passage")
    currents = np.linspace(20.0, 22.0, 401)
    times = [model.first_passage_time(c, 18.0, -50.6, 1.8) for c in currents]
    second = np.diff(times, n=2)
    assert np.all(np.diff(times) < 0)
    assert np.abs(second).max() < 1e-4, "a jump of the step in time would be of the order of 1 ms"


# --- change point ------------------------------------------------------------------------------------


def years_at_the_early_rate(disasters):
    """The posterior of the number of years before the change, in closed form: both rates are integrated out."""
    n = len(disasters)
    scores = []
    for k in range(n + 1):
        score = 0.0
        for part in (disasters[:k], disasters[k:]):
            score += gammaln(2 + part.sum()) - (2 + part.sum()) * np.log(1.0 + len(part))
        scores.append(score)
    return np.exp(scores - logsumexp(scores))


def test_the_year_that_is_summed_out_has_its_posterior():
    """Shares of single years within five standard errors of 800 draws that are worth at least 300."""
    disasters = shipped("changepoint").data["disasters"]
    model = program("changepoint", "changepoint_summed")
    draws = gm.sample(
        model, {"disasters": disasters}, seed=3, chains=2, warmup=200, draws=400, check=False, progress="none"
    )
    when = gm.draw_states(model, {"disasters": disasters}, draws, seed=4)["posterior"]["when"].values.ravel()
    wanted = years_at_the_early_rate(disasters)
    for k in np.argsort(-wanted)[:4]:
        assert abs(np.mean(when == k) - wanted[k]) < 5 * np.sqrt(wanted[k] / 300)


@pytest.mark.campaign
def test_draws_across_a_real_branch_are_right():
    system = shipped("changepoint")
    model = program("changepoint", "changepoint_branch")
    with pytest.warns(gm.SamplingWarning, match="cut off at the largest tree depth"):  # the price of the branch
        draws = gm.sample(model, system.data, seed=5, chains=4, warmup=1000, draws=10_000, check=False, progress="none")
    wanted = years_at_the_early_rate(system.data["disasters"])
    mean = np.sum(wanted * np.arange(len(wanted)))
    change = draws["posterior"]["change"].values - 1851.0
    spread = np.sqrt(np.sum(wanted * (np.arange(len(wanted)) - mean) ** 2))
    assert abs(change.mean() - mean) < 0.5 * spread, "some hundred effective draws"
    assert abs(float(draws["posterior"]["early"].mean()) - 3.1) < 0.15


# --- least action ------------------------------------------------------------------------------------


def test_the_path_is_that_of_jacobis_elliptic_functions():
    """theta(t) = 2 asin(k sn(w t + phase, k)), k the sine of half the amplitude; errors fall with the step squared."""
    model, frequency, k = module("least_action"), 3.0, np.sin(0.6)
    phase = ellipkinc(np.arcsin(np.sin(-0.3) / k), k**2)

    def exact(t):
        return 2.0 * np.arcsin(k * ellipj(frequency * t + phase, k**2)[0])

    errors = []
    for n in (16, 32):
        t = np.linspace(0.0, 0.8, n + 1)
        path = model.stationary_path(exact(0.0), exact(0.8), frequency, 0.8 / n, n)
        errors.append(np.abs(path - exact(t)).max())
    assert errors[1] < 1e-3
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.05)


@pytest.mark.parametrize("ends", [(-1.5, 1.5), (1.5, 1.5), (0.3, -1.2)])
def test_up_to_the_highest_frequency_one_path_is_stationary(ends):
    """Newton's method has found it, and the second derivative of the action is positive at any path."""
    model, n, step = module("least_action"), 64, 0.0125
    frequency = model.most_frequency(np.zeros(17), 4, step)
    path = model.stationary_path(*ends, frequency, step, n)
    pull = (frequency * step) ** 2
    np.testing.assert_allclose(np.diff(path, 2) + pull * np.sin(path[1:-1]), 0.0, atol=1e-9)
    differences = 2.0 * np.eye(n - 1) - np.eye(n - 1, k=1) - np.eye(n - 1, k=-1)
    assert np.linalg.eigvalsh(differences - pull * np.eye(n - 1)).min() > 0.0


# --- equilibrium -------------------------------------------------------------------------------------


def test_the_pH_is_the_root_of_the_cubic():
    """[H]^3 + (K + s) [H]^2 + (K (s - a) - w) [H] - w K = 0, with sodium s and acid a in the mixture."""
    model = module("equilibrium")
    K, concentration = 10.0**-4.7, 0.09
    for added in (0.0, 5.0, 22.0, 28.0):
        volume = model.ACID + added
        s, a, w = model.BASE * added / volume, concentration * model.ACID / volume, model.WATER
        roots = np.roots([1.0, K + s, K * (s - a) - w, -w * K])
        wanted = -np.log10(next(r.real for r in roots if abs(r.imag) < 1e-12 and r.real > 0))
        found = model.brentq(model.excess_charge, 0.0, 14.0, args=(added, concentration, 4.7), xtol=1e-12)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


# --- adaptive control --------------------------------------------------------------------------------


def test_the_oven_settles_where_it_should():
    """The integral makes the error vanish: power (80 - 20) / gain."""
    model = module("adaptive_control")
    air, heater, held, power = model.AMBIENT, 0.0, 0.0, 0.0
    limited = 0
    for _ in range(600):
        power, held = model.controller(model.SETPOINT - air, held, 0.04, 13.0)
        limited += power == 1.0
        air, heater = model.oven_step(air, heater, power, 120.0, 14.0, 4.0, 0.0)
    np.testing.assert_allclose([air, power], [80.0, 60.0 / 120.0], rtol=1e-6)
    assert limited > 3, "the power was at its limit first"


def test_the_record_is_the_simulation_that_the_readme_states():
    model, record, rng = module("adaptive_control"), columns("adaptive_control/record.csv"), np.random.default_rng(4)
    air, heater, held, seen = model.AMBIENT, 0.0, 0.0, model.AMBIENT
    for power, temperature in zip(record["power"], record["temperature"], strict=True):
        wanted, held = model.controller(model.SETPOINT - seen, held, 0.02, 8.0)
        air, heater = model.oven_step(air, heater, round(wanted, 3), 120.0, 14.0, 4.0, 0.0)
        seen = round(air + 0.5 * rng.normal(), 2)
        np.testing.assert_allclose([power, temperature], [wanted, seen], atol=5.1e-4)


def test_the_cost_does_not_jump_where_the_power_leaves_its_limit():
    model = module("adaptive_control")
    known = {"lag": 14.0, "delay": 4.0, "reset": 12.0, "disturbances": model.DISTURBANCES}
    costs = [model.closed_loop_cost(120.0, proportional=k, **known) for k in np.linspace(0.02, 0.05, 3001)]
    steps = np.abs(np.diff(costs))
    assert steps.max() < 0.05, "an integral that stands still at the limit makes jumps of 5"


def test_gains_of_the_posterior_do_better_under_new_disturbances():
    """Means of the run of `run.toml`, against the gains that the record was made with, in the oven that made it."""
    model = module("adaptive_control")
    known = {"gain": 120.0, "lag": 14.0, "delay": 4.0, "disturbances": ((40, 55, -20.0), (75, 100, 15.0))}
    better = model.closed_loop_cost(**known, proportional=0.0266, reset=15.5)
    assert better < 0.95 * model.closed_loop_cost(**known, proportional=0.02, reset=8.0)


# --- constants from tests ----------------------------------------------------------------------------


def test_the_density_knows_what_fails():
    system = shipped("constants_from_tests")
    model = module("constants_from_tests")
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = {"reaction": rng.uniform(0.7, 1.3), "fade": rng.uniform(0.0, 0.02), "wet": rng.uniform(0.5, 1.0)}
        passes = all(low < value < high for _, value, low, high in model.expectations(values))
        density = system.density.log_density(values)
        assert passes or density < -4.0
        assert density > -0.5 or not passes or density > -30.0


@pytest.mark.campaign
def test_draws_pass_the_tests():
    system, model = shipped("constants_from_tests"), module("constants_from_tests")
    draws = gm.sample(system.density, seed=1, chains=2, warmup=300, draws=500, progress="none")["posterior"]
    values = draws.to_dataset().stack(sample=("chain", "draw"))
    failed = 0
    for i in range(1000):
        constants = {name: float(values[name][i]) for name in ("reaction", "fade", "wet")}
        failed += not all(low < value < high for _, value, low, high in model.expectations(constants))
    assert failed <= 10


# --- inverse rendering -------------------------------------------------------------------------------


def test_coverage_is_what_many_rays_hit():
    model = module("inverse_rendering")
    fine = (np.arange(200) + 0.5) / 200 - 0.5
    for angle in (0.3, 1.2, 2.5, -0.7):
        for distance in (-0.4, -0.1, 0.0, 0.3, 0.6):
            nx, ny = np.cos(angle), np.sin(angle)
            wanted = np.mean(fine[:, None] * nx + fine[None, :] * ny < distance)
            assert abs(model.covered(distance, nx, ny) - wanted) < 0.006
    picture = model.render(np.array([5.3, 99.0]), np.array([6.2, 99.0]), np.array([4.1, 1.0]), np.ones(2), 0.0, 14, 14)
    # Its edge is straight within a pixel: that adds a twelfth of pi to the area, whatever the radius.
    np.testing.assert_allclose(picture.sum(), np.pi * (4.1**2 + 1 / 12), rtol=2e-3)


def test_the_check_tells_hard_edges_from_covered_areas():
    system = shipped("inverse_rendering")
    hard = gm.check(program("inverse_rendering", "hard_edges"), system.data, fast=True, seconds=AMPLE)
    assert any(f.severity == "error" and "(j + 0.5 - x[k])" in str(f) for f in hard.findings)
    assert gm.check(system.model, system.data, fast=True, seconds=AMPLE).clean


# --- digits ------------------------------------------------------------------------------------------


def log_odds(values, image):
    """The network by arrays."""
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(image, float) / 16.0, (3, 3), axis=(1, 2))
    maps = np.maximum(np.einsum("nrcab,fab->nfrc", windows, values["kernel"]) + values["bias"][:, None, None], 0.0)
    flat = maps.reshape(len(image), -1, 3, 2, 3, 2).mean(axis=(3, 5)).reshape(len(image), -1)
    return flat @ values["weight"].T + values["shift"]


def share_right(values):
    test = np.load(FOLDER / "cnn_digits" / "test.npz")
    return np.mean(log_odds(values, test["image"]).argmax(axis=1) == test["digit"])


def test_the_network_in_loops_is_that_of_arrays():
    system = shipped("cnn_digits")
    x = np.random.default_rng(2).normal(scale=0.3, size=system.density.dim)
    values = system.density.constrain(x)
    odds = log_odds(values, system.data["image"])
    wanted = odds[np.arange(len(odds)), system.data["digit"]] - logsumexp(odds, axis=1)
    with system.density.scope():
        found = system.density.expand(x, system.density.arguments)["log_likelihood"]["digit"]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_run_toml_reads_97_per_cent_of_the_digits():
    system, settings = shipped("cnn_digits"), shipped("cnn_digits").config.optimize
    found = gm.optimize(
        system.density,
        **settings.model_dump(exclude={"dir", "start_radius"}),
        initial=settings.start_radius,
        seed=system.config.sampler.seed,
        progress="none",
    )
    assert share_right(found.values) >= 0.97


@pytest.mark.campaign
def test_draws_of_the_network_read_digits_with_a_better_score_than_its_mode():
    """By as many as their probabilities say: a sum of independent choices, about normal, but for a chance of 1e-5.

    No weight is compared between chains, whose filters stand in other orders.
    """
    system, test = shipped("cnn_digits"), np.load(FOLDER / "cnn_digits" / "test.npz")
    sampler, asked = system.config.sampler, system.config.optimize
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gm.SamplingWarning)
        changes = {"max_tree_depth": sampler.max_tree_depth, "metric": sampler.metric, "start": sampler.start}
        draws = as_its_file_says(system, **changes)
    mode = gm.optimize(
        system.density,
        **asked.model_dump(exclude={"dir", "start_radius", "held_out"}),
        initial=asked.start_radius,
        seed=sampler.seed,
        progress="none",
    )

    def chances(values):
        odds = log_odds(values, test["image"])
        return np.exp(odds - logsumexp(odds, axis=1, keepdims=True))

    posterior = draws["posterior"].to_dataset().stack(sample=("chain", "draw")).transpose("sample", ...)
    values = {name: posterior[name].values for name in system.density.shapes}
    chance = np.mean([chances({n: v[i] for n, v in values.items()}) for i in range(posterior.sizes["sample"])], axis=0)
    rows, best = np.arange(len(chance)), chance.max(axis=1)
    assert np.log(chance[rows, test["digit"]]).mean() > np.log(chances(mode.values)[rows, test["digit"]]).mean()
    right = np.sum(chance.argmax(axis=1) == test["digit"])
    assert abs(right - best.sum()) < norm.isf(0.5e-5) * np.sqrt(np.sum(best * (1 - best)))
    assert right >= 0.97 * len(chance)


# --- multilayer perceptron ---------------------------------------------------------------------------


def by_arrays(values, time):
    """Mean and scale of the perceptron, shape (2, n)."""
    spacing = 60.0 / len(values["centre"])
    middle = spacing * (np.arange(len(values["centre"])) + 0.5 + values["centre"])
    units = np.tanh((time[:, None] - middle) / (spacing * values["width"]))
    mean, log_scale = (units @ values[f"{of}_weight"] + values[f"{of}_bias"] for of in ("mean", "scale"))
    return np.array([50.0 * mean, 1.3 + 50.0 * np.exp(log_scale)])


def test_the_perceptron_in_loops_is_that_of_arrays():
    system = shipped("mlp")
    (x,) = system.positions(1, seed=7)
    mean, scale = by_arrays(system.density.constrain(x), system.data["time"])
    wanted = -0.5 * ((system.data["acceleration"] - mean) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(terms(system.density, [x], "acceleration")[0], wanted, rtol=1e-10)


@pytest.mark.campaign
def test_draws_predict_better_than_the_mode_and_are_calibrated():
    """Rows held out: the number within central intervals is binomial, but for a chance of 1e-5 on either side."""
    system, test = shipped("mlp"), columns("mlp/test.csv")
    held = gm.density(system.model, test)
    points = positions(held, as_its_file_says(system), thin=5)
    mode = gm.optimize(system.density, seed=1)
    scores = logsumexp(terms(held, points, "acceleration"), axis=0) - np.log(len(points))
    assert scores.mean() > terms(held, [mode.position], "acceleration").mean()
    predicted = [by_arrays(held.constrain(x), test["time"]) for x in points]
    shares = np.mean([ndtr((test["acceleration"] - mean) / scale) for mean, scale in predicted], axis=0)
    for within in (0.5, 0.8):
        inside = np.sum(np.abs(shares - 0.5) < within / 2)
        assert binom.ppf(1e-5, len(shares), within) <= inside <= binom.isf(1e-5, len(shares), within)


# --- recurrent network -------------------------------------------------------------------------------


def test_the_recurrent_network_in_loops_is_that_of_matrices():
    system = shipped("rnn_series")
    (x,) = system.positions(1, seed=8)
    values = system.density.constrain(x)
    recurrent = np.array([[values["own"][0], -values["back"]], [0.0, values["own"][1]]])
    y, state, wanted = (np.sqrt(system.data["spots"]) - 6.0) / 3.0, np.zeros(2), []
    for t in range(len(y) - 1):
        inward = np.array([values["inward"] * y[t], values["forward"] * state[0]])
        state = np.tanh(values["bias"] + recurrent @ state + inward)
        error = y[t + 1] - values["drift"] - values["carry"] * y[t] - values["outward"] @ state
        wanted.append(-0.5 * (error / values["sigma"]) ** 2 - np.log(values["sigma"] * np.sqrt(2 * np.pi)))
    np.testing.assert_allclose(terms(system.density, [x], "spots")[0], wanted, rtol=1e-9)


@pytest.mark.campaign
def test_the_recurrent_network_predicts_better_than_three_years_do():
    """In years that it has not seen, against linear regression on three years before."""
    system, test = shipped("rnn_series"), columns("rnn_series/test.csv")
    spots = np.concatenate([system.data["spots"], test["spots"]])
    both = gm.density(system.model, {"spots": spots})
    points = positions(both, as_its_file_says(system), thin=10)
    new = len(test["spots"])
    found = terms(both, points, "spots")[:, -new:]
    score = np.mean(logsumexp(found, axis=0) - np.log(len(points)))
    y, old = (np.sqrt(spots) - 6.0) / 3.0, len(spots) - new - 3
    before = np.column_stack([np.ones(len(y) - 3), y[2:-1], y[1:-2], y[:-3]])
    weights = np.linalg.lstsq(before[:old], y[3 : 3 + old])[0]
    errors = y[3:] - before @ weights
    sigma = errors[:old].std()
    linear = np.mean(-0.5 * (errors[-new:] / sigma) ** 2) - np.log(sigma * np.sqrt(2 * np.pi))
    assert score > linear + 0.05


# --- a network in a differential equation ------------------------------------------------------------

RATES = {"alpha": 0.6, "beta": 0.3, "gamma": 0.8, "delta": 0.8}


def test_a_year_is_that_of_an_adaptive_solver():
    model, weight = module("hybrid_ode"), np.array([0.3, -0.2, 0.1, 0.4, -0.3, 0.2])

    def slopes(_, z):
        share = RATES["beta"] * np.exp(weight @ np.tanh((np.exp(z[0]) - np.array(model.CENTRES)) / model.WIDTH))
        return [
            RATES["alpha"] - share * np.exp(z[1]),
            RATES["delta"] * share * np.exp(z[0]) - RATES["gamma"],
        ]

    start = np.log([3.0, 1.5])
    wanted = solve_ivp(slopes, (0.0, 1.0), start, rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(model.a_year_later(*start, **RATES, weight=weight), wanted, atol=1e-4)


def test_without_a_network_the_integral_of_lotka_and_volterra_is_kept():
    model, z, levels = module("hybrid_ode"), np.log([3.0, 1.5]), []
    for _ in range(10):
        z = model.a_year_later(*z, **RATES, weight=np.zeros(6))
        hare, lynx = np.exp(z)
        eating = RATES["delta"] * RATES["beta"]
        levels.append(eating * hare - RATES["gamma"] * z[0] + RATES["beta"] * lynx - RATES["alpha"] * z[1])
    assert np.ptp(levels) < 2e-3


@pytest.mark.campaign
def test_the_network_finds_what_is_missing_where_there_are_data():
    """Eighty simulated years in which the share rises with the hares (Holling's third type).

    The truth lies within five standard deviations of the posterior at hares that were seen, and the posterior is
    narrower than the prior there, but not far beyond them.
    """
    system, model = shipped("hybrid_ode"), module("hybrid_ode")
    weight = np.full(6, 0.15)
    truth = {"alpha": 0.55, "beta": 0.35, "gamma": 0.7, "delta": 0.85, "weight": weight, "sigma": np.array([0.2, 0.2])}
    years = np.ones((81, 2)) * system.data["pelts"][0]
    pelts = system.model.simulate(np.random.default_rng(1), **truth, pelts=years)["pelts"]
    draws = gm.sample(
        system.model, {"pelts": pelts}, seed=2, chains=2, warmup=400, draws=500, target_accept=0.95, progress="none"
    )
    posterior = draws["posterior"].to_dataset().stack(sample=("chain", "draw"))
    seen = np.quantile(pelts[:, 0] / 10.0, [0.1, 0.3, 0.5, 0.7, 0.9])
    for hare, known in [*((h, True) for h in seen), (15.0, False)]:
        units = np.tanh((hare - np.array(model.CENTRES)) / model.WIDTH)
        logs = np.log(posterior["beta"].values) + units @ posterior["weight"].values
        error = (logs.mean() - np.log(truth["beta"]) - units @ weight) / logs.std()
        assert abs(error) < 5.0
        assert (logs.std() < 0.3) == known


# --- diffractive optics ------------------------------------------------------------------------------


def test_a_plane_wave_gets_a_phase_and_a_shift_moves_the_field():
    model = module("diffractive_optics")
    x = np.arange(model.GRID)
    wave = np.exp(2j * np.pi * (3 * x[:, None] - 5 * x[None, :]) / model.GRID)
    fx, fy = 3 / (model.GRID * model.PITCH), -5 / (model.GRID * model.PITCH)
    phase = 2 * np.pi * model.GAP * np.sqrt(1.0 - fx**2 - fy**2)
    np.testing.assert_allclose(model.across_gap(wave, 0.0, 0.0), wave * np.exp(1j * phase), atol=1e-10)
    field = np.random.default_rng(1).normal(size=(model.GRID, model.GRID)) + 0j
    moved = np.roll(model.across_gap(field, 0.0, 0.0), (-2, 3), axis=(0, 1))
    np.testing.assert_allclose(model.across_gap(field, 2.0, -3.0), moved, atol=1e-10)


def test_a_beam_widens_as_gaussian_beams_do():
    model, waist = module("diffractive_optics"), 2.0
    x = (np.arange(model.GRID) - model.GRID / 2) * model.PITCH
    square = x[:, None] ** 2 + x[None, :] ** 2
    power = np.abs(model.across_gap(np.exp(-square / waist**2) + 0j, 0.0, 0.0)) ** 2
    found = 2.0 * np.sqrt(np.sum(power * x[:, None] ** 2) / np.sum(power))
    wanted = waist * np.sqrt(1.0 + (model.GAP / (np.pi * waist**2)) ** 2)
    np.testing.assert_allclose(found, wanted, rtol=0.02)


def test_the_masks_read_the_digits_and_do_not_if_they_are_misplaced():
    model, mask = module("diffractive_optics"), np.load(FOLDER / "diffractive_optics" / "measured.npz")["mask"]
    test = np.load(FOLDER / "diffractive_optics" / "test.npz")
    shifts = {"in place": np.zeros((3, 2)), "misplaced": np.array([[0.4, -0.25], [-0.3, 0.5], [0.15, 0.35]])}
    right = {
        name: np.mean([model.powers(image, mask, shift).argmax() for image in test["image"]] == test["digit"])
        for name, shift in shifts.items()
    }
    assert right["in place"] > 0.97
    assert right["misplaced"] < 0.5


def test_compiled_optics_are_those_of_numpy():
    model, mask = program("diffractive_optics", "diffractive_optics"), np.random.default_rng(4).normal(size=(3, 20, 20))
    data = {name: rows[:6] for name, rows in np.load(FOLDER / "diffractive_optics" / "test.npz").items()}
    np.testing.assert_allclose(
        gm.density(model, data).log_density({"mask": mask}), float(model(mask, **data)), rtol=1e-10
    )


@pytest.mark.campaign
def test_measured_powers_tell_where_the_masks_are():
    measured = dict(np.load(FOLDER / "diffractive_optics" / "measured.npz"))
    model = program("diffractive_optics", "misalignment")
    draws = gm.sample(model, measured, seed=1, chains=2, warmup=200, draws=200, progress="none")["posterior"]["shift"]
    wanted = np.array([[0.4, -0.25], [-0.3, 0.5], [0.15, 0.35]])
    error = draws.mean(("chain", "draw")).values - wanted
    assert np.all(np.abs(error) < 5.0 * draws.std(("chain", "draw")).values)
    assert np.all(draws.std(("chain", "draw")).values < 0.06)
