"""The derivative by differences: right where there is one, and silent where differences show nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.selfcheck.slope import Slope, slope

DIRECTION = np.array([0.7, -1.3])


def along(value: Callable[..., Any], gradient: Callable[..., Any], x: np.ndarray) -> Slope:
    def evaluate(at: np.ndarray) -> tuple[float, np.ndarray]:
        return float(value(at)), np.asarray(gradient(at), x.dtype)

    return slope(evaluate, x, *evaluate(x), DIRECTION)


SMOOTH: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "quadratic": (lambda x: -np.sum(x**2), lambda x: -2 * x),
    "steep": (lambda x: -np.exp(12 * x[0]) + x[1], lambda x: np.array([-12 * np.exp(12 * x[0]), 1.0])),
    "large": (lambda x: -1e6 + np.sum(np.sin(x)), np.cos),
    "cancelling": (lambda x: (1e6 + x[0]) - 1e6 + x[1] ** 2, lambda x: np.array([1.0, 2 * x[1]])),
    "wavy": (lambda x: np.sum(np.sin(300 * x)), lambda x: 300 * np.cos(300 * x)),
    "corner nearby": (lambda x: np.abs(x[0] - 0.43) + x[1], lambda x: np.array([np.sign(x[0] - 0.43), 1.0])),
    "jump nearby": (lambda x: 5.0 * (x[0] > 0.41) + np.sum(x**2), lambda x: 2 * x),
    "constant": (lambda x: -3.0, lambda x: np.zeros(2)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_agrees_with_the_gradient(name: str) -> None:
    found = along(*SMOOTH[name], np.array([0.4, -0.6]))
    assert found.known
    assert not found.differs
    assert found.gap < 1e-6


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "constant"])
@pytest.mark.parametrize("coordinate", [0, 1])
def test_sees_a_coordinate_without_gradient(name: str, coordinate: int) -> None:
    value, gradient = SMOOTH[name]
    share = abs(gradient(np.array([0.4, -0.6]))[coordinate]) / np.sum(np.abs(gradient(np.array([0.4, -0.6]))))
    if share < 1e-3:
        pytest.skip("the coordinate hardly matters at this point")
    assert along(value, lambda x: np.where(np.arange(2) == coordinate, 0.0, gradient(x)), np.array([0.4, -0.6])).differs


def test_at_a_corner_nothing_is_said() -> None:
    found = along(lambda x: -np.abs(x[0]) + x[1], lambda x: np.array([-np.sign(x[0]), 1.0]), np.array([0.0, 0.3]))
    assert not found.differs


def test_noise_is_no_difference(rng: np.random.Generator) -> None:
    """In any of 300 runs: single tables of pure noise look like a slope in one of 70."""
    for _ in range(300):
        found = along(lambda x: x[0] + rng.normal(), lambda x: np.array([1.0, 0.0]), np.array([0.4, -0.6]))
        assert not found.differs


def test_edge_of_the_support_is_stepped_back_from() -> None:
    found = along(lambda x: -np.inf if x[0] > 0.43 else x[0], lambda x: np.array([1.0, 0.0]), np.array([0.4, -0.6]))
    assert found.known
    assert not found.differs


def test_single_precision() -> None:
    x = np.array([0.4, -0.6], np.float32)
    value, gradient = SMOOTH["quadratic"]
    assert not along(value, gradient, x).differs
    assert along(value, lambda x: 0.5 * gradient(x), x).differs


def test_a_ripple_finer_than_the_steps_is_no_difference() -> None:
    """Over a ripple quotients agree with each other at every step, and see nothing of it."""

    def value(x: np.ndarray) -> float:
        return float(-np.sum(x**2) + 1e-7 * np.sin(6e6 * x[0]))

    def gradient(x: np.ndarray) -> np.ndarray:
        return np.array([-2 * x[0] + 0.6 * np.cos(6e6 * x[0]), -2 * x[1]])

    for x0 in np.linspace(0.1, 0.9, 41):
        assert not along(value, gradient, np.array([x0, -0.6])).differs
