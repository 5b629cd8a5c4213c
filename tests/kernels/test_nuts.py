"""NUTS equals a slow recursive implementation, decision by decision; its choices have the law that they should."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels.metric import DiagonalMetric
from gradmc.kernels.nuts import Nuts, halves_are_turning, is_turning
from tests.goodness import assert_frequencies
from tests.kernels import nuts_reference
from tests.kernels.metrics import make_metric
from tests.kernels.transitions import Stepper, Transition
from tests.targets import DIM, exact_draws, family, member

type Run = Callable[..., Transition]

LAWS = ("normal", "funnel", "wall", "misled")


@pytest.fixture(scope="session")
def value_and_gradient() -> Callable[..., tuple[jax.Array, jax.Array]]:
    return jax.jit(jax.value_and_grad(family))


@pytest.fixture(scope="session")
def deep() -> Run:
    """Transitions with the standard settings."""
    return jax.jit(Stepper(Nuts()).run)


@pytest.fixture(scope="session")
def shallow() -> Run:
    """Transitions of at most three doublings."""
    return jax.jit(Stepper(Nuts(max_tree_depth=3, max_energy_error=1.0)).run)


@pytest.fixture(scope="session")
def many_draws() -> Callable[..., jax.Array]:
    """The draws of one trajectory for many keys."""

    def draw(key: jax.Array, *given: Any) -> jax.Array:
        return Stepper(Nuts()).run(*given, key, jnp.uint32(0)).draw.position

    return jax.jit(jax.vmap(draw, in_axes=(0, *[None] * 6)))


def numpy_density(value_and_gradient: Callable[..., tuple[jax.Array, jax.Array]], law: str) -> nuts_reference.Density:
    def density(q: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_and_gradient(q, member(law))
        return float(value), np.asarray(gradient)

    return density


def start_of(law: str, rng: np.random.Generator) -> np.ndarray:
    """Somewhere within the support, also in the tails."""
    x = 1.5 * rng.standard_normal(DIM)
    return np.array([abs(x[0]), min(x[1], 0.9), x[2]]) if law == "wall" else x


def compare(
    run: Run,
    reference: nuts_reference.Nuts,
    law: str,
    metric: Any,
    factor: np.ndarray,
    rng: np.random.Generator,
) -> nuts_reference.Result:
    """One transition of both from the same random start with the same bits."""
    key = rng.integers(0, 2**32, 2, dtype=np.uint32)
    plain_key = (int(key[0]), int(key[1]))
    number, directions = int(rng.integers(2**20)), int(rng.integers(2**32))
    position, momentum = start_of(law, rng), rng.standard_normal(DIM)
    got = run(
        jnp.asarray(position),
        jnp.asarray(momentum),
        jnp.asarray(member(law)),
        metric,
        jnp.asarray(reference.step_size),
        jnp.uint32(directions),
        jnp.asarray(key),
        jnp.uint32(number),
    )
    got = jax.tree.map(np.asarray, got)
    want = reference.transition(
        position,
        np.linalg.solve(factor.T, momentum),
        directions,
        nuts_reference.counted_uniforms(plain_key, number),
    )
    assert got.info.n_steps == want.n_steps
    assert got.info.tree_depth == want.depth
    assert got.info.diverging == want.diverging
    assert got.trajectory.tree.turning == want.turning or want.diverging  # either ends the transition
    assert got.info.reached_max_treedepth == (not want.diverging and not want.turning)
    close = {"rtol": 1e-6, "atol": 1e-8}  # rounding errors grow along a trajectory
    np.testing.assert_allclose(got.draw.position, want.draw.q, **close)
    np.testing.assert_allclose(got.draw.log_density, want.draw.log_density, **close)
    np.testing.assert_allclose(got.draw.gradient, want.draw.gradient, **close)
    np.testing.assert_allclose(got.draw.energy, want.draw.energy, **close)
    np.testing.assert_allclose(got.trajectory.tree.log_weight, want.log_weight, **close)
    np.testing.assert_allclose(got.trajectory.tree.rho, factor.T @ want.rho, **close)
    np.testing.assert_allclose(got.trajectory.ends.position[0], want.backward.q, **close)
    np.testing.assert_allclose(got.trajectory.ends.position[1], want.forward.q, **close)
    np.testing.assert_allclose(got.info.acceptance_rate, want.acceptance_sum / want.n_steps, **close)
    np.testing.assert_allclose(got.info.symmetric_acceptance, want.symmetric_sum / want.n_steps, **close)
    np.testing.assert_allclose(got.info.max_energy_error, want.max_energy_error, **close)
    start_energy = 0.5 * momentum @ momentum - reference.density(position)[0]
    np.testing.assert_allclose(got.info.energy_error, want.draw.energy - start_energy, **close)
    return want


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_equals_the_recursive_implementation(
    kind: str, law: str, rng: np.random.Generator, deep: Run, value_and_gradient: Any
) -> None:
    """Tree depth, ends, U-turns, divergences, statistics and the draw, from random starts with step sizes of all kinds.

    A funnel's transition diverges with probability 0.44 above a step size of 0.5, 0.6 above 1 and 0.7 above 1.5 (500
    transitions): that none of the 20 above 0.5 does has probability below 1e-6.
    """
    depths, diverged = set(), 0
    for k in range(60):
        metric, factor = make_metric(kind, rng, DIM)
        reference = nuts_reference.Nuts(
            density=numpy_density(value_and_gradient, law),
            inverse_mass=factor @ factor.T,
            step_size=float(0.02 * 125 ** ((k + rng.uniform()) / 60)),
        )
        result = compare(deep, reference, law, metric, factor, rng)
        depths.add(result.depth)
        diverged += result.diverging
    assert len(depths) >= 4, "the starts do not explore trees of many depths"
    assert diverged > 0 or law in ("normal", "misled")


@pytest.mark.parametrize("law", LAWS)
def test_equals_the_recursive_implementation_at_its_limits(
    law: str, rng: np.random.Generator, shallow: Run, value_and_gradient: Any
) -> None:
    """Few doublings are allowed and a small energy error counts as a divergence."""
    saturated = diverged = 0
    for _ in range(60):
        metric, factor = make_metric("diagonal", rng, DIM)
        reference = nuts_reference.Nuts(
            density=numpy_density(value_and_gradient, law),
            inverse_mass=factor @ factor.T,
            step_size=float(np.exp(rng.uniform(np.log(0.02), np.log(2.0)))),
            max_depth=3,
            max_energy_error=1.0,
        )
        result = compare(shallow, reference, law, metric, factor, rng)
        saturated += not result.diverging and not result.turning
        diverged += result.diverging
    assert saturated > 0
    assert diverged > 0


def test_saturates_at_the_deepest_tree(rng: np.random.Generator, deep: Run, value_and_gradient: Any) -> None:
    """The trajectory takes 1e-5 units of time: that a momentum is turned back within it has probability below 1e-9."""
    metric, factor = make_metric("diagonal", rng, DIM)
    reference = nuts_reference.Nuts(
        density=numpy_density(value_and_gradient, "normal"), inverse_mass=factor @ factor.T, step_size=1e-8
    )
    result = compare(deep, reference, "normal", metric, factor, rng)
    assert (result.depth, result.n_steps) == (10, 1023)


def probabilities_of_leaves(result: nuts_reference.Result, start_energy: float) -> np.ndarray:
    """The law of the draw given the trajectory: multinomial within a subtree, biased progressive between trees."""
    chances, tree_weight = np.array([1.0]), 1.0
    for made in result.doublings[1:]:
        weights = np.exp(start_energy - np.array([leaf.energy for leaf in made]))
        accept = min(1.0, weights.sum() / tree_weight)
        chances = np.concatenate([chances * (1 - accept), accept * weights / weights.sum()])
        tree_weight += weights.sum()
    return chances


@pytest.mark.parametrize(("law", "step_size"), [("normal", 0.4), ("funnel", 0.5), ("funnel", 0.25)])
def test_draws_are_chosen_by_their_weights(
    law: str, step_size: float, rng: np.random.Generator, value_and_gradient: Any, many_draws: Any
) -> None:
    """On one fixed trajectory with many different bits, leaves are drawn with the exact probabilities."""
    metric = DiagonalMetric(scale=jnp.ones(DIM))
    reference = nuts_reference.Nuts(
        density=numpy_density(value_and_gradient, law), inverse_mass=np.eye(DIM), step_size=step_size
    )
    while True:
        position, momentum = exact_draws(law, rng, 1)[0], rng.standard_normal(DIM)
        directions = int(rng.integers(2**32))
        result = reference.transition(position, momentum, directions, lambda n: (0.5, 0.5))
        if result.depth >= 2:
            break
    start_energy = 0.5 * momentum @ momentum - reference.density(position)[0]
    expected = probabilities_of_leaves(result, start_energy)
    positions = np.array([leaf.q for made in result.doublings for leaf in made])

    keys = jnp.asarray(rng.integers(0, 2**32, (20_000, 2), dtype=np.uint32))

    drawn = np.asarray(
        many_draws(
            keys,
            jnp.asarray(position),
            jnp.asarray(momentum),
            jnp.asarray(member(law)),
            metric,
            jnp.asarray(step_size),
            jnp.uint32(directions),
        )
    )
    distances = np.linalg.norm(drawn[:, None] - positions[None], axis=2)
    chosen = distances.argmin(axis=1)
    assert np.all(distances.min(axis=1) < 1e-6)
    assert_frequencies(np.bincount(chosen, minlength=len(expected)), expected)


class TestTurning:
    """The criterion itself."""

    def test_straight_motion_does_not_turn(self) -> None:
        p = jnp.array([1.0, 2.0])
        assert not is_turning(3 * p, p, p)
        assert not halves_are_turning(2 * p, 2 * p, p, p, p, p)

    @pytest.mark.parametrize("which", ["first", "last"])
    def test_an_end_that_moves_against_the_sum_turns(self, which: str) -> None:
        rho, with_it, against = jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0]), jnp.array([-0.1, 5.0])
        first, last = (against, with_it) if which == "first" else (with_it, against)
        assert is_turning(rho, first, last)

    def test_a_right_angle_turns(self) -> None:
        """As in Stan, going on needs a strictly positive product."""
        rho, across = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
        assert is_turning(rho, across, rho)
        assert is_turning(rho, rho, across)
        assert is_turning(jnp.zeros(2), rho, rho)

    def test_a_turn_hidden_between_halves_is_seen(self) -> None:
        """After a whole period sum and ends look like straight motion; each half with its neighbour does not."""
        ahead, back = jnp.array([1.0, 0.0]), jnp.array([-1.0, 0.1])
        rho_left, rho_right = 3 * ahead, 0.5 * ahead
        assert not is_turning(rho_left + rho_right, ahead, ahead)
        assert halves_are_turning(rho_left, rho_right, ahead, ahead, back, ahead)
        assert halves_are_turning(rho_left, rho_right, ahead, back, ahead, ahead)

    def test_is_the_same_backward_in_time(self, rng: np.random.Generator) -> None:
        for _ in range(50):
            left, right, first, end, start, last = jnp.asarray(rng.standard_normal((6, 2)))
            forward = halves_are_turning(left, right, first, end, start, last)
            assert bool(forward) == bool(halves_are_turning(right, left, last, start, end, first))
