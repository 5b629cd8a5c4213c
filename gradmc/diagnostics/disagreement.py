"""Why chains disagree about a quantity: one is stuck, they stand at different heights or in different modes, they
drift, or they move slowly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

STUCK_DISTINCT = 0.05
"""A chain is stuck if fewer of its draws differ from the draw before."""

GAP = 4.0
"""Groups of chains are modes if they are so many within-chain deviations apart."""

SETTLED = 0.75
"""Groups of chains are modes if at least this share of the chains has settled: in their quarters they are about as far
around as from quarter to quarter. Chains that wander, as where a density is flat, stand apart as well; of random walks
that do, 2 % are taken for modes (four chains, simulated)."""

HEIGHTS = 10.0
"""Groups of chains stand at different heights if their mean log densities are so many nats apart, and ..."""

HEIGHTS_APART = 4.0
"""... so many of the deviations that they have within chains."""

AGREE = "let the chains agree"
"""What has to come first where chains stand apart."""

DRIFT = 1.0
"""A chain drifts if the means of its halves differ by so many of its own deviations."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why chains disagree, what to do, and whether all else has to wait for it."""

    finding: str
    advice: str
    first: str = ""


def explain(
    values: np.ndarray,
    chains: np.ndarray,
    bounds: np.ndarray | None = None,
    heights: np.ndarray | None = None,
    metric: str = "",
) -> Cause:
    """The likeliest cause of a disagreement.

    Args:
        values: draws of one quantity, shape (chain, draw).
        chains: the numbers of the chains.
        bounds: for each chain, the evidence lower bound of the search that found its starting point, in nats; None
            where chains did not start from such searches (`gradmc.starts`).
        heights: log densities of the draws, shape (chain, draw), if they are known.
        metric: the metric of the run, if it is known.
    """
    moving = drifting(values, chains, heights)
    found = stuck(values, chains) or transit(moving, chains) or apart(heights, chains)
    found = found or modes(values, chains, bounds) or drift(moving)
    if found is not None:
        return found
    dense = "" if metric == "dense" else ' or try metric="dense"'
    return Cause("the chains move slowly", f"draw more; if that does not help, reparameterise{dense}")


def unmoved(tree: Any) -> np.ndarray:
    """Which chains of a DataTree hardly ever move, shape (chain,)."""
    first = next(iter(tree["posterior"].data_vars.values())).transpose("chain", "draw", ...).values
    flat = first.reshape(*first.shape[:2], -1)
    if flat.shape[1] < 2:
        return np.zeros(len(flat), bool)
    return np.mean(np.any(flat[:, 1:] != flat[:, :-1], axis=-1), axis=1) < STUCK_DISTINCT


def stuck(values: np.ndarray, chains: np.ndarray) -> Cause | None:
    """Chains that hardly ever move."""
    moves = np.mean(np.diff(values, axis=1) != 0, axis=1)
    still = chains[moves < STUCK_DISTINCT]
    if not len(still):
        return None
    finding = f"{named(still)} {'is' if len(still) == 1 else 'are'} stuck (new values in {_percent(moves.min())})"
    return Cause(finding, STUCK_ADVICE, AGREE)


STUCK_ADVICE = (
    "the step size suits another region: raise target_accept, start elsewhere, and look for a density that is not "
    "smooth where the chain stands"
)


def apart(heights: np.ndarray | None, chains: np.ndarray) -> Cause | None:
    """Groups of chains whose log densities do not meet: the lower ones have not found what the higher ones have."""
    if heights is None or not np.all(np.isfinite(heights)):
        return None
    means, within = heights.mean(axis=1), float(np.median(heights.std(axis=1)))
    order = np.argsort(means)
    gaps = np.diff(means[order])
    if not len(gaps) or gaps.max() < max(HEIGHTS, HEIGHTS_APART * within):
        return None
    cut = int(np.argmax(gaps)) + 1
    low, high = (chains[np.sort(part)] for part in (order[:cut], order[cut:]))
    gap = means[order[cut:]].mean() - means[order[:cut]].mean()
    finding = (
        f"the log density of {named(high)} is {gap:,.0f} above that of {named(low)}"
        f" ({_round(means[order[cut:]].mean())} and {_round(means[order[:cut]].mean())} on average)"
    )
    advice = (
        f"more draws do not help. Start all chains from a draw of {named(high)} (initial); if they stay there, "
        f"{named(low)} stood in a lesser mode"
    )
    return Cause(finding, advice, AGREE)


def modes(values: np.ndarray, chains: np.ndarray, bounds: np.ndarray | None = None) -> Cause | None:
    """Groups of chains whose ranges do not meet, with their shares of the mass where `bounds` tell them."""
    means, deviation = values.mean(axis=1), float(np.median(values.std(axis=1)))
    order = np.argsort(means)
    gaps = np.diff(means[order])
    if not len(gaps) or deviation == 0 or gaps.max() < GAP * deviation or _settled(values).mean() < SETTLED:
        return None
    cut = int(np.argmax(gaps)) + 1
    low, high = order[:cut], order[cut:]
    finding = (
        f"{named(chains[np.sort(low)])} stay{'s' if len(low) == 1 else ''} near {_round(means[low].mean())}, "
        f"{named(chains[np.sort(high)])} near {_round(means[high].mean())}"
    )
    if bounds is not None:
        finding += f" (shares of the mass, as the searches for a start see it: {_shares(bounds[low], bounds[high])})"
    advice = (
        "the posterior has several modes, or some chains have not found the main one: order or constrain what can "
        "be swapped, tighten priors, reparameterise where one narrow bend joins the groups, and compare the log "
        "density (lp) of the groups"
    )
    return Cause(finding, advice, AGREE)


def _shares(low: np.ndarray, high: np.ndarray) -> str:
    """Of two groups of chains, from the evidence lower bounds of their modes: medians, since some paths fit badly."""
    share = float(1 / (1 + np.exp(np.clip(np.median(high) - np.median(low), -700, 700))))
    return f"about {100 * share:.2g} % and {100 * (1 - share):.2g} %"


def transit(moving: np.ndarray, chains: np.ndarray) -> Cause | None:
    """At least half of the chains are on their way: then where they are now says nothing about modes."""
    return drift(moving) if 2 * len(moving) >= len(chains) else None


def drift(moving: np.ndarray) -> Cause | None:
    """Chains that are still on their way."""
    if not len(moving):
        return None
    finding = f"{named(moving)} still drift{'s' if len(moving) == 1 else ''}"
    return Cause(finding, "start nearer to the posterior (initial), or warm up longer (warmup)")


def drifting(values: np.ndarray, chains: np.ndarray, heights: np.ndarray | None = None) -> np.ndarray:
    """The chains whose second half lies elsewhere than their first, and higher, where heights are known.

    A chain that stays where it is and is slow lies elsewhere too, now higher, now lower.
    """
    found = np.abs(_shift(values)) > DRIFT
    if heights is not None and np.all(np.isfinite(heights)):
        found &= _shift(heights) > DRIFT
    return chains[found]


def _shift(values: np.ndarray) -> np.ndarray:
    """By how many deviations within a half the second half of each chain lies above the first, shape (chain,)."""
    half = values.shape[1] // 2
    shift = values[:, -half:].mean(axis=1) - values[:, :half].mean(axis=1)
    within = np.sqrt((values[:, -half:].var(axis=1) + values[:, :half].var(axis=1)) / 2)
    return shift / np.where(within > 0, within, np.inf)


def _settled(values: np.ndarray) -> np.ndarray:
    """Whether the means of each chain's quarters differ no more than its draws within them do, shape (chain,)."""
    size = values.shape[1] // 4
    if size < 4:
        return np.ones(len(values), bool)
    quarters = values[:, -4 * size :].reshape(len(values), 4, size)
    return quarters.mean(axis=2).var(axis=1, ddof=1) <= quarters.var(axis=2).mean(axis=1)


def named(numbers: np.ndarray, limit: int = 12) -> str:
    """`chain 2`, `chains 0, 1`, `chains 0, 1, 2 and 93 more`."""
    listed = ", ".join(str(number) for number in numbers[:limit])
    if len(numbers) > limit:
        listed += f" and {len(numbers) - limit:,} more"
    return f"chain {listed}" if len(numbers) == 1 else f"chains {listed}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} % of the draws"


def _round(value: float) -> str:
    return f"{value:.3g}"
