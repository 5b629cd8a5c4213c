"""Which quantities a report shows in pictures: those that are worst off."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gradmc.diagnostics.summary import Row, Summary


def worst_first(summary: Summary) -> list[Row]:
    """Rows that vary: first those on which chains disagree or that are not finite, then those that move least."""
    return sorted((row for row in summary.rows if not row.constant), key=_badness)


def _badness(row: Row) -> tuple[float, float]:
    r_hat, ess = row["r_hat"], min(row["ess_bulk"], row["ess_tail"])
    disagreement = math.inf if not math.isfinite(r_hat) else max(r_hat, 1.01)
    return (-disagreement, ess if math.isfinite(ess) else -math.inf)


def select(tree: Any, names: Iterable[str], group: str = "posterior") -> dict[str, np.ndarray]:
    """The draws of scalar quantities by their names in the summary, each of shape (chain, draw)."""
    wanted = dict.fromkeys(names)
    found: dict[str, np.ndarray] = {}
    for variable, array in tree[group].data_vars.items():
        asked = [name for name in wanted if name == variable or name.startswith(f"{variable}[")]
        if asked:
            found |= {name: values for name, values in _scalars(str(variable), array) if name in wanted}
    return {name: found[name] for name in wanted if name in found}


def _scalars(variable: str, array: Any) -> Iterator[tuple[str, np.ndarray]]:
    dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
    array = array.transpose("chain", "draw", *dims)
    labels = [[str(label) for label in array[dim].values] for dim in dims]
    values = array.values
    for index in np.ndindex(*values.shape[2:]):
        inside = ", ".join(labels[axis][i] for axis, i in enumerate(index))
        yield (f"{variable}[{inside}]" if dims else variable), values[(slice(None), slice(None), *index)]
