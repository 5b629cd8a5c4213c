"""Pathfinder: chains start where the mass is, in every mode that holds a share of it, and nowhere else."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import logsumexp

from gradmc.starts.asking import Answer, together
from gradmc.starts.pathfinder import PATHS, ROUNDS, Pathfinder, _modes, _path
from tests.starts.test_lbfgs import answers, needle, quadratic

type Density = Callable[[np.ndarray], tuple[float, np.ndarray]]


def radius(dim: int) -> np.ndarray:
    return np.full(dim, 2.0)


def two_normals(weight: float, distance: float = 6.0, dim: int = 2) -> Density:
    """Unit normals at +distance (with `weight`) and -distance in every coordinate."""
    logs = np.log([weight, 1 - weight])

    def density(x: np.ndarray) -> tuple[float, np.ndarray]:
        parts = logs - 0.5 * np.array([np.sum((x - distance) ** 2), np.sum((x + distance) ** 2)])
        shares = np.exp(parts - logsumexp(parts))
        return float(logsumexp(parts)), -(shares[0] * (x - distance) + shares[1] * (x + distance))

    return density


def funnel(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Neal's (2003), in 9 coordinates: the density grows far beyond the mass, x[0] ~ Normal(0, 3), as x[0] falls."""
    narrow, square = np.exp(-x[0]), np.sum(x[1:] ** 2)
    value = -(x[0] ** 2) / 18 - 4 * x[0] - 0.5 * narrow * square
    return value, np.concatenate([[-x[0] / 9 - 4 + 0.5 * narrow * square], -narrow * x[1:]])


def found_in(density: Density, dim: int, seed: int = 1, chains: int = 64) -> np.ndarray:
    found = Pathfinder().find(answers(density), radius(dim), seed, range(chains))
    assert found is not None
    return np.stack([point.position for point in found.points])


def test_the_bound_is_the_evidence_of_a_normal(rng: np.random.Generator) -> None:
    """The log of the normalising constant: exact, whatever the draws, where the approximation is."""
    precision = needle(rng, 4, 10.0)
    evidence = 2 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    density = answers(quadratic(precision, np.full(4, 3.0)))
    paths = together([_path(np.random.default_rng(k), radius(4)) for k in range(8)], density)
    assert all(path is not None for path in paths)
    assert np.median([path.elbo for path in paths if path]) == pytest.approx(evidence, abs=0.5)
    exact = [path for path in paths if path and path.error < 1e-3]
    assert all(path.elbo == pytest.approx(evidence, abs=0.02) for path in exact)


def test_starts_have_the_place_and_the_spread_of_the_posterior(rng: np.random.Generator) -> None:
    """Means within 5 standard errors of draws taken from the upper half in density (failure probability 1e-5)."""
    mean, precision = np.array([1e4, -3.0]), np.diag([4.0, 0.25])
    points = found_in(quadratic(precision, mean), 2)
    whitened = (points - mean) * np.sqrt(np.diag(precision))
    assert np.all(np.abs(whitened.mean(axis=0)) < 5 / np.sqrt(64))
    assert np.all(whitened.std(axis=0) > 0.3)
    assert len(np.unique(points, axis=0)) > 30


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_both_of_two_modes_hold_chains(weight: float) -> None:
    points = found_in(two_normals(weight), 2)
    assert 4 <= np.sum(points[:, 0] > 0) <= 60


def test_a_mode_with_a_negligible_share_holds_none() -> None:
    points = found_in(two_normals(1 - 1e-12), 2)
    assert np.all(points[:, 0] > 0)


def test_a_funnel_has_no_useful_mode() -> None:
    """The searches run to ever lower x[0]; what fits on the way is no place to send all chains to."""
    assert Pathfinder().find(answers(funnel), radius(9), 1, range(4)) is None


def test_a_chain_does_not_depend_on_the_others() -> None:
    density = answers(two_normals(0.7))
    many, few = (Pathfinder().find(density, radius(2), 5, chains) for chains in (range(12), (7, 3)))
    assert many is not None
    assert few is not None
    for point, chain in zip(few.points, (7, 3), strict=True):
        np.testing.assert_array_equal(point.position, many.points[chain].position)
        assert point.path == many.points[chain].path
    other = Pathfinder().find(density, radius(2), 6, (7,))
    assert other is not None
    assert np.all(other.points[0].position != few.points[0].position)


def test_disagreement_brings_a_second_round() -> None:
    alike = Pathfinder().find(answers(quadratic(np.eye(2), np.zeros(2))), radius(2), 1, (0,))
    split = Pathfinder().find(answers(two_normals(1 - 1e-12)), radius(2), 1, (0,))
    assert alike is not None
    assert split is not None
    assert alike.note == f"{PATHS} of {PATHS} paths found the mass"
    assert f"of {2 * PATHS} paths" in split.note


def nowhere(points: np.ndarray) -> Answer:
    return np.full(len(points), -np.inf), np.full(points.shape, np.nan)


def rising(points: np.ndarray) -> Answer:
    """No mode and no curvature."""
    return points.sum(axis=1), np.ones_like(points)


@pytest.mark.parametrize("density", [nowhere])
def test_nothing_to_find_is_none(density: Callable[[np.ndarray], Answer]) -> None:
    assert Pathfinder().find(density, radius(3), 1, range(4)) is None


def test_a_density_that_only_rises_ends() -> None:
    found = Pathfinder().find(rising, radius(2), 1, (0,))
    assert found is None or np.all(np.isfinite(found.points[0].position))


def test_searches_run_in_step(rng: np.random.Generator) -> None:
    """A round asks all searches' questions at once, and what each finds is what it finds alone."""
    density, rounds = answers(quadratic(needle(rng, 3, 5.0), np.zeros(3))), []

    def counted(points: np.ndarray) -> Answer:
        rounds.append(len(points))
        return density(points)

    paths = together([_path(np.random.default_rng(k), radius(3)) for k in range(5)], counted)
    alone = [together([_path(np.random.default_rng(k), radius(3))], density)[0] for k in range(5)]
    assert rounds[0] == 5
    assert [path.elbo for path in paths if path] == [path.elbo for path in alone if path]


def test_paths_begin_within_the_radius() -> None:
    """Each coordinate within its own."""
    firsts: list[np.ndarray] = []

    def watched(points: np.ndarray) -> Answer:
        firsts.append(points)
        return answers(quadratic(np.eye(2), np.zeros(2)))(points)

    Pathfinder().find(watched, np.array([1e-3, 2.0]), 1, (0,))
    assert np.all(np.abs(firsts[0][:, 0]) <= 1e-3)
    assert np.abs(firsts[0][:, 1]).max() > 0.5


def test_modes_are_counted_by_their_best_paths(rng: np.random.Generator) -> None:
    density = answers(two_normals(0.5))
    paths = together([_path(np.random.default_rng(k), radius(2)) for k in range(12)], density)
    found = [path for path in paths if path is not None]
    up = [path for path in found if path.normal.mean[0] > 0]
    assert 0 < len(up) < len(found)
    assert _modes(found) == 2
    assert _modes(up) == 1


def hidden(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Nine wide hills side by side, 40 nats below a narrower one far from where paths begin."""
    centres, heights, width = np.append(np.arange(-2.0, 2.5, 0.5), 30.0), np.append(np.zeros(9), 40.0), 0.05
    parts = heights - 0.5 * ((x[0] - centres) / width) ** 2 - 0.5 * x[1] ** 2
    shares = np.exp(parts - logsumexp(parts))
    return float(logsumexp(parts)), np.array([np.sum(shares * (centres - x[0])) / width**2, -x[1]])


def test_scouts_are_sent_where_paths_find_other_and_other_modes() -> None:
    """Paths begin where scouts come to, and the mode that only these find holds all chains."""
    sent: list[int] = []

    def explore(points: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, int]:
        sent.extend(numbers)
        assert np.all(np.abs(points) <= 2)
        return np.where(np.arange(len(points))[:, None] % 4 == 0, [30.1, 0.5], points), 7

    alone = Pathfinder().find(answers(hidden), radius(2), 1, range(4))
    found = Pathfinder().find(answers(hidden), radius(2), 1, range(4), explore)
    assert alone is not None
    assert found is not None
    assert all(abs(point.position[0]) < 3 for point in alone.points)
    assert all(abs(point.position[0] - 30) < 1 for point in found.points)
    assert sent == list(range(PATHS, ROUNDS * PATHS))
    assert found.gradients > 7 * (ROUNDS - 1)


def test_no_scouts_are_sent_where_all_paths_find_one_mode() -> None:
    def explore(points: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, int]:
        raise AssertionError(points, numbers)

    assert Pathfinder().find(answers(quadratic(np.eye(2), np.ones(2))), radius(2), 1, (0,), explore) is not None
