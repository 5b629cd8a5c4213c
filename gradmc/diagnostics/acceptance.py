"""Was the step size tuned?  Steps must be accepted about as often as warmup aimed at."""

from typing import Any

import numpy as np

from gradmc.diagnostics.disagreement import named
from gradmc.diagnostics.verdict import Check

GAP = 0.2
"""Between the acceptance aimed at and that of a chain; on the shipped models it was 0.11 at most (4 x 300 draws)."""

MIN_DRAWS = 100
"""With fewer draws a mean acceptance is too uncertain to be judged."""

ENOUGH_WARMUP = 100
"""Transitions in which the step size is found, if it can be."""

SMALLEST_STEP = 1e-6
"""On the whitened scale, where a well tuned step is of the order of 1."""


def check_acceptance(tree: Any) -> Check | None:
    """Compare the acceptance of each chain with the one aimed at.

    Args:
        tree: a DataTree with the group `sample_stats` and the attribute `target_accept`.

    Returns:
        The check, or None where the tree does not say what was aimed at, or has few draws.
    """
    target = tree.attrs.get("target_accept")
    statistics = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else None
    if target is None or statistics is None or not {"acceptance_rate", "step_size"} <= set(statistics.data_vars):
        return None
    rates, steps = statistics["acceptance_rate"].values, statistics["step_size"].values
    if rates.size >= MIN_DRAWS > rates.shape[1] and np.all(steps[:, -1] == steps[0, -1]):
        rates, steps = rates.reshape(1, -1), steps[:1]  # many short chains with one step size
    if rates.shape[1] < MIN_DRAWS:
        return None
    target = float(target)
    return _judge(
        rates.mean(axis=1),
        steps[:, -1],
        target=target,
        limit=max(target - GAP, target / 2),
        warmup=int(tree.attrs.get("tuning_steps", ENOUGH_WARMUP)),
        diverged="diverging" in statistics and bool(statistics["diverging"].values.any()),
    )


def _judge(rates: np.ndarray, steps: np.ndarray, *, target: float, limit: float, warmup: int, diverged: bool) -> Check:
    """The check of acceptances and step sizes, one of each chain."""
    least, shortest = float(np.min(rates)), float(np.min(steps))
    if shortest < SMALLEST_STEP:
        finding = f"the step size of {_chains(steps < SMALLEST_STEP)} shrank to {shortest:.1g}"
        advice = "no step was small enough, as where the density jumps or a gradient is wrong; see `gradmc check`"
        first = "find what no step is small enough for"
        return Check("acceptance", False, least, limit, finding, advice, first)
    if least >= limit:
        return Check("acceptance", True, least, limit, f"at least {100 * least:.0f} % of steps accepted")
    finding = f"{_chains(rates < limit)} accepted only {100 * least:.0f} % of steps, {100 * target:.0f} % were aimed at"
    if not warmup:
        advice = "without warmup the step size is not tuned; add some hundred warmup transitions, or make it smaller"
        return Check("acceptance", False, least, limit, finding, advice, "tune the step size")
    if warmup < ENOUGH_WARMUP:
        advice = f"warmup of {warmup} was too short to find the step size; warm up longer, some hundred transitions"
        first = "warm up longer" if np.all(rates < limit) else ""
        return Check("acceptance", False, least, limit, finding, advice, first)
    advice = (
        "steps that suit one region are too long for another, where draws diverge: see to the divergences"
        if diverged
        else "warmup did not find the step size that the draws need; warm up longer, or look for jumps and kinks of "
        "the density with `gradmc check`"
    )
    return Check("acceptance", False, least, limit, finding, advice)


def _chains(bad: np.ndarray) -> str:
    return named(np.flatnonzero(bad))
