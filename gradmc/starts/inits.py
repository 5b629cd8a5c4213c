"""Starting points that the user names, in part or whole; what is not named is drawn at random."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.density import Density
from gradmc.density.reach import ATTEMPTS, random_point, reach
from gradmc.errors import UsageError
from gradmc.program.layout import gathered


def starting_point(target: Density, values: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    """The flat unconstrained starting point that has these values.

    Args:
        target: the density.
        values: by parameter; those left out are uniform(-2, 2) on the unconstrained scale (`gradmc.density.reach`).
        rng: decides those left out.

    Raises:
        UsageError: a value has the wrong shape or is outside its support, or no other values gave a finite density.
    """
    values = gathered(values, target.shapes)
    if not set(target.shapes) - set(values):
        return np.asarray(target.unconstrain(values))
    refusal: UsageError | None = None
    for attempt in range(ATTEMPTS):
        drawn = random_point(rng, target.start_radius, target.dim, attempt)
        try:
            point = np.asarray(target.unconstrain(target.placed(drawn, values)))
        except UsageError as error:  # a bound of what is given may depend on a parameter that is drawn
            refusal = error if reach(attempt) == 1.0 else refusal  # far out others end at the boundary by rounding
            continue
        if np.isfinite(target(point)):
            return point
    if refusal is not None:
        raise refusal
    left = ", ".join(name for name in target.shapes if name not in values)
    raise UsageError(
        f"initial: with these values no random values of {left} gave a finite density in {ATTEMPTS} tries; "
        "give them too"
    )
