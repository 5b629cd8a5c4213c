"""Linear algebra whose rounding depends on its input alone.

BLAS splits a product among as many threads as are free, and rounds as it splits: the same seed would give other draws
on another machine, or on the same one while it is busy.  A limit on its threads would hold for the whole process, so
that chains that set and lift it at the same time undo each other's.  Here every product is a loop of NumPy's own
(`einsum` without `optimize` calls no BLAS), and the eigenvalue problem is reduced to a tridiagonal one by them;
LAPACK's solver for that (MRRR: Dhillon & Parlett 2004) works on vectors only.  Matrices of up to `SMALL` rows go to
LAPACK as they are.

Matrices are float64.  What overflows or is not positive definite comes out as NaN, without an exception.
"""

import math

import numpy as np

# Up to here LAPACK works on single vectors, which BLAS does not share out, and is 10 to 20 times faster.  Measured: no
# other thread is woken, and the same bits with 1, 2 and 8 threads up to 200 rows; with 256 not.
SMALL = 32


def gram(columns: np.ndarray) -> np.ndarray:
    """A' A of a matrix A, (n, dim): exactly symmetric, (dim, dim)."""
    return np.einsum("ki,kj->ij", columns, columns)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product a b."""
    return np.einsum("ik,kj->ij", a, b)


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower triangular L with L L' = `matrix`; NaN from the first pivot on that is not positive."""
    lower = np.zeros_like(matrix)
    for j in range(len(matrix)):
        column = matrix[j:, j] - np.einsum("ik,k->i", lower[j:, :j], lower[j, :j])
        lower[j:, j] = column / np.sqrt(column[0] if column[0] > 0 else np.nan)
    return lower


def solve_upper(upper: np.ndarray, right: np.ndarray) -> np.ndarray:
    """X with U X = `right`, for an upper triangular U, (n, n), and `right`, (n, m), by substitution."""
    solution = np.empty_like(right)
    for i in reversed(range(len(upper))):
        known = np.einsum("k,kj->j", upper[i, i + 1 :], solution[i + 1 :])
        solution[i] = (right[i] - known) / upper[i, i]
    return solution


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
        row = matrix[pivot] - np.einsum("k,kj->j", rows[:rank, pivot], rows[:rank])
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
        values, vectors = (np.linalg.eigh if len(matrix) <= SMALL else _large_eigh)(matrix / scale)
    except np.linalg.LinAlgError:  # did not converge
        return _nothing(matrix)
    return values * scale, vectors


def _nothing(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(len(matrix), np.nan), np.full_like(matrix, np.nan)


def _large_eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh_tridiagonal

    diagonal, off, reflectors = _tridiagonal(matrix)
    values, vectors = eigh_tridiagonal(diagonal, off, lapack_driver="stemr", check_finite=False)
    vectors = np.ascontiguousarray(vectors)
    for k in reversed(range(len(reflectors))):
        reflector, below = reflectors[k], vectors[k + 1 :]
        below -= np.einsum("i,j->ij", reflector, np.einsum("i,ij->j", reflector, below))
    return values, vectors


def _tridiagonal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Diagonal and off-diagonal of H A H', and the reflections I - v v' that make up H (Golub & Van Loan, 8.3.1)."""
    matrix = matrix.copy()
    off, reflectors = np.zeros(max(len(matrix) - 1, 0)), []
    for k in range(len(off)):
        block, pair = matrix[k + 1 :, k + 1 :], np.empty((2, len(off) - k))
        reflector, image = pair
        off[k] = _reflect(matrix[k, k + 1 :], reflector)
        np.einsum("i,ij->j", reflector, block, out=image)
        image -= 0.5 * float(np.einsum("i,i->", reflector, image)) * reflector
        block -= np.einsum("ki,kj->ij", pair, pair[::-1])
        reflectors.append(reflector)
    return matrix.diagonal().copy(), off, reflectors


def _reflect(row: np.ndarray, reflector: np.ndarray) -> float:
    """The value in (I - v v') row = (value, 0, ..., 0); v goes into `reflector`, |v|^2 is 2."""
    value = -math.copysign(math.sqrt(np.einsum("i,i->", row, row)), row[0])
    reflector[:] = row
    reflector[0] -= value
    square = float(np.einsum("i,i->", reflector, reflector))
    reflector *= math.sqrt(2 / square) if square > 0 else 0.0
    return value
