"""Random programs: compiled equals plain, gradients are finite and equal to forward mode."""

import warnings

import jax
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as replay
from hypothesis import strategies as st

from tests.frontend.grammar import compiled, point, programs
from tests.frontend.laws import agree

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


CHECKED: list[int] = []
EVERY = 25
"""Programs between two clearings of JAX's caches: each leaves some 2 MB of compiled code."""


def check(text: str, seed: int) -> None:
    args, data = point(seed)
    CHECKED.append(seed)
    if len(CHECKED) % EVERY == 0:
        jax.clear_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        agree(compiled(text), args, data, differences=False, data_as_arguments=seed % 2 == 1)


@settings(max_examples=50, phases=[Phase.explicit, Phase.generate], derandomize=True, **COMMON)
@given(programs(), st.integers(0, 1000))
def test_some_programs(text: str, seed: int) -> None:
    check(text, seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_new_programs(part: int, seed: int) -> None:
    """150 programs in two parts, others in every session."""

    @replay(seed)
    @settings(max_examples=75, database=None, phases=[Phase.generate], **COMMON)
    @given(programs(), st.integers(0, 1_000_000))
    def some(text: str, seed: int) -> None:
        check(text, seed)

    some()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(4))
def test_many_programs(part: int) -> None:
    """2,000 programs in four parts, the same in every run, which may run at the same time."""

    @replay(part)
    @settings(max_examples=500, database=None, phases=[Phase.generate], **COMMON)
    @given(programs(), st.integers(0, 1_000_000))
    def some(text: str, seed: int) -> None:
        check(text, seed)

    some()
