"""Sparse matrices of data beside traced values: their products are sums over the entries that are stored."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.unsupported import refuse

LARGEST = 2_000
"""Rows of a matrix that is solved as a dense one."""


def times(matrix: Any, x: Any) -> Any:
    """matrix @ x, of a vector or a matrix."""
    entries = matrix.tocsr().tocoo()
    x = real(x)
    terms = entries.data.reshape(-1, *[1] * (x.ndim - 1)) * x[entries.col]
    return jax.ops.segment_sum(terms, entries.row, matrix.shape[0], indices_are_sorted=True)


def dense(matrix: Any) -> Any:
    """The matrix as an array."""
    return jnp.asarray(matrix.toarray(), float)


def solve(A: Any, b: Any, *_: Any, **__: Any) -> Any:
    """`scipy.sparse.linalg.spsolve` with a matrix of data."""
    if not scipy.sparse.issparse(A) or A.shape[0] > LARGEST:
        raise refuse(f"spsolve of more than {LARGEST} equations", "Factorise the matrix before, and pass the factor.")
    return jnp.linalg.solve(np.asarray(A.toarray(), float), real(b))


def combined(name: str, a: Any, b: Any) -> Any:
    """An operator of a sparse matrix and a traced value.

    Args:
        name: of the operator, as in Python's syntax trees.
        a: the left operand.
        b: the right one; one of them is sparse.
    """
    matrix: Any = a
    if not scipy.sparse.issparse(a):
        matrix = b
    other = b if matrix is a else a
    transposed: Any = matrix.transpose
    product = name == "MatMult" or (name == "Mult" and isinstance(matrix, scipy.sparse.spmatrix) and jnp.ndim(other))
    if product:
        return times(a, b) if matrix is a else jnp.swapaxes(times(transposed(), jnp.swapaxes(a, 0, -1)), 0, -1)
    first, second = (dense(v) if scipy.sparse.issparse(v) else v for v in (a, b))
    match name:
        case "Mult":
            return first * second
        case "Div":
            return first / second
        case "Add":
            return first + second
        case "Sub":
            return first - second
    raise refuse(f"this operator ({name}) of a sparse matrix and a traced value", "Use an array: matrix.toarray().")


def _method(matrix: Any, method: Any) -> Callable[..., Any] | None:
    return {
        "dot": lambda x: times(matrix, x),
        "multiply": lambda x: dense(matrix) * real(x),
    }.get(method.__name__)


TABLE: dict[Any, Callable[..., Any]] = {scipy.sparse.linalg.spsolve: solve}
METHODS: dict[type, Callable[[Any, Any], Callable[..., Any] | None]] = {
    scipy.sparse.spmatrix: _method,
    scipy.sparse.sparray: _method,
}
