"""Rows of known masks at symbolic places: where the iterations at hand have the same one, it is known (`patterns`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradmc.program.frontend import tables
from gradmc.program.frontend.evaluation import Evaluation


def row(ev: Evaluation, mask: np.ndarray, parts: Sequence[Any]) -> np.ndarray | None:
    """The row of a known mask at a symbolic place, if it is the same in all iterations at hand; noted otherwise."""
    table = tables.known(ev, parts[0]) if len(parts) == 1 else None
    if table is None or len(table.loops) != 1 or not _inside(table.values, len(mask)):
        return None
    (loop,) = table.loops
    rows = mask[table.values]
    if (iterations := ev.iterations.get(loop)) is None:
        ev.rows.setdefault(loop, []).append(rows.reshape(len(rows), -1))
        return None
    chosen = rows[iterations]
    return np.array(chosen[0]) if (chosen == chosen[0]).all() else None


def _inside(places: np.ndarray, size: int) -> bool:
    return bool(places.size) and bool((places >= -size).all()) and bool((places < size).all())
