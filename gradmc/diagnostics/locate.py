"""Where divergences lie: the quantity that tells divergent draws from others, and what it scales, if anything.

A chain that does not move tells nothing about the posterior, whatever it does: stuck chains are left out. One chain
alone, or a few divergences, may lean to any of hundreds of quantities by chance: several chains must lean alike.

A funnel is told by the draws: where the quantity is small, the entries of a vector (other than its own) lie close
together, draw by draw.
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
        scales: the vector whose entries it scales, if it is small and there is one.
        logarithm: whether it is then the logarithm of the scale: it may be negative.
    """

    name: str
    side: str
    there: float
    elsewhere: float
    scales: str = ""
    logarithm: bool = False


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
    sides = [exceedance(values[chain], marked[chain]) > 0.5 for chain in speaking]
    if any(side != (exceed > 0.5) for side in sides):
        return None
    medians = float(np.median(values[marked])), float(np.median(values[~marked]))
    if exceed > 0.5:
        return Lean(name, "large", *medians)
    return Lean(name, "small", *medians, scaled_by(tree, kept, name, values), bool(np.any(values <= 0)))


def scaled_by(tree: Any, kept: np.ndarray, name: str, values: np.ndarray) -> str:
    """The vector whose entries lie the closer together the smaller a quantity is, or nothing."""
    found = ("", SPREADS_MIN)
    for variable in sampled(tree):
        array = tree["posterior"][variable]
        if variable == name.partition("[")[0]:
            continue
        entries = array.transpose("chain", "draw", ...).values[kept].reshape(*values.shape, -1)
        if SMALLEST_GROUP <= entries.shape[-1] <= MAX_QUANTITIES and entries.dtype.kind == "f":
            related = _rank_correlation(values.ravel(), entries.std(axis=-1).ravel())
            found = max(found, (str(variable), related), key=lambda item: item[1])
    return found[0]


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
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
