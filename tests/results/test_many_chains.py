"""Draws of many chains handed over together are stored as those of each chain alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradmc.errors import ResumeError
from gradmc.results import zarr_column
from gradmc.results.keep import Keep
from gradmc.results.memory import MemoryStore
from gradmc.results.verifying import verify
from gradmc.results.zarr_column import chunk_shape
from gradmc.results.zarr_store import ZarrStore

CHAINS, CAPACITY, CHUNKS = 7, 6, 9


def make(kind: str, path: Path, keep: Keep, together: int = 1) -> Any:
    if kind == "memory":
        return MemoryStore(chains=CHAINS, keep=keep, expected=3)
    return ZarrStore(path, chains=CHAINS, keep=keep, together=together)


def test_chunks_of_many_chains() -> None:
    assert chunk_shape(8, 1) == (1, 4096)
    assert chunk_shape(8, 64) == (64, 1024)
    assert chunk_shape(8, 4096) == (4096, 16)
    assert chunk_shape(64, 4096) == (512, 16), "large items: several blocks of chains"
    assert chunk_shape(10**6, 4096) == (1, 1)
    assert chunk_shape(0, 3) == (3, 4096)


@pytest.mark.parametrize("kind", ["memory", "zarr", "zarr of many"])
@pytest.mark.parametrize("thin", [1, 3])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_lane_is_stored_as_its_chains(
    kind: str, thin: int, ragged: bool, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "zarr of many":  # 4 chains of x in a chunk, in the last one 3; 7 of the others
        monkeypatch.setattr(zarr_column, "CHUNK_BYTES", 4 * 16 * 3)
        monkeypatch.setattr(zarr_column, "FEWEST_DRAWS", 3)
    keep = Keep(thin=thin, warmup=True)
    together = make(kind, tmp_path / "together", keep, CHAINS if kind == "zarr of many" else 1)
    alone = make(kind, tmp_path / "alone", keep)
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
    for warmup in (True, False):
        assert np.array_equal(together.lengths(warmup), alone.lengths(warmup))
        assert np.all(alone.lengths(warmup) > 0)
    assert together.checksums(range(CHAINS)) == [alone.checksums([chain])[0] for chain in range(CHAINS)]
    one, other = together.to_datatree(), alone.to_datatree()
    for group in ("posterior", "warmup_posterior", "sample_stats"):
        assert one[group].sizes["draw"] > 0
        assert one[group].to_dataset().identical(other[group].to_dataset().assign_attrs(one[group].attrs))


def rows(start: int, count: int) -> dict[str, Any]:
    """Draws of 300 chains that tell chain and draw."""
    x = np.arange(300)[:, None] + np.arange(start, start + count) / 1000
    return {"posterior": {"x": x, "theta": np.stack([x, -x], axis=-1)}}


def test_many_chains_are_in_few_files_and_go_on_from_there(tmp_path: Path) -> None:
    path, chains, none = tmp_path / "draws.zarr", range(300), np.zeros(300, int)
    first = ZarrStore(path, chains=300, together=300)
    first.put(chains, False, rows(0, 250), none, np.where(np.arange(300) % 3, 200, 250))
    first.flush(chains)
    assert sum(1 for file in path.rglob("*") if file.is_file()) < 30
    verify(path)
    second = ZarrStore.resume(path, chains=300, together=300)
    cut = np.where(np.arange(300) % 2, 150, 200)
    second.truncate(chains, False, cut)
    held = second.checksums(chains)
    assert [of["posterior/x"][0] for of in held] == cut.tolist()
    second.put(chains, False, rows(150, 450), np.where(np.arange(300) % 2, 0, 50), np.full(300, 450))
    second.finalize({})
    verify(path, draws=600)
    posterior = second.to_datatree()["posterior"]
    assert np.array_equal(posterior["x"].values, rows(0, 600)["posterior"]["x"])
    assert np.array_equal(posterior["theta"].values, rows(0, 600)["posterior"]["theta"])


def test_a_changed_chunk_of_many_chains_is_told(tmp_path: Path) -> None:
    path, chains = tmp_path / "draws.zarr", range(300)
    store = ZarrStore(path, chains=300, together=300)
    store.put(chains, False, rows(0, 20), np.zeros(300, int), np.full(300, 20))
    store.finalize({})
    changed = rows(0, 20)["posterior"]["x"]
    changed[7, 3] += 1.0
    array = store._arrays["posterior", "x"]
    whole = np.zeros(array.chunk)
    whole[:, :20] = changed
    (path / "posterior" / "x" / "c" / "0" / "0").write_bytes(array.encode(whole))
    with pytest.raises(ResumeError, match=r"the draws of chain 7 in .*x are not those that the run wrote"):
        verify(path)
