"""What only some iterations mark or append, where data tell which ones.

`if seen[i]: observe("y", ...)` marks a value in the iterations in which `seen[i]` holds. The loop computes it for all
of them; the table of the condition says which to keep once the loops around are done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradmc.program.frontend import tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.tables import Table


@dataclass(frozen=True, eq=False, slots=True)
class Sometimes:
    """A value that exists where a condition holds.

    Attributes:
        value: filled with anything elsewhere.
        when: the condition, for all iterations of the loops around.
        axes: the loops along which `value` has been stacked so far, outermost first.
    """

    value: Any
    when: Table
    axes: tuple[int, ...] = ()

    def stacked(self, value: Any, loop: int) -> "Sometimes":
        """It, stacked along one more loop."""
        return replace(self, value=value, axes=(loop, *self.axes))

    @property
    def complete(self) -> bool:
        """Whether all loops on which the condition depends are done."""
        return set(self.when.loops) <= set(self.axes)

    def places(self) -> np.ndarray:
        """Where the values are that exist: positions among the stacked ones, in the loops' order."""
        mask = self.when.values.transpose([self.when.loops.index(a) for a in self.axes if a in self.when.loops])
        spread = np.expand_dims(mask, tuple(k for k, a in enumerate(self.axes) if a not in self.when.loops))
        lengths = np.shape(self.value)[: len(self.axes)]
        return np.flatnonzero(np.broadcast_to(spread, lengths))

    def kept(self) -> Any:
        """The values that exist, along one axis."""
        rest = np.shape(self.value)[len(self.axes) :]
        return self.value.reshape((-1, *rest))[self.places()]


def within(ev: Evaluation, value: Any, condition: Table) -> Sometimes | None:
    """A value, or one that exists sometimes, under one more condition; None if the conditions are too large."""
    if not isinstance(value, Sometimes):
        return Sometimes(value, condition)
    both = tables.combine(ev, np.logical_and, [value.when, condition])
    return None if both is None else replace(value, when=both)


def any_sometimes(values: Sequence[Any]) -> bool:
    """Whether one of the values exists only sometimes."""
    return any(isinstance(v, Sometimes) for v in values)
