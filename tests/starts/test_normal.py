"""The approximation: the BFGS formula for the inverse Hessian, and draws that have its density."""

import numpy as np
import pytest
from scipy import stats

from gradmc.starts.lbfgs import Ascent, Iterate
from gradmc.starts.normal import NormalApproximation, approximation
from tests.goodness import assert_normal


def searched(rng: np.random.Generator, dim: int, steps: int) -> Ascent:
    """As if after some steps on a normal with a random precision."""
    root = rng.standard_normal((dim, dim)) / np.sqrt(dim) + np.eye(dim)
    moves = [rng.standard_normal(dim) for _ in range(steps)]
    place = Iterate(rng.standard_normal(dim), 0.0, rng.standard_normal(dim))
    diagonal = np.exp(rng.standard_normal(dim))
    return Ascent(place=place, diagonal=diagonal, steps=moves, changes=[root @ root.T @ move for move in moves])


def inverse_hessian(ascent: Ascent) -> np.ndarray:
    """By the BFGS update itself, pair by pair (Nocedal & Wright 2006, equation 7.16)."""
    matrix = np.diag(ascent.diagonal)
    for step, change in zip(ascent.steps, ascent.changes, strict=True):
        rho = 1 / (step @ change)
        turn = np.eye(len(step)) - rho * np.outer(step, change)
        matrix = turn @ matrix @ turn.T + rho * np.outer(step, step)
    return matrix


def covariance(found: NormalApproximation) -> np.ndarray:
    inner = found.covariance
    middle = np.eye(len(inner.scale)) + (inner.vectors * (inner.values - 1)) @ inner.vectors.T
    return inner.scale[:, None] * middle * inner.scale


@pytest.mark.parametrize(("dim", "steps"), [(1, 0), (1, 1), (3, 2), (5, 9), (40, 12)])
def test_covariance_and_mean_are_those_of_the_inverse_hessian(dim: int, steps: int, rng: np.random.Generator) -> None:
    ascent = searched(rng, dim, steps)
    found = approximation(ascent)
    assert found is not None
    want = inverse_hessian(ascent)
    np.testing.assert_allclose(covariance(found), want, rtol=1e-5, atol=1e-7 * np.abs(want).max())
    np.testing.assert_allclose(found.mean, ascent.place.position + want @ ascent.place.gradient, rtol=1e-5, atol=1e-6)


def test_draws_have_the_density_of_the_approximation(rng: np.random.Generator) -> None:
    found = approximation(searched(rng, 6, 4))
    assert found is not None
    law = stats.multivariate_normal(found.mean, covariance(found))
    points, log_densities = found.draw(rng.standard_normal((2000, 6)))
    np.testing.assert_allclose(log_densities, law.logpdf(points), rtol=1e-6)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance(found)), (points - found.mean).T)
    assert_normal(whitened)


def test_what_is_not_finite_gives_none() -> None:
    place = Iterate(np.zeros(2), 0.0, np.array([1e200, 1.0]))
    huge = Ascent(place=place, diagonal=np.array([1e200, 1.0]))
    assert approximation(huge) is None
