"""ArviZ's estimators for many quantities at once: the same numbers, without a call for each.

Rank-normalised split R-hat, bulk and tail effective sample sizes and Monte Carlo errors (Vehtari, Gelman, Simpson,
Carpenter & Bürkner 2021, https://doi.org/10.1214/20-BA1221), as `arviz_stats` computes them one by one. All functions
take draws of shape (quantity, chain, draw).
"""

import functools
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gradmc._process import available_cores

BATCH = 1 << 18
"""Numbers that are worked on at once: what is computed from them takes some 40 MB, and larger ones are no faster."""

MIN_DRAWS = 4
DIAGNOSTICS = ("ess_bulk", "ess_tail", "r_hat", "mcse_mean", "mcse_sd")


def estimates(draws: np.ndarray, *, probability: float, superchains: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The columns of the summary table after the mean and its kin, each of shape (quantity,).

    Args:
        draws: shape (quantity, chain, draw).
        probability: of the interval; tails are what lies outside of it on either side.
        superchains: for each chain the number of its superchain, for nested R-hat; None for the usual one.
    """
    size = max(1, BATCH // max(draws.shape[1] * draws.shape[2], 1))
    pieces = [draws[first : first + size] for first in range(0, len(draws), size)] or [draws]
    with ThreadPoolExecutor(min(len(pieces), available_cores())) as pool:
        parts = list(pool.map(_batch, pieces, itertools.repeat(probability), itertools.repeat(superchains)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batch(draws: np.ndarray, probability: float, superchains: np.ndarray | None) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):
        return _finite_batch(np.ascontiguousarray(draws, float), probability, superchains)


def _finite_batch(draws: np.ndarray, probability: float, superchains: np.ndarray | None) -> dict[str, np.ndarray]:
    flat = draws.reshape(len(draws), -1)
    mean, sd = flat.mean(axis=1), flat.std(axis=1, ddof=1 if flat.shape[1] > 1 else 0)
    edge = (1.0 - probability) / 2.0
    low, high, tail_low, tail_high = np.quantile(flat, [edge, 1.0 - edge, 1.0 - probability, probability], axis=1)
    found = {"mean": mean, "sd": sd, "lower": low, "upper": high}
    if draws.shape[2] < MIN_DRAWS:
        return found | dict.fromkeys(DIAGNOSTICS, np.full(len(draws), np.nan))
    split = _split(draws)
    ranked = _z_scores(split)
    tails = [ess(_split(draws <= quantile[:, None, None])) for quantile in (tail_low, tail_high)]
    diagnostics = {
        "ess_bulk": ess(ranked),
        "ess_tail": np.minimum(*tails),
        "r_hat": _r_hat(split, ranked, superchains) if draws.shape[1] > 1 else np.full(len(draws), np.nan),
        "mcse_mean": sd / np.sqrt(ess(split)),
        "mcse_sd": _error_of_sd(draws - mean[:, None, None]),
    }
    missing = np.isnan(flat).any(axis=1)
    return found | {name: np.where(missing, np.nan, values) for name, values in diagnostics.items()}


def _split(draws: np.ndarray) -> np.ndarray:
    """Both halves of each chain as chains of their own."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=1)


def _z_scores(draws: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks among all draws of a quantity; equal draws share their mean rank."""
    flat = draws.reshape(len(draws), -1)
    size = flat.shape[1]
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    new = np.ones(flat.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.broadcast_to(np.arange(size), flat.shape)
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    last = np.ones(flat.shape, bool)
    last[:, :-1] = new[:, 1:]
    end = np.minimum.accumulate(np.where(last, places, size - 1)[:, ::-1], axis=1)[:, ::-1]
    found = np.empty(flat.shape)
    np.put_along_axis(found, order, scores(size)[first + end], axis=1)
    return found.reshape(draws.shape)


@functools.lru_cache(maxsize=2)
def scores(size: int) -> np.ndarray:
    """Normal scores of the ranks 1, 1.5, 2, ... of so many draws; SciPy's quantile takes longer to import."""
    from statistics import NormalDist

    shares = (1.0 + 0.5 * np.arange(2 * size - 1) - 0.375) / (size + 0.25)
    return np.fromiter(map(NormalDist().inv_cdf, shares.tolist()), float, len(shares))


def _r_hat(split: np.ndarray, ranked: np.ndarray, superchains: np.ndarray | None) -> np.ndarray:
    """The larger one of R-hat of the ranks, and of those of distances from the median."""
    medians = np.median(split.reshape(len(split), -1), axis=1)
    folded = _z_scores(np.abs(split - medians[:, None, None]))
    if superchains is None:
        bulk, tail = _plain_r_hat(ranked), _plain_r_hat(folded)
    else:
        halves = np.concatenate([superchains, superchains])
        bulk, tail = nested_r_hat(ranked, halves), nested_r_hat(folded, halves)
    return np.where(tail > bulk, tail, bulk)


def nested_r_hat(draws: np.ndarray, superchains: np.ndarray) -> np.ndarray:
    """R-hat of superchains, whose chains began at one point (Margossian et al. 2024, equations 4 to 8).

    Many chains may be so short that the means of single ones say little; those of superchains do.

    Args:
        draws: shape (quantity, chain, draw).
        superchains: for each chain the number of its superchain.
    """
    _, own, sizes = np.unique(superchains, return_inverse=True, return_counts=True)
    members = (own[:, None] == np.arange(len(sizes))).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.einsum("qc,ck->qk", values, members / sizes)

    means = draws.mean(axis=2)
    centre = mean(means)
    single = np.maximum(sizes - 1, 1)
    between_chains = np.einsum("qc,ck->qk", (means - centre[:, own]) ** 2, members) / single
    within_chains = mean(np.var(draws, axis=2, ddof=1)) if draws.shape[2] > 1 else 0.0
    within = np.mean(between_chains + within_chains, axis=1)
    with np.errstate(all="ignore"):
        return np.sqrt(1.0 + np.var(centre, axis=1, ddof=1) / within)


def _plain_r_hat(draws: np.ndarray) -> np.ndarray:
    count = draws.shape[2]
    between = count * np.var(draws.mean(axis=2), axis=1, ddof=1)
    within = np.var(draws, axis=2, ddof=1).mean(axis=1)
    with np.errstate(all="ignore"):
        return np.sqrt((between / within + count - 1) / count)


def _error_of_sd(centred: np.ndarray) -> np.ndarray:
    """The Monte Carlo error of the standard deviation, of draws less their mean."""
    squares = centred**2
    variance = squares.mean(axis=(1, 2))
    with np.errstate(all="ignore"):
        spread = ((squares**2).mean(axis=(1, 2)) - variance**2) / ess(_split(squares))
        return np.sqrt(spread / variance / 4)


def ess(draws: np.ndarray) -> np.ndarray:
    """Effective sample sizes by Geyer's initial monotone sequence of autocorrelations, shape (quantity,)."""
    draws = np.asarray(draws, float)
    quantities, chains, count = draws.shape
    total = chains * count
    constant = np.ptp(draws.reshape(quantities, -1), axis=1) < np.finfo(float).resolution
    covariance = _mean_autocovariance(draws)
    variance = covariance[:, 0] * count / (count - 1.0)
    plus = variance * (count - 1.0) / count
    if chains > 1:
        plus = plus + np.var(draws.mean(axis=2), axis=1, ddof=1)
    with np.errstate(all="ignore"):
        correlation = 1.0 - (variance[:, None] - covariance) / plus[:, None]
    correlation[:, 0] = 1.0
    even = correlation[:, 0 : count - count % 2 : 2]
    pairs = even + correlation[:, 1::2]
    # The sequence ends with the first pair that is not positive, or just before the lags do.
    ends = ~(pairs > 0.0) | (2 * np.arange(pairs.shape[1]) + 1 >= count - 3)
    last = np.argmax(ends, axis=1)
    rows = np.arange(quantities)
    kept = np.where(np.arange(pairs.shape[1]) < last[:, None], np.minimum.accumulate(pairs, axis=1), 0.0)
    rest = even[rows, last]
    rest = np.where((rest > 0.0) | (pairs[rows, last] >= 0.0), rest, 0.0)
    time = np.maximum(-1.0 + 2.0 * kept.sum(axis=1) + rest, 1.0 / np.log10(total))
    found = np.where(np.isnan(correlation[:, 1]), np.nan, total / time)
    return np.where(constant, float(total), found)


def _mean_autocovariance(draws: np.ndarray) -> np.ndarray:
    """Autocovariances at every lag, averaged over the chains, shape (quantity, lag).

    NumPy's transform: SciPy's takes longer to import, and stops at an `OMP_NUM_THREADS` of several levels ("4,2").
    """
    count = draws.shape[2]
    length = fast_length(2 * count)
    spectrum = np.fft.rfft(draws - draws.mean(axis=2, keepdims=True), n=length, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.fft.irfft(power, n=length, axis=1)[:, :count] / count


def fast_length(least: int) -> int:
    """The smallest product of powers of 2, 3 and 5 that is at least so large: Fourier transforms of it are fast."""
    found, five = 1 << (least - 1).bit_length(), 1
    while five < found:
        odd = five
        while odd < found:
            found = min(found, odd << (-(-least // odd) - 1).bit_length())
            odd *= 3
        five *= 5
    return found


def columns(found: Mapping[str, Any], probability: float) -> dict[str, Any]:
    """The columns under ArviZ's names."""
    percent = f"{100 * probability:g}"
    names = {"lower": f"eti{percent}_lb", "upper": f"eti{percent}_ub"}
    return {names.get(name, name): values for name, values in found.items()}
