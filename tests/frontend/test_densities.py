"""Log densities that jax.scipy.stats lacks equal scipy's."""

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
    ours = log_density(name)
    assert ours is not None
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(x, *shapes.values()), theirs(x, *shapes.values()), rtol=1e-12)
        np.testing.assert_allclose(ours(x, **shapes, scale=0.6), theirs(x, **shapes, scale=0.6), rtol=1e-12)
        shifted = ours(x, *shapes.values(), 0.3, 1.4)
        np.testing.assert_allclose(shifted, theirs(x, *shapes.values(), 0.3, 1.4), rtol=1e-12)
        slope = jax.grad(lambda v: ours(v, *shapes.values()))(-1.0)
        assert np.isfinite(slope)
        assert name in REAL_LINE or slope == 0
