"""Random starts: uniform on the unconstrained scale, tried anew until density and gradient are finite (Stan's rule)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gradmc.starts.asking import Evaluate, Explore


@dataclasses.dataclass(frozen=True, slots=True)
class Uniform:
    """Searches for nothing, so that every chain draws its own starting point (`gradmc.run.machine`)."""

    def find(
        self,
        evaluate: Evaluate,
        radius: np.ndarray,
        seed: int,
        chains: Sequence[int],
        explore: Explore | None = None,
    ) -> None:
        """Nothing."""
