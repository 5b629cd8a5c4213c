"""Laws of stores: memory equals Zarr, any chunking is equal, an interruption changes nothing."""

from pathlib import Path

import arviz_base
import numpy as np
import pytest
import xarray as xr

from gradmc.errors import UsageError
from gradmc.results import Keep, Labels, MemoryStore, ZarrStore
from gradmc.results.lengths import Rectangle, largest
from gradmc.results.plain_tree import read_plainly
from gradmc.results.reading import open_draws
from gradmc.results.zarr_column import CHUNK_DRAWS
from tests.results.fakes import LABELS, chunk, feed

KEEPS = [
    Keep(),
    Keep(warmup=True),
    Keep(warmup=True, thin=7, float32=True),
    Keep(variables=("mu", "log_likelihood/*"), exclude=("log_prior/*",)),
]


def assert_same_trees(one: xr.DataTree, other: xr.DataTree) -> None:
    assert [node.path for node in one.subtree] == [node.path for node in other.subtree]
    for node in one.subtree:
        left, right = node.to_dataset().load(), other[node.path].to_dataset().load()
        xr.testing.assert_identical(left.drop_attrs(), right.drop_attrs())
        assert list(left.data_vars) == list(right.data_vars)
        assert {k: v for k, v in left.attrs.items() if k not in ("created_at", "gradmc_lengths")} == {
            k: v for k, v in right.attrs.items() if k not in ("created_at", "gradmc_lengths")
        }


def assert_reads_plainly(path: Path, tree: xr.DataTree) -> None:
    """What is read without xarray is what xarray reads."""
    plain = read_plainly(path)
    assert dict(plain.attrs) == tree.attrs
    assert list(plain.children) == list(tree.children)
    for name, group in plain.children.items():
        dataset = tree[name].to_dataset()
        assert dict(group.attrs) == dataset.attrs
        assert group.sizes == dict(dataset.sizes)
        assert list(group.data_vars) == list(dataset.data_vars)
        assert set(group.coords) == set(dataset.coords)
        for variable in (*group.data_vars, *group.coords):
            array, expected = group[variable], dataset[variable]
            assert variable in group
            assert array.dims == expected.dims
            assert array.dtype.kind == expected.dtype.kind.replace("T", "U").replace("O", "U")
            assert array.values.tolist() == expected.values.tolist()
            for dim in array.dims:
                assert array[dim].values.tolist() == expected[dim].values.tolist()


@pytest.mark.parametrize("keep", KEEPS, ids=str)
def test_memory_and_zarr_give_the_same_tree(tmp_path: Path, keep: Keep) -> None:
    memory = MemoryStore(chains=2, labels=LABELS, keep=keep, expected=3)
    disk = ZarrStore(tmp_path / "draws.zarr", chains=2, labels=LABELS, keep=keep)
    for store in (memory, disk):
        for chain in (1, 0):
            feed(store, chain, (50, 100), size=37 if store is disk else 11)
        store.finalize({"sampling_time": 1.5, "converged": True, "settings": {"a": 1}, "none": None})
    assert_same_trees(memory.to_datatree(), disk.to_datatree())
    assert_reads_plainly(tmp_path / "draws.zarr", disk.to_datatree())


def test_draws_in_several_chunks_read_plainly(tmp_path: Path) -> None:
    store = ZarrStore(tmp_path / "draws.zarr", chains=2, labels=LABELS)
    for chain, draws in ((0, 2 * CHUNK_DRAWS + 7), (1, CHUNK_DRAWS + 3)):
        feed(store, chain, (5, draws), size=1000)
    tree = store.to_datatree()
    assert tree["posterior"].sizes["draw"] == CHUNK_DRAWS + 3
    assert_reads_plainly(tmp_path / "draws.zarr", tree)


def test_tree_follows_the_conventions_of_arviz() -> None:
    store = MemoryStore(chains=2, labels=LABELS)
    feed(store, 0, (0, 20))
    feed(store, 1, (0, 20))
    tree = store.to_datatree()
    groups = {"posterior", "sample_stats", "log_likelihood", "log_prior", "observed_data", "constant_data"}
    assert set(tree.children) == groups
    assert tree.name == tree.attrs["name"] == "eight_schools"
    assert tree["posterior"]["theta"].dims == ("chain", "draw", "school")
    assert tree["posterior"]["S"].dims == ("chain", "draw", "S_dim_0", "S_dim_1")
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "school")
    assert set(tree["observed_data"].data_vars) == {"y"}
    assert set(tree["constant_data"].data_vars) == {"sigma", "label"}
    assert tree["posterior"].attrs["sample_dims"] == ["chain", "draw"]
    assert tree["posterior"].attrs["sampled_variables"] == ["mu", "theta"]
    reference = arviz_base.from_dict(
        {"posterior": {name: var.values for name, var in tree["posterior"].data_vars.items()}},
        dims={"theta": ["school"]},
        coords={"school": list("abcdefgh")},
    )
    xr.testing.assert_identical(
        tree["posterior"].to_dataset().drop_attrs(), reference["posterior"].to_dataset().drop_attrs()
    )
    for node in tree.subtree:
        assert not any(isinstance(value, bool | np.bool_) for value in node.attrs.values())


def test_a_running_store_shows_the_common_number_of_draws(tmp_path: Path) -> None:
    store = ZarrStore(tmp_path / "draws.zarr", chains=2, labels=LABELS)
    feed(store, 0, (10, 90))
    store.flush([0])
    feed(store, 1, (10, 40))
    store.flush([1])
    for consolidated in (True, False):
        tree = xr.open_datatree(tmp_path / "draws.zarr", engine="zarr", consolidated=consolidated)
        assert dict(tree["posterior"].sizes)["draw"] == 40
        assert np.array_equal(
            tree["posterior"].to_dataset()["mu"].values[1, 30:], chunk(1, False, 30, 10)["posterior"]["mu"]
        )


@pytest.mark.parametrize("cut", [0, 1, 37, 4096, 4100])
def test_truncated_and_repeated_draws_are_bitwise_the_same(tmp_path: Path, cut: int) -> None:
    keep = Keep(warmup=True, variables=("mu",))
    whole = ZarrStore(tmp_path / "whole.zarr", chains=1, labels=LABELS, keep=keep)
    feed(whole, 0, (10, 4200), size=999)
    first = ZarrStore(tmp_path / "parts.zarr", chains=1, labels=LABELS, keep=keep)
    feed(first, 0, (10, 4150), size=500)
    first.flush([0])
    second = ZarrStore.resume(tmp_path / "parts.zarr", chains=1, labels=LABELS, keep=keep)
    assert second.lengths(False)[0] == 4150
    second.truncate([0], False, np.array([cut]))
    feed(second, 0, (10, 4200), size=123)
    assert_same_trees(whole.to_datatree(), second.to_datatree())


def test_draws_of_the_first_chain_to_have_any_are_found_again(tmp_path: Path) -> None:
    """While the other chain is in warmup, so that readers see no draws yet."""
    path = tmp_path / "draws.zarr"
    first = ZarrStore(path, chains=2, labels=LABELS, keep=Keep(warmup=True))
    feed(first, 1, (10, 0))
    feed(first, 0, (50, 0))
    first.flush([1])
    first.flush([0])
    feed(first, 0, (50, 30))
    first.flush([0])
    second = ZarrStore.resume(path, chains=2, labels=LABELS, keep=Keep(warmup=True))
    for chain, lengths in enumerate([(50, 30), (10, 0)]):
        for warmup, length in zip((True, False), lengths, strict=True):
            second.truncate([chain], warmup, np.array([length]))
        assert second.checksums([chain])[0] == first.checksums([chain])[0]


def test_resume_without_truncation_extends(tmp_path: Path) -> None:
    memory = MemoryStore(chains=1, labels=LABELS)
    feed(memory, 0, (5, 60))
    first = ZarrStore(tmp_path / "draws.zarr", chains=1, labels=LABELS)
    feed(first, 0, (5, 41))
    first.finalize({})
    second = ZarrStore.resume(tmp_path / "draws.zarr", chains=1, labels=LABELS)
    feed(second, 0, (5, 60))
    assert_same_trees(memory.to_datatree(), second.to_datatree())


def test_memory_truncates() -> None:
    store = MemoryStore(chains=1, labels=LABELS)
    feed(store, 0, (0, 60))
    store.truncate([0], False, np.array([17]))
    feed(store, 0, (0, 30))
    assert store.to_datatree()["posterior"]["mu"].values[0].tolist() == list(chunk(0, False, 0, 30)["posterior"]["mu"])


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([1000, 1000, 3, 0], Rectangle((0, 1), 1000)),
        ([500, 480, 300, 290], Rectangle((0, 1, 2, 3), 290)),
        ([0, 0], Rectangle((0, 1), 0)),
        ([0, 5], Rectangle((1,), 5)),
    ],
)
def test_interrupted_chains_keep_most_draws(lengths: list[int], expected: Rectangle) -> None:
    assert largest(lengths) == expected


def test_unequal_chains_in_memory_are_cut() -> None:
    store = MemoryStore(chains=3, labels=LABELS)
    feed(store, 0, (0, 30))
    feed(store, 2, (0, 28))
    tree = store.to_datatree()
    assert tree["posterior"].chain.values.tolist() == [0, 2]
    assert tree["posterior"].sizes["draw"] == 28


def test_axes_that_cannot_bear_a_declared_name_get_a_default_one() -> None:
    labels = Labels(dims={"a": ("n",), "b": ("n",), "n": (None,)}, coords={"n": [1, 2, 3]})
    store = MemoryStore(chains=1, labels=labels)
    store.append(0, False, {"posterior": {"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}})
    posterior = store.to_datatree()["posterior"]
    assert posterior["a"].dims[2:] == ("n",)
    assert posterior["b"].dims[2:] == ("b_dim_0",)


def test_a_variable_named_like_a_dimension_does_not_clash() -> None:
    labels = Labels(dims={"theta": ("school",)}, coords={"school": [1, 2]}, data={"school": np.array([0, 1, 1])})
    store = MemoryStore(chains=1, labels=labels)
    store.append(0, False, {"posterior": {"theta": np.zeros((2, 2)), "school": np.zeros(2)}})
    assert store.to_datatree()["posterior"]["theta"].dims[2:] == ("theta_dim_0",)


def test_chunks_must_agree_on_their_length() -> None:
    store = MemoryStore(chains=1)
    with pytest.raises(ValueError, match=r"different numbers of draws: \[1, 2\]"):
        store.append(0, False, {"posterior": {"a": np.zeros(1), "b": np.zeros(2)}})


def test_opening_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a Zarr store"):
        open_draws(tmp_path / "draws.zarr")


def test_thinning_must_be_positive() -> None:
    with pytest.raises(UsageError, match="thin must be at least 1, got 0"):
        Keep(thin=0)
