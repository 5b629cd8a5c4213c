"""Draws of many chains handed over together are stored as those of each chain alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradmc.results.keep import Keep
from gradmc.results.memory import MemoryStore
from gradmc.results.zarr_store import ZarrStore

CHAINS, CAPACITY, CHUNKS = 7, 6, 9


def make(kind: str, path: Path, keep: Keep) -> Any:
    if kind == "memory":
        return MemoryStore(chains=CHAINS, keep=keep, expected=3)
    return ZarrStore(path, chains=CHAINS, keep=keep)


@pytest.mark.parametrize("kind", ["memory", "zarr"])
@pytest.mark.parametrize("thin", [1, 3])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_lane_is_stored_as_its_chains(
    kind: str, thin: int, ragged: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    keep = Keep(thin=thin, warmup=True)
    together, alone = make(kind, tmp_path / "together", keep), make(kind, tmp_path / "alone", keep)
    for k in range(CHUNKS):
        groups = {
            "posterior": {"x": rng.standard_normal((CHAINS, CAPACITY, 2))},
            "sample_stats": {"diverging": rng.integers(0, 2, (CHAINS, CAPACITY)).astype(bool)},
        }
        uneven = ragged and 0 < k < CHUNKS - 1  # so that every chain has some draws
        first = rng.integers(0, 3, CHAINS) if uneven else np.full(CHAINS, k % 3)
        last = rng.integers(first, CAPACITY + 1) if uneven else np.full(CHAINS, CAPACITY)
        lanes = [(0, 4), (4, CHAINS)] if k % 2 else [(0, CHAINS)]
        for low, high in lanes:
            own = {group: {name: v[low:high] for name, v in of.items()} for group, of in groups.items()}
            together.put(range(low, high), k < 3, own, first[low:high], last[low:high])
        for chain in range(CHAINS):
            rows = slice(first[chain], last[chain])
            own = {group: {name: v[chain, rows] for name, v in of.items()} for group, of in groups.items()}
            if rows.stop > rows.start:
                alone.append(chain, k < 3, own)
    for chain in range(CHAINS):
        for warmup in (True, False):
            assert together.chain_length(chain, warmup) == alone.chain_length(chain, warmup) > 0
        assert together.checksums(chain) == alone.checksums(chain)
    one, other = together.to_datatree(), alone.to_datatree()
    for group in ("posterior", "warmup_posterior", "sample_stats"):
        assert one[group].sizes["draw"] > 0
        assert one[group].to_dataset().identical(other[group].to_dataset().assign_attrs(one[group].attrs))
