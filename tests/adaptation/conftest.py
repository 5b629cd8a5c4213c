"""Every test of the adaptation runs in double precision, without implicit promotion of dtypes or ranks."""

import pytest


@pytest.fixture(autouse=True)
def strictly(strict: None) -> None:
    """See `strict`."""
