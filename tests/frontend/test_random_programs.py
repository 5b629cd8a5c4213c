"""Random programs: compiled equals plain, gradients are finite and equal to forward mode."""

import warnings

import jax
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as replay
from hypothesis import strategies as st

from tests.frontend.grammar import compiled, point, programs
from tests.frontend.laws import agree

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


CHECKED: list[int] = []
EVERY = 25
"""Programs between two clearings of JAX's caches: each leaves some 2 MB of compiled code."""


def check_once(text: str, seed: int, seen: set[str]) -> None:
    """Check a program, unless it was among those before: of 75 that Hypothesis makes, 15 are made for a second time."""
    assume(text not in seen)
    check(text, seed)
    seen.add(text)


def check(text: str, seed: int) -> None:
    args, data = point(seed)
    CHECKED.append(seed)
    if len(CHECKED) % EVERY == 0:
        jax.clear_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        agree(compiled(text), args, data, differences=False, data_as_arguments=seed % 2 == 1)


def test_some_programs() -> None:
    """45 programs, the same in every run."""
    seen: set[str] = set()

    @settings(max_examples=45, phases=[Phase.explicit, Phase.generate], derandomize=True, **COMMON)
    @given(programs(), st.integers(0, 1000))
    def some(text: str, seed: int) -> None:
        check_once(text, seed, seen)

    some()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_new_programs(part: int, seed: int) -> None:
    """120 programs in two parts, others in every session."""
    seen: set[str] = set()

    @replay(seed)
    @settings(max_examples=60, database=None, phases=[Phase.generate], **COMMON)
    @given(programs(), st.integers(0, 1_000_000))
    def some(text: str, seed: int) -> None:
        check_once(text, seed, seen)

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
