"""What is asked of a run, in memory or on disk."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradmc._imports import load
from gradmc.density import Density
from gradmc.results.keep import Keep
from gradmc.run.settings import Settings
from gradmc.run.stopping import Targets


@dataclass(frozen=True, slots=True)
class Work:
    """What to sample, how, and what to keep of it.

    Args:
        density: what to sample.
        settings: how.
        initial: flat unconstrained starting points, one per chain, or None.
        check: whether to compare the compiled program with plain Python first.
        keep: which draws and variables are kept.
        targets: when to stop early.
    """

    density: Density
    settings: Settings
    initial: Sequence[np.ndarray] | None
    check: bool
    keep: Keep
    targets: Targets


def prepare_results(density: Density, modules: Sequence[str]) -> None:
    """Do what the results will need, while XLA compiles: name their axes, and import what takes long.

    Args:
        density: what is sampled.
        modules: what to import, in a thread (not a daemon, since an import must not be cut off).
    """
    threading.Thread(target=lambda: [load(name) for name in modules]).start()
    _ = density.group_dims
