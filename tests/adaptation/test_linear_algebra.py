"""Linear algebra on matrices of every kind: NaN instead of exceptions, and one thread."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from gradmc.adaptation.linear_algebra import (
    cholesky,
    eigh,
    one_thread,
    pivoted_cholesky,
    solve_lower,
    solve_upper,
)

SIZES = [1, 2, 3, 33, 80]


def symmetric(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    spectra = {
        "random": rng.standard_normal(size),
        "graded": np.geomspace(1e-12, 1e12, size),
        "clustered": np.where(np.arange(size) < size // 2, 1.0, 1 + 1e-15),
        "one": np.ones(size),
        "singular": np.where(np.arange(size) < 2, 1.0, 0.0),
        "huge": 1e300 * rng.uniform(0.1, 1, size),
        "tiny": 1e-300 * rng.uniform(0.1, 1, size),
        "zero": np.zeros(size),
    }
    if kind == "diagonal":
        return np.diag(rng.standard_normal(size))
    matrix = (basis * spectra[kind]) @ basis.T
    return matrix / 2 + matrix.T / 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "kind", ["random", "graded", "clustered", "one", "singular", "huge", "tiny", "zero", "diagonal"]
)
def test_eigenvalues_and_vectors(kind: str, size: int, rng: np.random.Generator) -> None:
    matrix = symmetric(kind, size, rng)
    values, vectors = eigh(matrix)
    norm = np.max(np.abs(matrix), initial=0.0) or 1.0
    assert np.all(np.diff(values) >= 0)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(size), atol=1e-12)
    np.testing.assert_allclose((vectors * (values / norm)) @ vectors.T, matrix / norm, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_factors_and_solutions(size: int, rng: np.random.Generator) -> None:
    rows, right = rng.standard_normal((size + 5, size)), rng.standard_normal((size, 3))
    matrix = rows.T @ rows + np.eye(size)
    lower = cholesky(matrix)
    np.testing.assert_allclose(lower @ lower.T, matrix, atol=1e-10)
    np.testing.assert_array_equal(np.triu(lower, 1), 0)
    np.testing.assert_allclose(lower @ solve_lower(lower, right), right, atol=1e-10)
    np.testing.assert_allclose(lower.T @ solve_upper(lower.T, right), right, atol=1e-10)


def test_a_pivoted_factor_finds_the_rank(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((4, 12)) * np.array([1e3, 1.0, 1.0, 1e-9])[:, None]
    factor, pivots = pivoted_cholesky(rows.T @ rows, 1e-8)
    assert len(pivots) == 3
    np.testing.assert_allclose(factor.T @ factor, rows.T @ rows, atol=1e-8)
    np.testing.assert_array_equal(np.tril(factor[:, pivots], -1), 0)
    assert len(pivoted_cholesky(np.zeros((3, 3)), 1e-8)[1]) == 0


@pytest.mark.parametrize("size", [3, 80])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_comes_out_as_nan(bad: float, size: int) -> None:
    matrix = np.eye(size)
    matrix[1, 1] = bad
    with np.errstate(all="ignore"):
        assert np.all(np.isnan(eigh(matrix)[0]))
        assert not np.all(np.isfinite(cholesky(matrix)))


def test_a_triangle_is_solved_by_substitution() -> None:
    upper = np.array([[1e-9, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(solve_upper(upper, np.array([[1.0], [1.0]])), [[0.0], [1.0]])
    assert np.all(np.isnan(solve_upper(np.array([[0.0, 1.0], [0.0, 1.0]]), np.ones((2, 1)))))


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.skipif(not threads(), reason="this BLAS cannot be told how many threads to use")
def test_blas_has_one_thread_for_all_who_ask_at_once() -> None:
    before, within = threads(), []

    @one_thread()
    def work() -> None:
        with one_thread():
            time.sleep(0.002)
        within.append(threads())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert within == [[1] * len(before)] * 4
    assert threads() == before


LATER = """
import sys

from gradmc.adaptation.linear_algebra import one_thread

with one_thread():
    assert "scipy.linalg" not in sys.modules

import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

with threadpool_limits(2), one_thread():
    print([library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"])
"""


@pytest.mark.skipif(not threads(), reason="this BLAS cannot be told how many threads to use")
def test_a_blas_that_is_loaded_later_is_held_too() -> None:
    ended = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=True)
    assert set(json.loads(ended.stdout)) == {1}


def test_what_is_not_positive_definite_has_no_factor() -> None:
    assert np.any(np.isnan(cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]))))
