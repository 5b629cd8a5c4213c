"""Where divergences lie: the quantity that tells divergent draws from others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAN_MIN = 0.62
"""Least probability that a divergent draw lies on the named side of another draw (0.5 means no relation)."""

DIVERGENT_MIN = 6
LEAN_SIGNIFICANT = 4.0
"""Standard errors by which the measure must differ from 0.5: out of hundreds of quantities none does by chance."""

FACTORS_MIN = 0.4
"""Least standard deviation of the logarithm of a quantity that varies by factors, as the scale of a funnel does."""

MAX_QUANTITIES = 500


@dataclass(frozen=True, slots=True)
class Lean:
    """A quantity that is small or large where draws diverge."""

    name: str
    side: str
    there: float
    elsewhere: float
    like_a_scale: bool = True  # positive, and varying by factors


def where_they_lie(tree: Any, diverging: np.ndarray) -> Lean | None:
    """The quantity whose value best tells divergent draws from others, or None if none does.

    The measure is the probability that a divergent draw exceeds another one (the Mann-Whitney statistic).
    """
    marked = diverging.astype(bool).ravel()
    if marked.sum() < DIVERGENT_MIN or marked.all():
        return None
    best: tuple[float, str, np.ndarray] | None = None
    for name, values in quantities(tree):
        flat = values.ravel()
        exceed = exceedance(flat, marked)
        if best is None or abs(exceed - 0.5) > abs(best[0] - 0.5):
            best = (exceed, name, flat)
    if best is None or max(best[0], 1 - best[0]) < LEAN_MIN:
        return None
    if abs(best[0] - 0.5) * np.sqrt(12 * marked.sum()) < LEAN_SIGNIFICANT:
        return None
    exceed, name, flat = best
    side = "large" if exceed > 0.5 else "small"
    like_a_scale = bool(np.all(flat > 0) and np.std(np.log(flat)) > FACTORS_MIN)
    return Lean(name, side, float(np.median(flat[marked])), float(np.median(flat[~marked])), like_a_scale)


def exceedance(values: np.ndarray, marked: np.ndarray) -> float:
    """Probability that a marked value exceeds an unmarked one."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    count = int(marked.sum())
    return float((ranks[marked].sum() - count * (count + 1) / 2) / (count * (len(values) - count)))


def quantities(tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Scalar quantities of the posterior by ArviZ's names, each of shape (chain, draw)."""
    produced = 0
    for variable, array in tree["posterior"].data_vars.items():
        dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose("chain", "draw", *dims).values
        for index in np.ndindex(*values.shape[2:]):
            if produced >= MAX_QUANTITIES:
                return
            produced += 1
            labels = [str(array[dim].values[i]) for dim, i in zip(dims, index, strict=True)]
            name = f"{variable}[{', '.join(labels)}]" if labels else str(variable)
            yield name, values[(slice(None), slice(None), *index)]
