"""An estimate of the inverse mass matrix: a diagonal, and directions along which it is longer or shorter."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class Spectrum:
    """diag(scale) (I + V diag(values - 1) V') diag(scale).

    Attributes:
        scale: (dim,), positive.
        values: (rank,), positive.
        vectors: V, (dim, rank), orthonormal columns.
    """

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
