"""Nothing is lost and nothing is wrong, whatever is done to runs (`tests/soak.py`)."""

import os
from pathlib import Path

import pytest

from tests.soak import Soak

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.slow
def test_a_short_soak(tmp_path: Path, seed: int) -> None:
    soak = Soak(tmp_path, seed, seconds=20.0)
    soak.run()
    assert not soak.wrong, soak.report()


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_a_long_soak(tmp_path: Path, seed: int) -> None:
    """Twenty minutes, or 500 kills and 200 damaged files, whichever comes first."""
    soak = Soak(tmp_path, seed, seconds=1200.0, kills=500, damages=200, lanes=2)
    soak.run()
    print(soak.report())
    assert not soak.wrong, soak.report()
