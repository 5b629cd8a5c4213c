"""The normal quantile and its logarithm against SciPy and NumPy, over all probabilities that a momentum can take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri

from gradmc.kernels.quantile import FARTHEST, SPLIT, log, normal_quantile

RELATIVE = 2e-15


def probabilities(rng: np.random.Generator) -> np.ndarray:
    """Those of 32-bit words, the smallest and the seam between the two ranges among them; below a half."""
    words = np.concatenate([[0, 1, 2], np.geomspace(1, 2**31 - 1, 5_000), rng.integers(0, 2**31, 20_000)]).astype(
        np.uint32
    )
    seam = 0.5 - SPLIT * (1 + np.array([-1e-12, -1e-15, 0, 1e-15, 1e-12]))
    return np.concatenate([(words + 0.5) * 2.0**-32, seam, [2 * FARTHEST]])


def test_the_quantile_is_that_of_scipy_on_both_sides(rng: np.random.Generator) -> None:
    p = probabilities(rng)
    below, above = (np.asarray(jax.jit(normal_quantile)(side)) for side in (p - 0.5, 0.5 - p))
    np.testing.assert_array_equal(below, -above)
    # What 0.5 - p has lost of p is part of the argument: compare at the probability that is left of it.
    np.testing.assert_allclose(below, ndtri(0.5 - (0.5 - p)), rtol=RELATIVE)


def test_the_middle_is_zero() -> None:
    assert float(normal_quantile(jnp.zeros(1))[0]) == 0.0


@pytest.mark.parametrize("low", [-300, -5])
def test_the_logarithm_is_that_of_numpy(low: int, rng: np.random.Generator) -> None:
    x = np.concatenate([10 ** rng.uniform(low, -low, 20_000), 1 + rng.uniform(-1e-3, 1e-3, 1_000), [1.0, 0.5, 2.0]])
    np.testing.assert_allclose(np.asarray(jax.jit(log)(x)), np.log(x), rtol=1e-15, atol=1e-18)
