"""The test of uniformity: its level is what it says, and it finds what is not uniform."""

import numpy as np
import pytest
from scipy import stats

from gradmc.calibration import Uniformity

BUDGET = 1e-5


@pytest.fixture(scope="module")
def test() -> Uniformity:
    return Uniformity(80)


def test_p_values_keep_their_level(test: Uniformity, rng: np.random.Generator) -> None:
    samples = 2000
    p_values = np.array([test.p_value(rng.uniform(size=80)) for _ in range(samples)])
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected = int(np.sum(p_values <= level))
        assert stats.binom.sf(rejected - 1, samples, level) > BUDGET


def test_the_smallest_p_value_is_never_beaten(test: Uniformity) -> None:
    assert test.coverage(0.0) == pytest.approx(1.0)
    assert test.coverage(1.0) == 0.0
    levels = [test.coverage(gamma) for gamma in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize(("a", "b"), [(4.0, 4.0), (0.4, 0.4), (1.0, 2.0)], ids=["narrow", "wide", "shifted"])
def test_other_distributions_are_found(a: float, b: float) -> None:
    values = stats.beta(a, b).ppf((np.arange(200) + 0.5) / 200)
    assert Uniformity(200).p_value(values) < BUDGET


def test_bands_hold_as_often_as_they_say(test: Uniformity, rng: np.random.Generator) -> None:
    bands = test.bands(0.9)
    inside = 0
    for _ in range(1000):
        shares = np.mean(rng.uniform(size=80)[None, :] <= bands.points[:, None], axis=1)
        inside += bool(np.all((shares >= bands.lower) & (shares <= bands.upper)))
    assert stats.binom.cdf(inside, 1000, 0.9) > BUDGET
    assert inside < 1000
