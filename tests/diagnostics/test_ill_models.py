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

import gradmc as gm
from gradmc import Data, Interval, Negative, Ordered, Positive, Real
from gradmc.diagnostics import diagnose
from gradmc.lpdf import gamma, half_cauchy, normal, student_t
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
    """Chains start 1e6 away from the mode of y, where the density falls evenly."""
    return normal(x, 0.0, 1.0) - abs(y - 1e6)


@gm.model
def needle(x: Real):
    """A narrow needle without sides: with a step that suits the rest, a chain that gets there does not get away."""
    lp = normal(x, 0.0, 1.0)
    if abs(x - 0.5) < 0.001:
        lp += 16.0
    return lp


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
        "stuck",
        needle,
        "r_hat",
        ("stuck (new values in", "a density that is not smooth where the chain stands"),
        settings={"warmup": 20, "draws": 20_000},
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
    if case.check == "divergences":
        assert ("funnel" in found[case.check]) == (case.name == "funnel")
        assert ("not finite" in found[case.check]) == (case.name != "funnel")
    (check,) = (check for check in diagnosis.failures if check.name == case.check)
    assert check.value is not None
    assert any(character.isdigit() for character in check.finding), "a finding cites its numbers"
    at_once = [check for check in diagnosis.failures if check.name in ("divergences", "acceptance", "tree_depth")]
    assert [str(w.message) for w in caught] == [f"{check.finding}; {check.advice}" for check in at_once]


SIMPLE = {"metric": "diagonal", "start": "uniform"}
"""What compiles soonest: a model that is well does not need more."""

FOLLOWED: dict[str, tuple[Model, dict[str, Any]]] = {
    "funnel": (non_centred, {"target_accept": 0.95}),
    "lesser mode": (lesser_mode, {"initial": {"mu": 10.0, "x": [0.0, 0.0]}}),
    "ridge": (ridge, {"metric": "dense"}),
    "drift": (long_way, {"warmup": 300, "max_tree_depth": 10, "initial": {"x": 0.0, "y": 1e6}}),
    "too short": (healthy, {"draws": 40 * 10}),
    "no warmup": (healthy, {"warmup": 300}),
    "log-scale funnel": (neal_non_centred, SIMPLE),
    "two modes": (one_of_two_modes, SIMPLE | {"initial": None}),
    "swapped labels": (ordered_labels, SIMPLE | {"initial": None, "draws": 1500}),
    "heavy tails": (lighter_tails, SIMPLE),
    "wall": (no_wall, SIMPLE),
    "gradient that is not finite": (no_trap, SIMPLE),
    "density that is no number": (a_number, SIMPLE),
    "flat direction": (the_sum, SIMPLE),
    "banana": (straight_banana, SIMPLE),
    "stuck": (no_needle, SIMPLE | {"draws": 400}),
}
"""By illness, the model and the settings after its advice was followed."""


def test_every_advice_is_followed() -> None:
    assert set(FOLLOWED) == {case.name for case in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLLOWED)
def test_following_the_advice_helps(name: str) -> None:
    (case,) = (case for case in CASES if case.name == name)
    model, settings = FOLLOWED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diagnosis = diagnose(run(model, case.data, case.settings | settings))
    assert case.check not in {check.name for check in diagnosis.failures}, str(diagnosis)


@pytest.mark.parametrize(("model", "data"), [(healthy, {}), (non_centred, SCHOOLS)], ids=["healthy", "non-centred"])
def test_healthy_models_are_silent(model: Model, data: dict[str, Any]) -> None:
    diagnosis = diagnose(run(model, data, {"draws": 800, "target_accept": 0.95}))
    assert diagnosis.passed, diagnosis.failures
    assert not [check.advice for check in diagnosis.checks if check.advice]
