"""Linear algebra whose rounding depends on its input alone.

BLAS splits a product among as many threads as are free, and rounds as it splits: the same seed would give other draws
on another machine, or on the same one while it is busy.  So what is decorated by `one_thread` holds BLAS to one thread.
That limit is the process's: two chains that set and lifted it at the same time would undo each other's, so they take
turns.

Matrices are float64.  What overflows or is not positive definite comes out as NaN, without an exception.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

_TURN = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, or within functions that it decorates, BLAS works in the thread that calls it alone."""
    with _TURN, _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield


@cache
def _controller(scipy: bool) -> ThreadpoolController:
    """It knows the libraries that are loaded when it is made, and scipy brings a BLAS of its own."""
    return ThreadpoolController()


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower triangular L with L L' = `matrix`; NaN where it is not positive definite."""
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)


def solve_upper(upper: np.ndarray, right: np.ndarray) -> np.ndarray:
    """X with U X = `right`, for an upper triangular U, (n, n), and `right`, (n, m); NaN where U is singular.

    No row of U is exchanged for another, so the general solution is by substitution.
    """
    try:
        return np.linalg.solve(upper, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def solve_lower(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """X with L X = `right`, for a lower triangular L, (n, n), and `right`, (n, m), by substitution."""
    return solve_upper(lower[::-1, ::-1], right[::-1])[::-1]


def pivoted_cholesky(matrix: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """A factor of a positive semidefinite matrix: R, (rank, n), and pivots, (rank,), with R' R about `matrix`.

    The columns R[:, pivots] are upper triangular.  What is left of the diagonal is at most `tolerance`.
    """
    rest = matrix.diagonal().copy()
    rows, pivots = np.zeros_like(matrix), np.zeros(len(matrix), np.intp)
    for rank in range(len(matrix)):
        pivot = np.argmax(rest)
        if not rest[pivot] > tolerance:
            return rows[:rank], pivots[:rank]
        row = matrix[pivot] - rows[:rank, pivot] @ rows[:rank]
        rows[rank] = row / np.sqrt(rest[pivot])
        rows[rank, pivots[:rank]] = 0
        rows[rank, pivot], pivots[rank] = np.sqrt(rest[pivot]), pivot
        rest -= rows[rank] ** 2
        rest[pivot] = 0
    return rows, pivots


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending, and orthonormal eigenvectors, in columns, of a symmetric matrix."""
    size = float(np.max(np.abs(matrix), initial=0.0))
    if not np.isfinite(size):
        return _nothing(matrix)
    scale = 2.0 ** (np.frexp(size)[1] - 1)
    try:
        values, vectors = np.linalg.eigh(matrix / scale)
    except np.linalg.LinAlgError:  # did not converge
        return _nothing(matrix)
    return values * scale, vectors


def _nothing(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(len(matrix), np.nan), np.full_like(matrix, np.nan)
