"""L-BFGS: it climbs, step by step, to the mode, past regions without a density, and learns the curvature."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from gradmc.starts.asking import together
from gradmc.starts.lbfgs import CURVATURE, MEMORY, SUFFICIENT, Ascent, Iterate, Search, inner, length, look

type Density = Callable[[np.ndarray], tuple[float, np.ndarray]]


def answers(density: Density) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = zip(*(density(point) for point in points), strict=True)
        return np.asarray(values), np.stack(gradients)

    return evaluate


def climb(density: Density, start: np.ndarray, steps: int = 500) -> Ascent:
    """The search at its end."""

    def search() -> Search[Ascent]:
        ascent = Ascent(place=(yield from look(start)), diagonal=np.ones(len(start)))
        for _ in range(steps):
            if not (yield from ascent.advance()):
                break
        return ascent

    return together([search()], answers(density))[0]


def quadratic(precision: np.ndarray, mean: np.ndarray) -> Density:
    def density(x: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = -precision @ (x - mean)
        return float(0.5 * (x - mean) @ gradient), gradient

    return density


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    bend = x[1] - x[0] ** 2
    return -((1 - x[0]) ** 2) - 100 * bend**2, np.array([2 * (1 - x[0]) + 400 * x[0] * bend, -200 * bend])


def needle(rng: np.random.Generator, dim: int, condition: float) -> np.ndarray:
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (turn * np.geomspace(1, condition, dim)) @ turn.T


@pytest.mark.parametrize("dim", [1, 2, 7, 30])
def test_it_reaches_the_mode_of_a_normal(dim: int, rng: np.random.Generator) -> None:
    mean = 100 * rng.standard_normal(dim)
    end = climb(quadratic(needle(rng, dim, 1e4), mean), rng.uniform(-2, 2, dim))
    np.testing.assert_allclose(end.place.position, mean, atol=0.05)  # standard deviations: 0.01 to 1


@pytest.mark.parametrize("unit", [1e-9, 1e3])
def test_it_reaches_the_mode_whatever_the_unit(unit: float, rng: np.random.Generator) -> None:
    """Standard deviations of 1e-9 give gradients whose squares dwarf their products with steps."""
    precision, mean = needle(rng, 5, 1e4) / unit**2, unit * rng.standard_normal(5)
    end = climb(quadratic(precision, mean), unit * rng.uniform(-2, 2, 5), 60)
    assert 2 * -end.place.log_density < 0.01


def test_it_follows_a_bent_valley() -> None:
    end = climb(rosenbrock, np.array([-1.2, 1.0]))
    np.testing.assert_allclose(end.place.position, [1, 1], atol=1e-4)


def test_far_scales_are_reached_by_doubling() -> None:
    """A mode at 1e8, seen from 0."""
    end = climb(quadratic(np.eye(1), np.array([1e8])), np.zeros(1))
    assert end.place.position[0] == pytest.approx(1e8)


def test_every_step_meets_the_weak_wolfe_conditions(rng: np.random.Generator) -> None:
    history: list[tuple[Ascent, np.ndarray]] = []

    def search() -> Search[None]:
        ascent = Ascent(place=(yield from look(np.array([-1.2, 1.0]))), diagonal=np.ones(2))
        for _ in range(15):
            before, direction = ascent.place, ascent._direction()
            assert (yield from ascent.advance())
            step = ascent.place.position - before.position
            share = length(step) / length(direction)
            slope = inner(before.gradient, direction)
            assert ascent.place.log_density >= before.log_density + SUFFICIENT * share * slope
            assert inner(ascent.place.gradient, direction) <= CURVATURE * slope
            history.append((ascent, step))

    together([search()], answers(rosenbrock))
    assert len(history) == 15


def test_where_there_is_no_density_it_turns_back() -> None:
    """log x - x with NaN below 0: the first step from 3 downhill must not end beyond the wall."""

    def wall(x: np.ndarray) -> tuple[float, np.ndarray]:
        if x[0] <= 0:
            return float("nan"), np.array([np.nan])
        return float(np.log(x[0]) - 1e3 * x[0]), 1 / x - 1e3

    end = climb(wall, np.array([3.0]))
    assert end.place.position[0] == pytest.approx(1e-3, rel=1e-4)


def test_the_last_step_is_a_secant(rng: np.random.Generator) -> None:
    """The quasi-Newton condition: the inverse Hessian turns the last change of the gradient into the last step."""
    ascent = climb(quadratic(needle(rng, 8, 100.0), np.zeros(8)), rng.uniform(-2, 2, 8), steps=5)
    assert 2 <= len(ascent.steps) <= MEMORY
    step, change = ascent.steps[-1], ascent.changes[-1]
    turned = dataclasses.replace(ascent)
    turned.place = type(ascent.place)(ascent.place.position, 0.0, change)
    np.testing.assert_allclose(turned._direction(), step, rtol=1e-8)


def test_memory_is_bounded(rng: np.random.Generator) -> None:
    ascent = climb(quadratic(needle(rng, 40, 1e6), np.zeros(40)), rng.uniform(-2, 2, 40), steps=60)
    assert len(ascent.steps) == len(ascent.changes) == MEMORY


def test_a_norm_does_not_overflow() -> None:
    assert length(np.array([3e200, -4e200])) == pytest.approx(5e200)
    assert length(np.zeros(3)) == 0


def test_gradients_whose_products_overflow_are_not_remembered() -> None:
    """Warnings are errors in tests."""
    ascent = Ascent(place=Iterate(np.zeros(2), 0.0, np.array([1.0, 1.0])), diagonal=np.ones(2))
    ascent._remember(Iterate(np.array([1.0, 0.0]), 1.0, np.array([-1e180, 1e180])))
    assert not ascent.steps
    np.testing.assert_array_equal(ascent.diagonal, 1.0)
