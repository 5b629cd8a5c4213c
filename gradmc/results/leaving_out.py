"""Draws without some of their chains, which say so."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gradmc.errors import UsageError

LEFT_OUT = "chains_left_out"
"""The attribute that says which."""

PER_CHAIN = ("start_path", "start_elbo")
"""Attributes with an entry for each chain."""


def without_chains(draws: Any, chains: int | Iterable[int]) -> Any:
    """Draws without some of their chains, such as one that is stuck.

    What is left out by hand can hide what is wrong; `gm.diagnose`, summaries, reports and exports of the result say
    which chains were left out.

    Args:
        draws: a DataTree with the group `posterior`, as `gm.sample` returns; it stays as it is.
        chains: numbers of the chains to leave out, as in its coordinate `chain`.

    Raises:
        UsageError: there is no such chain, or none would be left.
    """
    if "posterior" not in getattr(draws, "children", ()):
        raise UsageError(f"expected draws with the group 'posterior', as gm.sample returns, got {type(draws).__name__}")
    asked = [int(chain) for chain in ([chains] if isinstance(chains, int | np.integer) else chains)]
    present = [int(chain) for chain in draws["posterior"]["chain"].values]
    if unknown := [chain for chain in asked if chain not in present]:
        raise UsageError(
            f"no chain {', '.join(map(str, unknown))} to leave out; there are {', '.join(map(str, present))}"
        )
    if set(asked) == set(present):
        raise UsageError(f"all chains ({', '.join(map(str, present))}) are left out; leave some")
    if not asked:
        return draws
    import xarray as xr

    groups = {
        name: dataset.isel(chain=~np.isin(dataset["chain"].values, asked)) if "chain" in dataset.dims else dataset
        for name, node in draws.children.items()
        for dataset in [node.to_dataset()]
    }
    rest = xr.DataTree.from_dict(groups, name=draws.name)
    kept = [i for i, chain in enumerate(present) if chain not in asked]
    rest.attrs = {
        name: [value[i] for i in kept] if name in PER_CHAIN and len(value) == len(present) else value
        for name, value in draws.attrs.items()
    }
    rest.attrs[LEFT_OUT] = sorted({*map(int, draws.attrs.get(LEFT_OUT, ())), *asked})
    return rest


def left_out(draws: Any) -> tuple[int, ...]:
    """The chains that were left out of draws by hand."""
    return tuple(int(chain) for chain in np.atleast_1d(draws.attrs.get(LEFT_OUT, ())))


def in_words(chains: Iterable[int]) -> str:
    """`chain 2 left out`, `chains 0 and 2 left out`."""
    *most, last = [str(chain) for chain in chains]
    return f"chains {', '.join(most)} and {last} left out" if most else f"chain {last} left out"
