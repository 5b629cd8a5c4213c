"""Why chains disagree about a quantity: one is stuck, they sit in different modes, they drift, or they move slowly."""

from dataclasses import dataclass

import numpy as np

STUCK_DISTINCT = 0.05
"""A chain is stuck if fewer of its draws differ from the draw before."""

GAP = 4.0
"""Groups of chains are modes if they are so many within-chain deviations apart."""

DRIFT = 1.0
"""A chain drifts if the means of its halves differ by so many of its own deviations."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why chains disagree, and what to do."""

    finding: str
    advice: str


def explain(values: np.ndarray, chains: np.ndarray, bounds: np.ndarray | None = None) -> Cause:
    """The likeliest cause of a disagreement.

    Args:
        values: draws of one quantity, shape (chain, draw).
        chains: the numbers of the chains.
        bounds: for each chain, the evidence lower bound of the search that found its starting point, in nats; None
            where chains did not start from such searches (`gradmc.starts`).
    """
    for cause in (stuck(values, chains), transit(values, chains), modes(values, chains, bounds), drift(values, chains)):
        if cause is not None:
            return cause
    return Cause(
        "the chains move slowly",
        "draw more; if that does not help, reparameterise or try sampler.metric = 'dense'",
    )


def stuck(values: np.ndarray, chains: np.ndarray) -> Cause | None:
    """Chains that hardly ever move."""
    moves = np.mean(np.diff(values, axis=1) != 0, axis=1)
    still = chains[moves < STUCK_DISTINCT]
    if not len(still):
        return None
    finding = f"{_chains(still)} {'is' if len(still) == 1 else 'are'} stuck (new values in {_percent(moves.min())})"
    advice = (
        "the step size suits another region: raise target_accept, start elsewhere, and look for a density "
        "that is not smooth where the chain stands"
    )
    return Cause(finding, advice)


def modes(values: np.ndarray, chains: np.ndarray, bounds: np.ndarray | None = None) -> Cause | None:
    """Groups of chains whose ranges do not meet, with their shares of the mass where `bounds` tell them."""
    means, deviation = values.mean(axis=1), float(np.median(values.std(axis=1)))
    order = np.argsort(means)
    gaps = np.diff(means[order])
    if not len(gaps) or deviation == 0 or gaps.max() < GAP * deviation:
        return None
    cut = int(np.argmax(gaps)) + 1
    low, high = order[:cut], order[cut:]
    finding = (
        f"{_chains(chains[np.sort(low)])} stay{'s' if len(low) == 1 else ''} near {_round(means[low].mean())}, "
        f"{_chains(chains[np.sort(high)])} near {_round(means[high].mean())}"
    )
    if bounds is not None:
        finding += f" (shares of the mass, as the searches for a start see it: {_shares(bounds[low], bounds[high])})"
    advice = (
        "the posterior has several modes, or some chains have not found the main one: order or constrain what can "
        "be swapped, tighten priors, and compare the log density (lp) of the groups"
    )
    return Cause(finding, advice)


def _shares(low: np.ndarray, high: np.ndarray) -> str:
    """Of two groups of chains, from the evidence lower bounds of their modes: medians, since some paths fit badly."""
    share = float(1 / (1 + np.exp(np.clip(np.median(high) - np.median(low), -700, 700))))
    return f"about {100 * share:.2g} % and {100 * (1 - share):.2g} %"


def transit(values: np.ndarray, chains: np.ndarray) -> Cause | None:
    """At least half of the chains are on their way: then where they are now says nothing about modes."""
    return drift(values, chains) if 2 * len(drifting(values, chains)) >= len(chains) else None


def drift(values: np.ndarray, chains: np.ndarray) -> Cause | None:
    """Chains that are still on their way."""
    moving = drifting(values, chains)
    if not len(moving):
        return None
    finding = f"{_chains(moving)} still drift{'s' if len(moving) == 1 else ''}"
    return Cause(finding, "warm up longer (sampler.warmup), or start nearer to the posterior")


def drifting(values: np.ndarray, chains: np.ndarray) -> np.ndarray:
    """The chains whose second half lies elsewhere than their first."""
    half = values.shape[1] // 2
    shift = values[:, -half:].mean(axis=1) - values[:, :half].mean(axis=1)
    within = np.sqrt((values[:, -half:].var(axis=1) + values[:, :half].var(axis=1)) / 2)
    return chains[np.abs(shift) > DRIFT * np.where(within > 0, within, np.inf)]


def _chains(numbers: np.ndarray) -> str:
    listed = ", ".join(str(number) for number in numbers)
    return f"chain {listed}" if len(numbers) == 1 else f"chains {listed}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} % of the draws"


def _round(value: float) -> str:
    return f"{value:.3g}"
