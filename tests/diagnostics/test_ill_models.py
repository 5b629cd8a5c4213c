"""Models made to have one illness each: it is named, with numbers and the remedy that fits; healthy ones are silent.

Every illness is strong, so that the outcome does not hang on the seed.
"""

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc import Data, Interval, Negative, Ordered, Positive, Real
from gradmc.diagnostics import diagnose
from gradmc.diagnostics.verdict import Diagnosis
from gradmc.lpdf import gamma, half_cauchy, lognormal, normal, student_t
from gradmc.program.model import Model

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
S = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
GROUPS = np.concatenate([np.linspace(-8, -4, 10), np.linspace(4, 8, 10)])


@gm.model
def centred(mu: Real, tau: Positive, theta: Real["n"], *, y: Data["n"], s: Data["n"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau) + normal(y[j], theta[j], s[j])
    return lp


@gm.model
def neal(v: Real, x: Real[9]):
    return normal(v, 0.0, 3.0) + normal(x, 0.0, math.exp(v / 2))


@gm.model
def two_modes(mu: Real):
    return np.logaddexp(normal(mu, -10.0, 0.5), normal(mu, 10.0, 0.5))


@gm.model
def lesser_mode(mu: Real, x: Real[2]):
    """One of two modes holds all of the mass."""
    return np.logaddexp(normal(mu, -10.0, 0.5) - 120.0, normal(mu, 10.0, 0.5)) + normal(x, 0.0, 1.0)


@gm.model
def swapped_labels(m: Real[2], *, y: Data["n"]):
    lp = normal(m, 0.0, 10.0)
    for i in range(len(y)):
        lp += np.logaddexp(normal(y[i], m[0], 1.0), normal(y[i], m[1], 1.0))
    return lp


@gm.model
def heavy_tails(x: Real[20]):
    return student_t(x, 0.5, 0.0, 1.0)


@gm.model
def ridge(a: Real, b: Real):
    return normal(a + b, 0.0, 0.001) + normal(a - b, 0.0, 1.0)


@gm.model
def wall(mu: Real, x: Real):
    lp = normal(x, 0.0, 1.0) + mu
    if mu > 0.0:
        lp = -math.inf
    return lp


@gm.model
def trap(x: Real, y: Real):
    """The gradient is NaN where x < -1, since the square root has no derivative at 0; the density is finite."""
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.1 * jnp.sqrt(jnp.maximum(x + 1.0, 0.0))
    return lp


@gm.model
def no_number(x: Real, y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.01 * math.log(x + 1.5)
    return lp


@gm.model
def only_the_sum(a: Real, b: Real, *, y: Data["n"]):
    return normal(y, a + b, 10.0)


@gm.model
def banana(x: Real, y: Real):
    return normal(x, 0.0, 3.0) + normal(y, x**2, 0.02)


@gm.model
def long_way(x: Real, y: Real):
    """Chains start 10,000 away from the mode of y, where the density falls evenly."""
    return normal(x, 0.0, 1.0) - abs(y - 1e4)


@gm.model
def needle(x: Real):
    """A narrow needle without sides: with a step that suits the rest, a chain that gets there does not get away."""
    lp = normal(x, 0.0, 1.0)
    if abs(x - 0.5) < 0.001:
        lp += 16.0
    return lp


@gm.model
def one_narrow(s: Positive, x: Real):
    return lognormal(s, 0.0, 2.0) + normal(x, 0.0, s)


@gm.model
def precise(p: Real, x: Real[4]):
    return normal(p, 0.0, 2.0) + normal(x, 0.0, math.exp(-p))


@gm.model
def steep_wall(x: Real, y: Real):
    return normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0) - math.exp(40.0 * (x - 1.5))


@gm.model
def rough(x: Real[3]):
    """The density jumps at every billionth."""
    lp = normal(x, 0.0, 1.0)
    for i in range(3):
        lp += 50.0 * (math.floor(x[i] * 1e9) % 3)
    return lp


@gm.model
def uneven(x: Real["n"], *, scales: Data["n"]):
    return normal(x, 0.0, scales)


@gm.model
def jumps(x: Real[2]):
    """The density jumps by 1.5, at every quarter."""
    lp = normal(x, 0.0, 1.0)
    for i in range(2):
        lp += 1.5 * (math.floor(x[i] * 4.0) % 2)
    return lp


@gm.model
def linked(x: Real[4]):
    lp = normal(x[0], 0.0, 1.0)
    for i in range(1, 4):
        lp += normal(x[i], x[i - 1], 0.05)
    return lp


@gm.model
def curve(a: Real, b: Real):
    return normal(a, 0.0, 1.0) + normal(b, math.exp(2 * a), 0.05)


@gm.model
def side_funnel(x: Real, y: Real):
    """A lesser mode that narrows."""
    side = normal(x, 30.0, 1.0) + normal(y, 0.0, 0.01 + math.exp(30.0 - x))
    return np.logaddexp(normal(x, 0.0, 1.0), side) + normal(y, 0.0, 1.0)


def half_square(x):
    return -0.5 * float(np.sum(x**2))


told_wrongly = gm.external(half_square, gradient=lambda x: -2.0 * x)
told_rightly = gm.external(half_square, gradient=lambda x: -x)


@gm.model
def wrong_gradient(x: Real[2]):
    return told_wrongly(x)


@gm.model
def ratio(mu: Real):
    gm.record("ratio", 1.0 / max(mu, 0.0))
    return normal(mu, 0.0, 1.0)


@gm.model
def lighter_tails_yet(x: Real[20]):
    """No normal approximation has such tails, but chains reach them."""
    return student_t(x, 3.0, 0.0, 1.0)


@gm.model
def healthy(mu: Real, x: Positive[3]):
    return normal(mu, 0.0, 1.0) + gamma(x, 3.0, 2.0)


@gm.model
def non_centred(mu: Real, tau: Positive, z: Real["n"], *, y: Data["n"], s: Data["n"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(z[j], 0.0, 1.0) + normal(y[j], mu + tau * z[j], s[j])
    return lp


@gm.model
def neal_non_centred(v: Real, z: Real[9]):
    return normal(v, 0.0, 3.0) + normal(z, 0.0, 1.0)


@gm.model
def one_of_two_modes(mu: Positive):
    return np.logaddexp(normal(mu, -10.0, 0.5), normal(mu, 10.0, 0.5))


@gm.model
def ordered_labels(m: Ordered[2], *, y: Data["n"]):
    lp = normal(m, 0.0, 10.0)
    for i in range(len(y)):
        lp += np.logaddexp(normal(y[i], m[0], 1.0), normal(y[i], m[1], 1.0))
    return lp


@gm.model
def lighter_tails(x: Real[20]):
    return student_t(x, 5.0, 0.0, 1.0)


@gm.model
def no_wall(mu: Negative, x: Real):
    return normal(x, 0.0, 1.0) + mu


@gm.model
def no_trap(x: Real, y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.1 * jnp.sqrt(jnp.maximum(x + 1.0, 0.01))
    return lp


@gm.model
def a_number(x: Interval(-1.5, None), y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.01 * math.log(x + 1.5)
    return lp


@gm.model
def the_sum(total: Real, *, y: Data["n"]):
    return normal(y, total, 10.0)


@gm.model
def straight_banana(x: Real, z: Real):
    gm.record("y", x**2 + 0.02 * z)
    return normal(x, 0.0, 3.0) + normal(z, 0.0, 1.0)


@gm.model
def no_needle(x: Real):
    return normal(x, 0.0, 1.0)


@gm.model
def flat_curve(a: Real, b: Real):
    return normal(a, -1.0, 0.2) + normal(b, math.exp(2 * a), 0.05)


@gm.model
def sum_and_difference(total: Real, gap: Real):
    return normal(total, 0.0, 0.001) + normal(gap, 0.0, 1.0)


@gm.model
def one_non_centred(s: Positive, z: Real):
    return lognormal(s, 0.0, 2.0) + normal(z, 0.0, 1.0)


@gm.model
def precise_non_centred(p: Real, z: Real[4]):
    return normal(p, 0.0, 2.0) + normal(z, 0.0, 1.0)


@gm.model
def smooth(x: Real[3]):
    return normal(x, 0.0, 1.0)


@gm.model
def right_gradient(x: Real[2]):
    return told_rightly(x)


@gm.model
def finite_ratio(mu: Real):
    gm.record("ratio", 1.0 / max(mu, 0.01))
    return normal(mu, 0.0, 1.0)


@gm.model
def wall_as_a_bound(x: Interval(None, 1.5), y: Real):
    return normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)


@dataclass(frozen=True)
class Case:
    """A model, how it is sampled, and pieces of the finding or advice expected of a check."""

    name: str
    model: Model
    check: str
    words: tuple[str, ...]
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


SCHOOLS = {"y": Y, "s": S}
CASES = [
    Case(
        "funnel",
        centred,
        "divergences",
        ("where tau is small", "non-centred form"),
        {"y": Y, "s": S},
        {"metric": "diagonal", "draws": 1500},
    ),
    Case("log-scale funnel", neal, "bfmi", ("explored the energies slowly", "non-centred")),
    Case(
        "two modes",
        two_modes,
        "r_hat",
        ("chains 0, 2 stay near -", "chains 1, 3 near ", "several modes"),
        settings={"initial": [{"mu": -10.0}, {"mu": 10.0}] * 2},
    ),
    Case(
        "swapped labels",
        swapped_labels,
        "r_hat",
        ("m[", "order or constrain what can be swapped"),
        {"y": GROUPS},
        {"initial": [{"m": [-6.0, 6.0]}, {"m": [6.0, -6.0]}] * 2},
    ),
    Case(
        "lesser mode",
        lesser_mode,
        "r_hat",
        ("the log density of chain 1 is 120 above that of chains 0, 2, 3", "Start all chains from a draw of chain 1"),
        settings={"initial": [{"mu": mu, "x": [0.0, 0.0]} for mu in (-10.0, 10.0, -10.0, -10.0)]},
    ),
    Case("heavy tails", heavy_tails, "bfmi", ("the tails are heavy",)),
    Case(
        "ridge",
        ridge,
        "tree_depth",
        ("cut off at the largest tree depth", 'metric="dense"'),
        settings={"metric": "diagonal", "max_tree_depth": 4},
    ),
    Case(
        "wall",
        wall,
        "divergences",
        ("all of them where the density or its", "where mu is large", "look at the prior of mu", "if mu > 0.0:"),
    ),
    Case(
        "gradient that is not finite",
        trap,
        "divergences",
        ("all of them where the gradient is not finite", "its gradient with respect to x", "jnp.sqrt(jnp.maximum("),
    ),
    Case("density that is no number", no_number, "divergences", ("the log density is nan", "math.log(x + 1.5)")),
    Case("flat direction", only_the_sum, "ess", ("too few effective draws of", "reparameterise"), {"y": Y}),
    Case("banana", banana, "r_hat", ("the chains disagree about", " and ", "R-hat 1.")),
    Case(
        "drift",
        long_way,
        "r_hat",
        ("still drift", "warm up longer"),
        settings={"warmup": 30, "max_tree_depth": 3, "start": "uniform"},
    ),
    Case(
        "funnel of one",
        one_narrow,
        "divergences",
        ("x varies little where s is small", "non-centred form (mean + s * standard normal)"),
    ),
    Case(
        "funnel by a precision",
        precise,
        "divergences",
        ("the entries of x lie close together where p is large", "non-centred form (mean + its scale"),
    ),
    Case("steep wall", steep_wall, "divergences", ("raise target_accept to 0.95", "if they stay, reparameterise")),
    Case("curve", curve, "divergences", ("mostly where a is large", "look at the prior of a, and raise target_accept")),
    Case(
        "one chain elsewhere",
        side_funnel,
        "divergences",
        ("all of them in chain 3", "see first whether chain 3 stands where the others do"),
        settings={"initial": [{"x": 0.0, "y": 0.0}] * 3 + [{"x": 36.0, "y": 0.0}]},
    ),
    Case("jumps", jumps, "tree_depth", ("of 1,600 trajectories", "or the density jumps", "see `gradmc check`")),
    Case(
        "trees too small",
        linked,
        "r_hat",
        ("the chains move slowly", "see first to the trajectories that are cut off", 'or try metric="dense"'),
        settings={"metric": "diagonal", "draws": 100, "max_tree_depth": 4},
    ),
    Case(
        "short trajectories",
        healthy,
        "r_hat",
        ("the chains move slowly", "draw more"),
        settings={"kernel": gm.Hmc(integration_time=0.05), "draws": 200},
    ),
    Case(
        "collapsed step size",
        rough,
        "acceptance",
        ("the step size of chains 0, 1, 2, 3 shrank to", "as where the density jumps", "see `gradmc check`"),
        settings={"draws": 100},
    ),
    Case(
        "short warmup",
        uneven,
        "acceptance",
        ("chains 0, 1, 2, 3 accepted only", "warmup of 5 was too short"),
        data={"scales": np.logspace(-4, 0, 10)},
        settings={"warmup": 5, "metric": "diagonal", "start": "uniform"},
    ),
    Case(
        "wrong gradient",
        wrong_gradient,
        "self_check",
        ("the gradient is not the derivative", "return told_wrongly(x)", "gm.check, and change the line"),
    ),
    Case(
        "draws that are not finite", ratio, "finite", ("ratio has draws that are infinite", "how these quantities are")
    ),
    Case(
        "hardly any draws", healthy, "draws", ("there are only 3 draws per chain", "draw more"), settings={"draws": 3}
    ),
    Case(
        "stuck",
        needle,
        "r_hat",
        ("stuck (new values in", "a density that is not smooth where the chain stands"),
        settings={"warmup": 100, "draws": 20_000},
    ),
    Case("too short", healthy, "ess", ("times as many",), settings={"draws": 40}),
    Case(
        "no warmup",
        healthy,
        "acceptance",
        ("accepted only", "add some hundred warmup transitions"),
        settings={"warmup": 0, "step_size": 4.0, "metric": "diagonal", "start": "uniform"},
    ),
]


def run(model: Model, data: dict[str, Any], settings: dict[str, Any]) -> Any:
    chosen = {"chains": 4, "warmup": 300, "draws": 400, "seed": 3, "progress": "none"} | settings
    return gm.sample(model, data or None, **chosen)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_illness_is_named(case: Case) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = run(case.model, case.data, case.settings)
    diagnosis = diagnose(tree)
    assert not diagnosis.passed
    found = {check.name: f"{check.finding}. {check.advice}" for check in diagnosis.failures}
    assert case.check in found, found
    assert all(word in found[case.check] for word in case.words), found[case.check]
    assert all(followed.advice in found[case.check] for followed in FOLLOWED if followed.case == case.name)
    if case.check == "divergences":
        assert ("funnel" in found[case.check]) == ("funnel" in case.name)
    (check,) = (check for check in diagnosis.failures if check.name == case.check)
    assert check.value is not None
    assert any(character.isdigit() for character in check.finding), "a finding cites its numbers"
    at_once = [check for check in diagnosis.failures if check.name in ("divergences", "acceptance", "tree_depth")]
    said = [str(w.message) for w in caught]
    assert said[-len(at_once) :] == [f"{check.finding}; {check.advice}" for check in at_once] or not at_once
    assert len(said) == len(at_once) + (case.check == "self_check"), said


SIMPLE = {"metric": "diagonal", "start": "uniform"}
"""What compiles soonest: a model that is well does not need more."""


@dataclass(frozen=True)
class Followed:
    """A piece of the advice in a case, the model after it was followed, and the settings that change."""

    case: str
    advice: str
    model: Model
    settings: dict[str, Any] = field(default_factory=dict)
    cures: bool = True
    """Whether the check passes then; else what it counts is at most half."""


FOLLOWED = [
    Followed("funnel", "in non-centred form", non_centred, {"target_accept": 0.95}),
    Followed("funnel", "raise target_accept to 0.95", centred, {"target_accept": 0.95}, cures=False),
    Followed("log-scale funnel", "reparameterise (non-centred)", neal_non_centred, SIMPLE),
    Followed("two modes", "constrain what can be swapped", one_of_two_modes, SIMPLE | {"initial": None}),
    Followed("swapped labels", "order or", ordered_labels, SIMPLE | {"initial": None, "draws": 1500}),
    Followed("lesser mode", "from a draw of chain 1", lesser_mode, {"initial": {"mu": 10.0, "x": [0.0, 0.0]}}),
    Followed("heavy tails", "lighter tails", lighter_tails, SIMPLE),
    Followed("ridge", 'metric="dense"', ridge, {"metric": "dense"}),
    Followed("ridge", "rescale", sum_and_difference),
    Followed("ridge", "raise max_tree_depth", ridge, {"max_tree_depth": 12}),
    Followed("wall", "look at the prior of mu", no_wall, SIMPLE),
    Followed("gradient that is not finite", "its gradient with respect to x", no_trap, SIMPLE),
    Followed("density that is no number", "math.log(x + 1.5)", a_number, SIMPLE),
    Followed("flat direction", "reparameterise", the_sum, SIMPLE),
    Followed("banana", "reparameterise", straight_banana, SIMPLE),
    Followed("drift", "start nearer to the posterior", long_way, {"initial": {"x": 0.0, "y": 1e4}}),
    Followed("drift", "warm up longer", long_way, {"warmup": 1000, "max_tree_depth": 10}),
    Followed("stuck", "a density that is not smooth", no_needle, SIMPLE | {"draws": 400}),
    Followed("too short", "times as many", healthy, {"draws": 40 * 10}),
    Followed("no warmup", "add some hundred warmup transitions", healthy, {"warmup": 300}),
    Followed("no warmup", "or make it smaller", healthy, {"step_size": 0.5}),
    Followed("funnel of one", "in non-centred form", one_non_centred, SIMPLE),
    Followed("funnel by a precision", "in non-centred form", precise_non_centred, SIMPLE),
    Followed("steep wall", "raise target_accept to 0.95", steep_wall, {"target_accept": 0.95}, cures=False),
    Followed("steep wall", "reparameterise", wall_as_a_bound, SIMPLE),
    Followed("curve", "look at the prior of a, and raise target_accept", flat_curve, {"target_accept": 0.95}),
    Followed("one chain elsewhere", "see first whether", side_funnel, {"initial": {"x": 0.0, "y": 0.0}}),
    Followed("jumps", "`gradmc check`", smooth, SIMPLE),
    Followed("trees too small", 'metric="dense"', linked, {"metric": "dense"}),
    Followed("trees too small", "trajectories that are cut off", linked, {"max_tree_depth": 10, "draws": 4000}),
    Followed("short trajectories", "draw more", healthy, {"draws": 10_000}),
    Followed("collapsed step size", "`gradmc check`", smooth, SIMPLE),
    Followed("short warmup", "warm up longer, some hundred", uneven, {"warmup": 300}),
    Followed("wrong gradient", "change the line", right_gradient),
    Followed("draws that are not finite", "how these quantities are computed", finite_ratio, SIMPLE),
    Followed("hardly any draws", "draw more", healthy, {"draws": 400}),
]


def judged(case: Case, model: Model, settings: dict[str, Any]) -> Diagnosis:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return diagnose(run(model, case.data, case.settings | settings))


def test_every_advice_is_followed() -> None:
    assert {followed.case for followed in FOLLOWED} == {case.name for case in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("followed", FOLLOWED, ids=lambda followed: f"{followed.case}: {followed.advice}")
def test_following_the_advice_helps(followed: Followed) -> None:
    (case,) = (case for case in CASES if case.name == followed.case)
    diagnosis = judged(case, followed.model, followed.settings)
    failed = {check.name: check.value for check in diagnosis.failures}
    if followed.cures:
        assert case.check not in failed, str(diagnosis)
    else:
        before = {check.name: check.value for check in judged(case, case.model, {}).checks}
        assert failed.get(case.check, 0.0) <= before[case.check] / 2, str(diagnosis)


@pytest.mark.parametrize("model", [rough, jumps], ids=lambda model: model.name)
def test_the_check_that_is_advised_names_the_jump(model: Model) -> None:
    assert any("floor" in str(finding) for finding in gm.check(model, {}).findings)


def test_copies_go_where_each_chain_has_a_seed_of_its_own() -> None:
    runs = [run(healthy, {}, SIMPLE | {"chains": 2, "seed": seed}) for seed in (3, 3, 4)]

    def together(one: Any, other: Any) -> Diagnosis:
        groups = ("posterior", "sample_stats")
        apart = {
            g: [r[g].to_dataset().assign_coords(chain=[2 * k, 2 * k + 1]) for k, r in enumerate((one, other))]
            for g in groups
        }
        return diagnose(xr.DataTree.from_dict({g: xr.concat(parts, "chain") for g, parts in apart.items()}))

    (copies,) = (check for check in together(runs[0], runs[1]).failures if check.name == "copies")
    assert copies.advice == "draw each chain with a number or a seed of its own"
    assert "copies" not in {check.name for check in together(runs[0], runs[2]).checks}


def test_sampling_goes_where_an_approximation_does_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (pareto,) = diagnose(gm.approximate(lighter_tails_yet, seed=1)).failures
    assert pareto.name == "pareto_k"
    assert "use gm.sample" in pareto.advice
    assert diagnose(run(lighter_tails_yet, {}, {"draws": 1000})).passed


@pytest.mark.parametrize(("model", "data"), [(healthy, {}), (non_centred, SCHOOLS)], ids=["healthy", "non-centred"])
def test_healthy_models_are_silent(model: Model, data: dict[str, Any]) -> None:
    diagnosis = diagnose(run(model, data, {"draws": 800, "target_accept": 0.95}))
    assert diagnosis.passed, diagnosis.failures
    assert not [check.advice for check in diagnosis.checks if check.advice]
