"""Chains that do not arrive: 20 on each of the reference posteriors, default settings, from the default starts.

A chain is lost if the median log density of its draws lies more than 10 and six standard deviations below that of the
others.
"""

import numpy as np

import gradmc as gm
from tests.posteriordb.reference import COLLECTION, POSTERIORS

SEEDS = (1,)
CHAINS = 20


def lost(log_densities: np.ndarray) -> np.ndarray:
    """Which chains are, from log densities of their draws, shape (chains, draws)."""
    medians = np.median(log_densities, axis=1)
    return medians < np.median(medians) - 10 - 6 * np.median(log_densities.std(axis=1))


def main() -> None:
    """Print the table."""
    if not COLLECTION.exists():
        print("skipped: the reference posteriors are not present beside the project")
        return
    print(f"{'posterior':46}{'seed':>5}{'lost':>6}{'gradients':>11}  start")
    total = 0
    for posterior in POSTERIORS:
        for seed in SEEDS:
            tree = gm.sample(posterior.model, posterior.data(), chains=CHAINS, draws=300, seed=seed, progress="none")
            count = int(lost(tree["sample_stats"]["lp"].values).sum())
            total += count
            told = f"{tree.attrs['start']}: {tree.attrs['start_note']}"
            print(f"{posterior.id:46}{seed:5}{count:6}{tree.attrs['n_gradients']:11,}  {told}", flush=True)
    print(f"{total} of {CHAINS * len(SEEDS) * len(POSTERIORS)} chains lost")
