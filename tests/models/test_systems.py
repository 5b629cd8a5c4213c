"""The models of programs, physics and pictures against references that share no code with them."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.special import ellipj, ellipkinc, gammaln, logsumexp

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


def test_all_systems_are_shipped():
    assert {*SYSTEMS} < {path.parent.name for path in FOLDER.glob("*/run.toml")}
    assert OPTIMIZED == ("cnn_digits",)


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
    air, heater, integral, power = model.AMBIENT, 0.0, 0.0, 0.0
    limited = 0
    for _ in range(600):
        power, integral = model.controller(model.SETPOINT - air, integral, 0.04, 13.0)
        limited += power == 1.0
        air, heater = model.oven_step(air, heater, power, 120.0, 14.0, 4.0, 0.0)
    np.testing.assert_allclose([air, power], [80.0, 60.0 / 120.0], rtol=1e-6)
    assert limited > 3, "the power was at its limit first"


def test_gains_of_the_posterior_do_better_under_new_disturbances():
    """Means of the run of `run.toml`, against the gains that the record was made with."""
    model = module("adaptive_control")
    new = ((40, 55, -20.0), (75, 100, 15.0))
    plant = {"gain": 120.2, "lag": 13.97, "delay": 4.0}
    better = model.closed_loop_cost(**plant, proportional=0.043, reset=12.8, disturbances=new)
    assert better < model.closed_loop_cost(**plant, proportional=0.02, reset=8.0, disturbances=new)


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
