"""The translations of the reference posteriors are right: log density differences agree with `logp.json`.

Once as ordinary Python on floats, once compiled. The tolerance is the files' own: 1e-8 relative to the
largest difference, except where an equation solver or a nearly singular matrix sets it.
"""

import numpy as np
import pytest

import gradmc as gm
from tests.posteriordb.reference import COLLECTION, POSTERIORS, Posterior

pytestmark = pytest.mark.skipif(
    not COLLECTION.is_dir(),
    reason="the reference posteriors are not beside the repository (set GRADMC_POSTERIORDB to their folder)",
)
every = pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda posterior: posterior.id)


def assert_agrees(posterior: Posterior, values: list[float], constants: list[float], wanted: list[float]) -> None:
    mine = np.asarray(values) - np.asarray(constants)
    tolerance = posterior.absolute or 1e-8 * np.max(np.abs(wanted))
    np.testing.assert_allclose(mine - mine[0], wanted, rtol=0, atol=tolerance)


def as_arguments(values: dict[str, np.ndarray]) -> dict[str, object]:
    """Parameters for plain Python: floats and lists of floats."""
    return {name: value.tolist() for name, value in values.items()}


@every
def test_plain_python_agrees(posterior: Posterior) -> None:
    points, constants, wanted = posterior.points()
    data = posterior.data()
    values = [float(posterior.model(**as_arguments(point), **data)) for point in points]
    assert_agrees(posterior, values, constants, wanted)


@every
def test_compiled_agrees(posterior: Posterior) -> None:
    points, constants, wanted = posterior.points()
    density = gm.density(posterior.model, posterior.data())
    values = [float(density.log_density(point, jacobian=False)) for point in points]
    assert_agrees(posterior, values, constants, wanted)
