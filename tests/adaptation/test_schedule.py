"""When warmup does what, also when it is very short."""

import numpy as np
import pytest

from gradmc.adaptation.schedule import final_start, make_schedule


@pytest.mark.parametrize("warmup", [0, 1, 2, 5, 10, 20, 100, 500, 10_000])
def test_the_phases_are_in_order(warmup: int) -> None:
    schedule = make_schedule(warmup, dtype=np.dtype(float))
    assert 0 <= schedule.early_end <= schedule.final_start <= schedule.warmup == warmup
    assert schedule.final_start == final_start(warmup)


def test_the_shares_of_a_long_warmup() -> None:
    schedule = make_schedule(1000, dtype=np.dtype(float))
    assert (schedule.early_end, schedule.final_start) == (300, 850)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_that_is_data_has_a_fixed_dtype(dtype: type) -> None:
    """Or another value would compile anew."""
    first = make_schedule(10, dtype=np.dtype(dtype))
    second = make_schedule(0, target_accept=0.95, search=False, max_attempts=1, dtype=np.dtype(dtype))
    for name in ("warmup", "early_end", "final_start", "target_accept", "search", "max_attempts"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        assert one.shape == other.shape == ()
    assert first.target_accept.dtype == dtype
