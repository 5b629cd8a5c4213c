"""When warmup does what, as data: one compiled function serves every length of warmup.

Warmup of W transitions (Seyboldt, Carlson & Carpenter 2025, 'If only my posterior were normal'):

    |-- early: windows of 10 --|-- main: windows of 80, each half as long again --|-- step size only --|
    0                        0.3 W                                              0.85 W                 W
"""

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.records import of_numpy, record

EARLY_SHARE = 0.3
FINAL_SHARE = 0.15
EARLY_WINDOW = 10
MAIN_WINDOW = 80
WINDOW_GROWTH = 1.5


@record
class Schedule:
    """The settings of warmup that are data; all scalars."""

    warmup: Int[Array, ""]
    early_end: Int[Array, ""]
    final_start: Int[Array, ""]
    target_accept: Float[Array, ""]
    search: Bool[Array, ""]  # look for a first step size; false when one was given
    max_attempts: Int[Array, ""]  # tries for a starting point


def make_schedule(
    warmup: int,
    *,
    target_accept: float = 0.8,
    search: bool = True,
    metric_stays: bool = False,
    max_attempts: int = 100,
    dtype: np.dtype,
) -> Schedule:
    """The schedule for `warmup` >= 0 transitions; `target_accept` lies in (0, 1).

    Where the metric stays, the step size alone adapts from the first transition on.
    """
    return of_numpy(
        Schedule,
        warmup=np.int32(warmup),
        early_end=np.int32(0 if metric_stays else EARLY_SHARE * warmup),
        final_start=np.int32(0 if metric_stays else final_start(warmup)),
        target_accept=np.asarray(target_accept, dtype),
        search=np.bool_(search),
        max_attempts=np.int32(max_attempts),
    )


def final_start(warmup: int) -> int:
    """The first transition of the phase in which only the step size adapts."""
    return warmup - int(FINAL_SHARE * warmup)
