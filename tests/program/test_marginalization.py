"""`gm.marginalize` against sums over all states, `gm.draw_states` against their joint distribution."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

import gradmc as gm
from gradmc import Data, Real, Simplex
from gradmc.errors import UsageError
from gradmc.lpdf import normal

RNG = np.random.default_rng(5)
Y = RNG.normal(size=5)
MU, INITIAL = np.array([-1.0, 0.2, 1.5]), np.array([0.5, 0.3, 0.2])
WAYS = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.3, 0.4]])


@gm.model
def mixture(mu: Real[3], weight: Simplex[3], *, y: Data["n"]):
    lp = normal(mu, 0.0, 2.0)
    for i in range(len(y)):
        lp += gm.observe("y", gm.marginalize("component", [normal(y[i], mu[k], 1.0) for k in range(3)], weight))
    return lp


@gm.model
def chain(mu: Real[3], initial: Simplex[3], *, y: Data["n"], ways: Data["k", "k"]):
    """`ways` has a zero: a state that cannot follow."""
    scores = np.zeros((len(y), 3))
    for t in range(len(y)):
        for k in range(3):
            scores[t, k] = normal(y[t], mu[k], 1.0)
    return normal(mu, 0.0, 2.0) + np.sum(gm.observe("y", gm.marginalize("state", scores, initial, ways)))


@gm.model
def varying(mu: Real[3], initial: Simplex[3], *, y: Data["n"], ways: Data["m", 3, 3]):
    scores = np.zeros((len(y), 3))
    for t in range(len(y)):
        for k in range(3):
            scores[t, k] = normal(y[t], mu[k], 1.0)
    return normal(mu, 0.0, 2.0) + np.sum(gm.observe("y", gm.marginalize("state", scores, initial, ways)))


def log_normal(y, mu):
    return -0.5 * (y - mu) ** 2 - 0.5 * np.log(2 * np.pi)


def paths(ways):
    """All paths of five states with their log joint densities."""
    found = list(itertools.product(range(3), repeat=len(Y)))
    with np.errstate(divide="ignore"):
        scores = [
            np.log(INITIAL[p[0]])
            + sum(np.log(ways[t][p[t], p[t + 1]]) for t in range(len(Y) - 1))
            + sum(log_normal(Y[t], MU[p[t]]) for t in range(len(Y)))
            for p in found
        ]
    return np.array(found), np.array(scores)


PRIOR = np.sum(-0.5 * (MU / 2) ** 2 - 0.5 * np.log(2 * np.pi * 4))


@pytest.fixture(scope="module")
def mixed():
    return gm.density(mixture, {"y": Y})


@pytest.fixture(scope="module")
def chained():
    return gm.density(chain, {"y": Y, "ways": WAYS})


def expanded(density, weight):
    x = density.unconstrain({"mu": MU, weight: INITIAL})
    with density.scope():
        return density.expand(x, density.arguments)


def test_a_mixture_is_the_sum_over_its_components(mixed):
    joint = np.log(INITIAL) + log_normal(Y[:, None], MU)
    value = mixed.log_density({"mu": MU, "weight": INITIAL})
    np.testing.assert_allclose(value, PRIOR + logsumexp(joint, axis=1).sum(), rtol=1e-12)
    np.testing.assert_allclose(mixture(MU, INITIAL, y=Y), value, rtol=1e-12)
    found = expanded(mixed, "weight")["posterior"]["component_probability"]
    np.testing.assert_allclose(found, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), rtol=1e-10)


def test_a_chain_is_the_sum_over_all_paths(chained):
    states, scores = paths([WAYS] * 4)
    value = chained.log_density({"mu": MU, "initial": INITIAL})
    np.testing.assert_allclose(value, PRIOR + logsumexp(scores), rtol=1e-12)
    groups = expanded(chained, "initial")
    np.testing.assert_allclose(np.sum(np.asarray(groups["log_likelihood"]["y"])), logsumexp(scores), rtol=1e-12)
    weights = np.exp(scores - logsumexp(scores))
    wanted = [[weights[states[:, t] == k].sum() for k in range(3)] for t in range(len(Y))]
    np.testing.assert_allclose(groups["posterior"]["state_probability"], wanted, rtol=1e-10)


def test_its_gradient_is_finite_where_a_state_cannot_follow(chained):
    x = chained.unconstrain({"mu": MU, "initial": INITIAL})
    gradient = chained.value_and_grad(x)[1]
    step = 1e-6
    slopes = [(chained(x + step * e) - chained(x - step * e)) / (2 * step) for e in np.eye(chained.dim)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-7)


def test_ways_may_change_with_time():
    ways = np.stack([WAYS, np.eye(3), WAYS[::-1], np.full((3, 3), 1 / 3)])
    states, scores = paths(ways)
    density = gm.density(varying, {"y": Y, "ways": ways})
    value = density.log_density({"mu": MU, "initial": INITIAL})
    np.testing.assert_allclose(value, PRIOR + logsumexp(scores), rtol=1e-12)
    weights = np.exp(scores - logsumexp(scores))
    wanted = [[weights[states[:, t] == k].sum() for k in range(3)] for t in range(len(Y))]
    np.testing.assert_allclose(expanded(density, "initial")["posterior"]["state_probability"], wanted, rtol=1e-10)


def tree_of(density, weight, count):
    """The same draw, many times."""
    import xarray as xr

    groups = expanded(density, weight)["posterior"]
    values = {name: np.broadcast_to(np.asarray(v), (1, count, *np.shape(v))) for name, v in groups.items()}
    dims = {name: ("chain", "draw", *(f"{name}_{i}" for i in range(v.ndim - 2))) for name, v in values.items()}
    return xr.DataTree.from_dict({"posterior": xr.Dataset({n: (dims[n], v) for n, v in values.items()})})


def test_drawn_states_have_their_probabilities(mixed):
    """4,000 draws: five standard errors of a share, p below 1e-5 for all 15."""
    count = 4000
    draws = gm.draw_states(mixed, None, tree_of(mixed, "weight", count), seed=1)["posterior"]
    assert draws["component"].dims[:2] == ("chain", "draw")
    shares = [(draws["component"].values[0] == k).mean(axis=0) for k in range(3)]
    wanted = draws["component_probability"].values[0, 0]
    np.testing.assert_allclose(np.transpose(shares), wanted, atol=5 * 0.5 / np.sqrt(count))


def test_drawn_paths_have_their_joint_probabilities(chained):
    """The shares of the commonest paths, which no product of single probabilities gives."""
    count = 8000
    states, scores = paths([WAYS] * 4)
    weights = np.exp(scores - logsumexp(scores))
    drawn = gm.draw_states(chained, None, tree_of(chained, "initial", count), seed=3)["posterior"]["state"].values[0]
    assert not np.any((drawn[:, :-1] == 1) & (drawn[:, 1:] == 0)), "a way that does not exist"
    for at in np.argsort(-weights)[:5]:
        share = np.mean(np.all(drawn == states[at], axis=1))
        assert abs(share - weights[at]) < 5 * np.sqrt(weights[at] / count)


@gm.model
def misshapen(weight: Simplex[2], *, y: Data["n"]):
    return gm.marginalize("component", [0.0, -1.0, y[0]], weight)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="3 scores need 3 probabilities"):
        gm.density(misshapen, {"y": Y})
    with pytest.raises(UsageError, match="a chain needs 3 probabilities of its first state"):
        gm.marginalize("state", np.zeros((4, 3)), None, np.eye(3))


def test_states_of_a_model_without_any(mixed):
    @gm.model
    def none(mu: Real):
        return normal(mu, 0.0, 1.0)

    with pytest.raises(UsageError, match="sums out no states"):
        gm.draw_states(none, {}, tree_of(mixed, "weight", 2))
