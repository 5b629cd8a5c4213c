"""How far from 0 random points lie: as far as Stan's, and where these are no good, nearer and farther in turns.

exp(b * 50_000) is finite for small b only, and a density that is 0 below 4,000 is positive far out only.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ATTEMPTS = 100
"""Points that are tried, as many as Stan tries."""

AS_STAN = 25
"""Of them, the first ones, and as many last ones (one of which is looked at if all fail), lie within the radius."""

NEARER, FARTHER = 0.25, 1.5
"""By these factors, again and again, the others lie nearer to 0 and farther out."""

_ELSEWHERE = np.ravel([(NEARER**k, FARTHER**k) for k in range(1, (ATTEMPTS - 2 * AS_STAN) // 2 + 1)])
_FACTORS = np.concatenate([np.ones(AS_STAN), _ELSEWHERE, np.ones(AS_STAN)])


def reach(attempt: Any, dtype: Any = np.float64) -> Any:
    """By which factor the attempt of this number, counted from 0, reaches farther than the radius."""
    factors = jnp.asarray(_FACTORS, dtype) if isinstance(attempt, jax.Array) else _FACTORS.astype(dtype)
    return factors[attempt % ATTEMPTS]


def random_point(rng: np.random.Generator, radius: float | np.ndarray, dim: int, attempt: int) -> np.ndarray:
    """A random point, shape (dim,), for the attempt of this number.

    Args:
        rng: decides.
        radius: of the cube around 0 in which it lies, a number or shape (dim,), times the `reach` of the attempt.
        dim: number of coordinates.
        attempt: counted from 0.
    """
    return rng.uniform(-1.0, 1.0, dim) * (radius * reach(attempt))
