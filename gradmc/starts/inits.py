"""Starting points that the user names, in part or whole; what is not named is drawn at random, as Stan draws it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.density import Density
from gradmc.errors import UsageError
from gradmc.program.layout import gathered

TRIES = 100
"""As many as Stan makes."""


def starting_point(target: Density, values: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    """The flat unconstrained starting point that has these values.

    Args:
        target: the density.
        values: by parameter; those left out are uniform(-2, 2) on the unconstrained scale.
        rng: decides those left out.

    Raises:
        UsageError: a value has the wrong shape or is outside its support, or no other values gave a finite density.
    """
    values = gathered(values, target.shapes)
    if not set(target.shapes) - set(values):
        return np.asarray(target.unconstrain(values))
    refusal: UsageError | None = None
    for _ in range(TRIES):
        drawn = rng.uniform(-1.0, 1.0, target.dim) * target.start_radius
        try:
            point = np.asarray(target.unconstrain(target.placed(drawn, values)))
        except UsageError as error:  # a bound of what is given may depend on a parameter that is drawn
            refusal = error
            continue
        if np.isfinite(target(point)):
            return point
    if refusal is not None:
        raise refusal
    left = ", ".join(name for name in target.shapes if name not in values)
    raise UsageError(
        f"initial: with these values no random values of {left} gave a finite density in {TRIES} tries; give them too"
    )
