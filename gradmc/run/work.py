"""What is asked of a run, in memory or on disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
