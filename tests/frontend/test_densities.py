"""Log densities that jax.scipy.stats lacks, or loses digits of, equal scipy's."""

import jax
import numpy as np
import pytest
import scipy.stats

from gradmc.program.frontend.densities import REAL_LINE, SHAPES, STANDARD, log_density


@pytest.mark.parametrize("name", STANDARD)
def test_equal_to_scipys(name: str) -> None:
    shapes = dict.fromkeys(SHAPES.get(name, ()), 2.0 if name == "erlang" else 1.7)
    x = np.array([-1.0, 0.4, 1.0, 2.5, 7.0])
    theirs = getattr(scipy.stats, name).logpdf
    ours = log_density(name, "logpdf")
    assert ours is not None
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(x, *shapes.values()), theirs(x, *shapes.values()), rtol=1e-12)
        np.testing.assert_allclose(ours(x, **shapes, scale=0.6), theirs(x, **shapes, scale=0.6), rtol=1e-12)
        shifted = ours(x, *shapes.values(), 0.3, 1.4)
        np.testing.assert_allclose(shifted, theirs(x, *shapes.values(), 0.3, 1.4), rtol=1e-12)
        slope = jax.grad(lambda v: ours(v, *shapes.values()))(-1.0)
        assert np.isfinite(slope)
        assert name in REAL_LINE or slope == 0


def test_beta_laws_keep_their_digits() -> None:
    beta, beta_binomial = log_density("beta", "logpdf"), log_density("betabinom", "logpmf")
    assert beta is not None
    assert beta_binomial is not None
    x, k = np.array([-0.5, 0.0, 0.2, 0.7, 1.0, 1.5]), np.arange(-1, 12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(beta(x, 8.0, 2.5), scipy.stats.beta.logpdf(x, 8.0, 2.5), rtol=1e-13)
        shifted = beta(x, 1.3, 30.0, loc=-1.0, scale=3.0)
        np.testing.assert_allclose(shifted, scipy.stats.beta.logpdf(x, 1.3, 30.0, -1.0, 3.0), rtol=1e-13)
        for shapes in ((10, 8.5, 2.5), (10, 0.3, 40.0, 1)):
            np.testing.assert_allclose(beta_binomial(k, *shapes), scipy.stats.betabinom.logpmf(k, *shapes), rtol=1e-12)
        assert jax.grad(lambda v: beta(v, 8.0, 2.5))(-0.5) == 0.0
    assert log_density("beta", "cdf") is None
    assert log_density("norm", "logpdf") is None
