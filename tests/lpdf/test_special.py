"""The beta function keeps its digits, and the laws made with it."""

import math

import jax
import numpy as np
import pytest
from scipy import special, stats

from gradmc import lpdf
from gradmc.lpdf._special import log_beta

WIDE = 10.0 ** np.linspace(-6, 14, 61)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 10, 11, 40])
def test_log_beta_of_whole_numbers(n):
    """B(a, n) = (n - 1)! / (a (a + 1) ... (a + n - 1))."""
    with jax.enable_x64(True):
        value = np.asarray(jax.vmap(lambda a: log_beta(a, float(n)))(WIDE))
        gradient = np.asarray(jax.vmap(jax.grad(lambda a: log_beta(float(n), a)))(WIDE))
    expected = [math.lgamma(n) - math.fsum(math.log(a + i) for i in range(n)) for a in WIDE]
    np.testing.assert_allclose(value, expected, rtol=2e-14, atol=2e-14)
    np.testing.assert_allclose(gradient, [-math.fsum(1 / (a + i) for i in range(n)) for a in WIDE], rtol=1e-11)


def test_log_beta_is_symmetric_and_has_no_seam():
    """JAX's own jumps by 1e-6 where an argument passes 8; ours changes its formula at 10."""
    with jax.enable_x64(True):
        assert float(log_beta(3.7, 25.0)) == float(log_beta(25.0, 3.7))
        for seam in (8.0, 10.0):
            below, above = float(log_beta(np.nextafter(seam, 0.0), 4.3)), float(log_beta(seam, 4.3))
            assert abs(above - below) < 1e-13
            assert above == pytest.approx(float(special.betaln(seam, 4.3)), rel=1e-14)


def test_beta_binomial_with_large_shapes():
    for n, a, b in ((20, 7.9, 8.1), (100, 30.0, 2.5), (9, 0.1, 400.0)):
        y = np.arange(n + 1)
        with jax.enable_x64(True):
            value = lpdf.beta_binomial(y, n, a, b, pointwise=True)
        np.testing.assert_allclose(value, stats.betabinom(n, a, b).logpmf(y), rtol=1e-12, atol=1e-12)
        assert special.logsumexp(value) == pytest.approx(0.0, abs=1e-12)


def test_student_t_tends_to_the_normal():
    """log t(z; nu) - log normal(z) = (z^4 - 2 z^2 - 1) / (4 nu) + O(1 / nu^2)."""
    z = np.array([-2.0, 0.0, 0.3, 3.0])
    for nu in (1e6, 1e9, 1e15):
        difference = lpdf.student_t(z, nu, 0.0, 1.0, pointwise=True) - lpdf.normal(z, 0.0, 1.0, pointwise=True)
        np.testing.assert_allclose(difference, (z**4 - 2 * z**2 - 1) / (4 * nu), atol=200 / nu**2 + 1e-14)
