"""Models made to have one illness each: it is named, with numbers and the remedy that fits; healthy ones are silent.

Every illness is strong, so that the outcome does not hang on the seed.
"""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc.diagnostics import diagnose
from gradmc.diagnostics.verdict import Diagnosis
from gradmc.program.model import Model
from tests.diagnostics import ill_models as ill
from tests.diagnostics.ill_models import GROUPS, S, Y


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
        ill.centred,
        "divergences",
        ("where tau is small", "non-centred form"),
        {"y": Y, "s": S},
        {"metric": "diagonal", "draws": 1500},
    ),
    Case("log-scale funnel", ill.neal, "bfmi", ("explored the energies slowly", "non-centred")),
    Case(
        "two modes",
        ill.two_modes,
        "r_hat",
        ("chains 0, 2 stay near -", "chains 1, 3 near ", "several modes"),
        settings={"initial": [{"mu": -10.0}, {"mu": 10.0}] * 2},
    ),
    Case(
        "swapped labels",
        ill.swapped_labels,
        "r_hat",
        ("m[", "order or constrain what can be swapped"),
        {"y": GROUPS},
        {"initial": [{"m": [-6.0, 6.0]}, {"m": [6.0, -6.0]}] * 2},
    ),
    Case(
        "lesser mode",
        ill.lesser_mode,
        "r_hat",
        ("the log density of chain 1 is 120 above that of chains 0, 2, 3", "Start all chains from a draw of chain 1"),
        settings={"initial": [{"mu": mu, "x": [0.0, 0.0]} for mu in (-10.0, 10.0, -10.0, -10.0)]},
    ),
    Case("heavy tails", ill.heavy_tails, "bfmi", ("the tails are heavy",)),
    Case(
        "ridge",
        ill.ridge,
        "tree_depth",
        ("cut off at the largest tree depth", 'metric="dense"'),
        settings={"metric": "diagonal", "max_tree_depth": 4},
    ),
    Case(
        "wall",
        ill.wall,
        "divergences",
        ("all of them where the density or its", "where mu is large", "look at the prior of mu", "if mu > 0.0:"),
    ),
    Case(
        "gradient that is not finite",
        ill.trap,
        "divergences",
        ("all of them where the gradient is not finite", "its gradient with respect to x", "jnp.sqrt(jnp.maximum("),
    ),
    Case("density that is no number", ill.no_number, "divergences", ("the log density is nan", "math.log(x + 1.5)")),
    Case("flat direction", ill.only_the_sum, "ess", ("too few effective draws of", "reparameterise"), {"y": Y}),
    Case("banana", ill.banana, "r_hat", ("the chains disagree about", " and ", "R-hat ")),
    Case(
        "drift",
        ill.long_way,
        "r_hat",
        ("still drift", "warm up longer"),
        settings={"warmup": 30, "max_tree_depth": 3, "start": "uniform"},
    ),
    Case(
        "funnel of one",
        ill.one_narrow,
        "divergences",
        ("x varies little where s is small", "non-centred form (mean + s * standard normal)"),
    ),
    Case(
        "funnel by a precision",
        ill.precise,
        "divergences",
        ("the entries of x lie close together where p is large", "non-centred form (mean + its scale"),
        settings={"draws": 1500},
    ),
    Case("steep wall", ill.steep_wall, "divergences", ("raise target_accept to 0.95", "if they stay, reparameterise")),
    Case(
        "curve",
        ill.curve,
        "divergences",
        ("is large (median", "look at the prior of"),  # of a, or of b, which follows it
        settings={"draws": 1500},
    ),
    Case(
        "one chain elsewhere",
        ill.side_funnel,
        "divergences",
        ("all of them in chain 3", "see first whether chain 3 stands where the others do"),
        settings={"initial": [{"x": 0.0, "y": 0.0}] * 3 + [{"x": 36.0, "y": 0.0}]},
    ),
    Case("jumps", ill.jumps, "tree_depth", ("of 1,600 trajectories", "or the density jumps", "see `gradmc check`")),
    Case(
        "trees too small",
        ill.linked,
        "r_hat",
        ("the chains move slowly", "see first to the trajectories that are cut off", 'or try metric="dense"'),
        settings={"metric": "diagonal", "draws": 1000, "max_tree_depth": 4},
    ),
    Case(
        "short trajectories",
        ill.healthy,
        "r_hat",
        ("the chains move slowly", "draw more"),
        settings={"kernel": gm.Hmc(integration_time=0.05), "draws": 200},
    ),
    Case(
        "collapsed step size",
        ill.rough,
        "acceptance",
        ("the step size of chains 0, 1, 2, 3 shrank to", "as where the density jumps", "see `gradmc check`"),
        settings={"draws": 100},
    ),
    Case(
        "short warmup",
        ill.uneven,
        "acceptance",
        ("chains 0, 1, 2, 3 accepted only", "warmup of 5 was too short"),
        data={"scales": np.logspace(-4, 0, 10)},
        settings={"warmup": 5, "metric": "diagonal", "start": "uniform"},
    ),
    Case(
        "wrong gradient",
        ill.wrong_gradient,
        "self_check",
        ("the gradient is not the derivative", "return told_wrongly(x)", "gm.check, and change the line"),
    ),
    Case(
        "draws that are not finite",
        ill.ratio,
        "finite",
        ("ratio has draws that are infinite", "how these quantities are"),
    ),
    Case(
        "hardly any draws",
        ill.healthy,
        "draws",
        ("there are only 3 draws per chain", "draw more"),
        settings={"draws": 3},
    ),
    Case(
        "stuck",
        ill.needle,
        "r_hat",
        ("stuck (new values in", "a density that is not smooth where the chain stands"),
        settings={"warmup": 100, "draws": 20_000},
    ),
    Case("too short", ill.healthy, "ess", ("times as many",), settings={"draws": 40}),
    Case(
        "no warmup",
        ill.healthy,
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
    assert not diagnosis.passed, str(diagnosis)
    found = {check.name: f"{check.finding}. {check.advice}" for check in diagnosis.failures}
    assert case.check in found, found
    assert all(word in found[case.check] for word in case.words), found[case.check]
    assert all(followed.advice in found[case.check] for followed in FOLLOWED if followed.case == case.name), found
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
    Followed("funnel", "in non-centred form", ill.non_centred, {"target_accept": 0.95}),
    Followed("funnel", "raise target_accept to 0.95", ill.centred, {"target_accept": 0.95}, cures=False),
    Followed("log-scale funnel", "reparameterise (non-centred)", ill.neal_non_centred, SIMPLE),
    Followed("two modes", "constrain what can be swapped", ill.one_of_two_modes, SIMPLE | {"initial": None}),
    Followed("swapped labels", "order or", ill.ordered_labels, SIMPLE | {"initial": None, "draws": 1500}),
    Followed("lesser mode", "from a draw of chain 1", ill.lesser_mode, {"initial": {"mu": 10.0, "x": [0.0, 0.0]}}),
    Followed("heavy tails", "lighter tails", ill.lighter_tails, SIMPLE),
    Followed("ridge", 'metric="dense"', ill.ridge, {"metric": "dense"}),
    Followed("ridge", "rescale", ill.sum_and_difference),
    Followed("ridge", "raise max_tree_depth", ill.ridge, {"max_tree_depth": 12}),
    Followed("wall", "look at the prior of mu", ill.no_wall, SIMPLE),
    Followed("gradient that is not finite", "its gradient with respect to x", ill.no_trap, SIMPLE),
    Followed("density that is no number", "math.log(x + 1.5)", ill.a_number, SIMPLE),
    Followed("flat direction", "reparameterise", ill.the_sum, SIMPLE),
    Followed("banana", "reparameterise", ill.straight_banana, SIMPLE),
    Followed("drift", "start nearer to the posterior", ill.long_way, {"initial": {"x": 0.0, "y": 1e4}}),
    Followed("drift", "warm up longer", ill.long_way, {"warmup": 1000, "max_tree_depth": 10}),
    Followed("stuck", "a density that is not smooth", ill.no_needle, SIMPLE | {"draws": 400}),
    Followed("too short", "times as many", ill.healthy, {"draws": 40 * 10}),
    Followed("no warmup", "add some hundred warmup transitions", ill.healthy, {"warmup": 300}),
    Followed("no warmup", "or make it smaller", ill.healthy, {"step_size": 0.5}),
    Followed("funnel of one", "in non-centred form", ill.one_non_centred, SIMPLE),
    Followed("funnel by a precision", "in non-centred form", ill.precise_non_centred, SIMPLE),
    Followed("steep wall", "raise target_accept to 0.95", ill.steep_wall, {"target_accept": 0.95}, cures=False),
    Followed("steep wall", "reparameterise", ill.wall_as_a_bound, SIMPLE),
    Followed("curve", "and raise target_accept to 0.95", ill.flat_curve, {"target_accept": 0.95}),
    Followed("one chain elsewhere", "see first whether", ill.side_funnel, {"initial": {"x": 0.0, "y": 0.0}}),
    Followed("jumps", "`gradmc check`", ill.smooth, SIMPLE),
    Followed("trees too small", 'metric="dense"', ill.linked, {"metric": "dense"}),
    Followed("trees too small", "trajectories that are cut off", ill.linked, {"max_tree_depth": 10, "draws": 4000}),
    Followed("short trajectories", "draw more", ill.healthy, {"draws": 10_000}),
    Followed("collapsed step size", "`gradmc check`", ill.smooth, SIMPLE),
    Followed("short warmup", "warm up longer, some hundred", ill.uneven, {"warmup": 300}),
    Followed("wrong gradient", "change the line", ill.right_gradient),
    Followed("draws that are not finite", "how these quantities are computed", ill.finite_ratio, SIMPLE),
    Followed("hardly any draws", "draw more", ill.healthy, {"draws": 400}),
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


@pytest.mark.parametrize("model", [ill.rough, ill.jumps], ids=lambda model: model.name)
def test_the_check_that_is_advised_names_the_jump(model: Model) -> None:
    assert any("floor" in str(finding) for finding in gm.check(model, {}).findings)


def test_copies_go_where_each_chain_has_a_seed_of_its_own() -> None:
    runs = [run(ill.healthy, {}, SIMPLE | {"chains": 2, "seed": seed}) for seed in (3, 3, 4)]

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
        (pareto,) = diagnose(gm.approximate(ill.lighter_tails_yet, seed=1)).failures
    assert pareto.name == "pareto_k"
    assert "use gm.sample" in pareto.advice
    assert diagnose(run(ill.lighter_tails_yet, {}, {"draws": 3000})).passed


@pytest.mark.parametrize(
    ("model", "data"), [(ill.healthy, {}), (ill.non_centred, SCHOOLS)], ids=["healthy", "non-centred"]
)
def test_healthy_models_are_silent(model: Model, data: dict[str, Any]) -> None:
    diagnosis = diagnose(run(model, data, {"draws": 800, "target_accept": 0.95}))
    assert diagnosis.passed, diagnosis.failures
    assert not [check.advice for check in diagnosis.checks if check.advice]
