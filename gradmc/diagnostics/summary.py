"""The summary table: mean, sd, interval, effective sample sizes, R-hat and Monte Carlo errors.

All estimators are ArviZ's (`gradmc.diagnostics.estimators`).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.diagnostics.estimators import columns, estimates
from gradmc.errors import UsageError
from gradmc.results.arviz_settings import interval_probability
from gradmc.results.leaving_out import left_out


@dataclass(frozen=True, slots=True)
class Row:
    """One scalar quantity: its name, such as `theta[a]`, and its statistics by ArviZ's names."""

    name: str
    values: dict[str, float]

    def __getitem__(self, statistic: str) -> float:
        return self.values[statistic]

    @property
    def constant(self) -> bool:
        """Whether all draws are equal, so that there is nothing to diagnose."""
        return self.values["sd"] == 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The table, and how many draws it is made of.

    `left_out` are the chains that were left out by hand.  With `superchains`, R-hat is the nested one of so many.
    """

    chains: int
    draws: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: tuple[int, ...] = ()
    superchains: int = 0

    def as_json(self) -> dict[str, Any]:
        """The table as JSON; numbers that do not exist are null."""
        rows = [{"name": row.name, **{k: _finite(v) for k, v in row.values.items()}} for row in self.rows]
        counts = {"chains": self.chains, "draws": self.draws}
        left_out = {"left_out": list(self.left_out)} if self.left_out else {}
        nested = {"superchains": self.superchains} if self.superchains else {}
        return {**counts, **left_out, **nested, "columns": list(self.columns), "rows": rows}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Summary":
        """The inverse of `as_json`."""
        columns = tuple(content["columns"])
        rows = tuple(
            Row(
                name=row["name"],
                values={column: math.nan if row[column] is None else row[column] for column in columns},
            )
            for row in content["rows"]
        )
        left_out = tuple(content.get("left_out", ()))
        return cls(
            chains=content["chains"],
            draws=content["draws"],
            columns=columns,
            rows=rows,
            left_out=left_out,
            superchains=content.get("superchains", 0),
        )


def is_empty(tree: Any, group: str) -> bool:
    """Whether a group of draws is there, and holds none."""
    return group in getattr(tree, "children", ()) and tree[group].sizes.get("draw") == 0


def summarise(tree: Any, *, group: str = "posterior", variables: Sequence[str] | None = None) -> Summary:
    """Summarise each scalar quantity of a group of draws.

    Args:
        tree: a DataTree.
        group: the group, with dimensions `chain` and `draw`.
        variables: names of variables; all by default.

    Raises:
        UsageError: there is no such group, or it is empty.
    """
    if group not in getattr(tree, "children", ()):
        raise UsageError(f"expected draws with the group {group!r}, as gm.sample returns, got {type(tree).__name__}")
    if is_empty(tree, group):
        raise UsageError(f"group {group!r} has no draws: there is nothing to summarise")
    dataset = tree[group].to_dataset()
    chosen = list(dataset.data_vars) if variables is None else list(variables)
    probability = interval_probability()
    superchains = superchains_of(tree, dataset["chain"].values)
    names: list[str] = []
    found: list[dict[str, Any]] = []
    for variable in chosen:
        array = dataset[variable].transpose("chain", "draw", ...)
        names += _names(array)
        draws = _as_real(array.values).reshape(*array.values.shape[:2], -1)
        told = estimates(np.moveaxis(draws, -1, 0), probability=probability, superchains=superchains)
        found.append(columns(told, probability))
    table = {name: np.concatenate([part[name] for part in found]).tolist() for name in found[0]} if found else {}
    lines = zip(*table.values(), strict=True)
    rows = tuple(
        Row(name=name, values=dict(zip(table, line, strict=True))) for name, line in zip(names, lines, strict=True)
    )
    sizes = dataset.sizes
    return Summary(
        chains=sizes["chain"],
        draws=sizes["draw"],
        columns=tuple(table),
        rows=rows,
        left_out=left_out(tree),
        superchains=0 if superchains is None else len(np.unique(superchains)),
    )


def superchains_of(tree: Any, chains: np.ndarray) -> np.ndarray | None:
    """For each chain, given by its number, the superchain; None where chains are too few to share starting points."""
    count = int(tree.attrs.get("superchains", 0))
    return chains % count if count and len(chains) >= 2 * count else None


def _names(array: Any) -> list[str]:
    """The names of the entries of a variable, as ArviZ makes them: `theta[a]`, `x[0, 1]`."""
    labels = [[str(label) for label in array[dim].values] for dim in array.dims[2:]]
    return [f"{array.name}[{', '.join(entry)}]" if entry else str(array.name) for entry in itertools.product(*labels)]


def _as_real(array: np.ndarray) -> np.ndarray:
    """Counts and indicators as real numbers: differences of booleans and of unsigned integers are none."""
    return array.astype(float) if array.dtype.kind in "biu" else array


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
