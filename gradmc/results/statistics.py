"""What the statistics of a transition mean."""

from typing import Any

import numpy as np


def lost_draws(statistics: Any) -> np.ndarray:
    """Which draws diverged because the density or its gradient was not finite, shape (chain, draw).

    Such a step has an infinite energy error; that of a step which is merely too long is large.

    Args:
        statistics: the group `sample_stats`; draws of samplers that give no `max_energy_error` are not judged.
    """
    diverging = statistics["diverging"].values.astype(bool)
    if "max_energy_error" not in statistics:
        return np.zeros_like(diverging)
    return diverging & np.isinf(statistics["max_energy_error"].values)
