"""Where divergences lie: the quantity that tells divergent draws from others, and what it scales, if anything.

A chain that does not move tells nothing about the posterior, whatever it does: stuck chains are left out. One chain
alone, or a few divergences, may lean to any of hundreds of quantities by chance: several chains must lean alike.

A funnel is told by the draws: where the quantity is small (a scale) or large (a precision), the entries of another
vector lie close together, draw by draw, or a number keeps close to its median from both sides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.diagnostics.disagreement import unmoved

LEAN_MIN = 0.62
"""Least probability that a divergent draw lies on the named side of another draw (0.5 means no relation)."""

DIVERGENT_MIN = 20
"""Divergences in chains that move."""
CHAIN_MIN = 3
"""Divergences of a chain that has a say; where there are several chains, two must have one."""

CHAIN_CLEAR = 2.0
"""Standard errors by which the measure of one chain must differ from 0.5 to count: two must lean to the named side,
and none to the other."""

LEAN_SIGNIFICANT = 4.0
"""Standard errors by which the measure must differ from 0.5: out of hundreds of quantities none does by chance."""

SPREADS_MIN = 0.5
"""Rank correlation between a quantity and the spread of a vector's entries from which on it is taken for its scale: in
centred eight schools it was 0.92 to 0.94 for `tau`, in Neal's funnel 0.97, and elsewhere between -0.2 and 0.1."""
SMALLEST_GROUP = 3

MAX_QUANTITIES = 500


@dataclass(frozen=True, slots=True)
class Lean:
    """A quantity that is small or large where draws diverge.

    Attributes:
        name: the quantity.
        side: `small` or `large`.
        there, elsewhere: its medians.
        scales: the variable that it scales, if there is one.
        several: whether that has entries that lie together, rather than one.
        itself: whether it is the scale itself, rather than its logarithm, a precision or the like.
    """

    name: str
    side: str
    there: float
    elsewhere: float
    scales: str = ""
    several: bool = False
    itself: bool = False


def where_they_lie(tree: Any, diverging: np.ndarray) -> Lean | None:
    """The quantity whose value best tells divergent draws from others, or None if none does.

    The measure is the probability that a divergent draw exceeds another one (the Mann-Whitney statistic).
    """
    kept = ~unmoved(tree)
    marked = diverging.astype(bool)[kept]
    counts = marked.sum(axis=1)
    speaking = np.flatnonzero((counts >= CHAIN_MIN) & (counts < marked.shape[1]))
    if counts.sum() < DIVERGENT_MIN or len(speaking) < min(2, len(diverging)):
        return None
    best: tuple[float, str, np.ndarray] | None = None
    for name, values in quantities(tree, sampled(tree)):
        exceed = exceedance(values[kept].ravel(), marked.ravel())
        if best is None or abs(exceed - 0.5) > abs(best[0] - 0.5):
            best = (exceed, name, values[kept])
    if best is None or max(best[0], 1 - best[0]) < LEAN_MIN:
        return None
    exceed, name, values = best
    if abs(exceed - 0.5) * np.sqrt(12 * counts.sum()) < LEAN_SIGNIFICANT:
        return None
    large = exceed > 0.5
    leans = [exceedance(values[chain], marked[chain]) - 0.5 for chain in speaking]
    clear = [
        lean > 0 for lean, n in zip(leans, counts[speaking], strict=True) if abs(lean) > CHAIN_CLEAR / (12 * n) ** 0.5
    ]
    if clear.count(large) < min(2, len(diverging)) or (not large) in clear:
        return None
    medians = float(np.median(values[marked])), float(np.median(values[~marked]))
    scales, several = scaled_by(tree, kept, name, -values if large else values)
    return Lean(name, "large" if large else "small", *medians, scales, several, not large and bool(np.all(values > 0)))


def scaled_by(tree: Any, kept: np.ndarray, name: str, values: np.ndarray) -> tuple[str, bool]:
    """The variable that lies the closer together the smaller `values` are, or none, and whether its entries do so."""
    found = ("", SPREADS_MIN, False)
    for variable in sampled(tree):
        array = tree["posterior"][variable]
        if variable == name.partition("[")[0] or array.dtype.kind != "f":
            continue
        entries = array.transpose("chain", "draw", ...).values[kept].reshape(values.size, -1)
        if entries.shape[-1] <= MAX_QUANTITIES:
            several = entries.shape[-1] >= SMALLEST_GROUP
            related = (
                _rank_correlation(values.ravel(), entries.std(axis=-1)) if several else _both_sides(values, entries)
            )
            found = max(found, (str(variable), related, several), key=lambda item: item[1])
    return found[0], found[2]


def _both_sides(values: np.ndarray, entries: np.ndarray) -> float:
    """How closely the distance of numbers from their medians follows `values`, on the side where it does less.

    A number that grows with `values` is far from its median where they are large, but on one side only.
    """
    related = []
    for entry in entries.T:
        away = entry - np.median(entry)
        related += [_rank_correlation(values.ravel()[side], np.abs(away[side])) for side in (away > 0, away < 0)]
    return min(related)


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2:
        return 0.0
    with np.errstate(all="ignore"):
        found = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    return found if np.isfinite(found) else 0.0


def exceedance(values: np.ndarray, marked: np.ndarray) -> float:
    """Probability that a marked value exceeds an unmarked one."""
    count = int(marked.sum())
    return float((_ranks(values)[marked].sum() - count * (count + 1) / 2) / (count * (len(values) - count)))


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


def sampled(tree: Any) -> list[str]:
    """The parameters, without what is computed from them; all variables where the results do not tell."""
    there = [str(name) for name in tree["posterior"].data_vars]
    told = tree["posterior"].attrs.get("sampled_variables", ())
    return [name for name in there if name in told] or there


def quantities(tree: Any, variables: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The first scalar quantities of variables by ArviZ's names, each of shape (chain, draw)."""
    produced = 0
    for variable in variables:
        array = tree["posterior"][variable]
        dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose("chain", "draw", *dims).values
        for index in np.ndindex(*values.shape[2:]):
            if produced >= MAX_QUANTITIES:
                return
            produced += 1
            labels = [str(array[dim].values[i]) for dim, i in zip(dims, index, strict=True)]
            name = f"{variable}[{', '.join(labels)}]" if labels else str(variable)
            yield name, values[(slice(None), slice(None), *index)]
