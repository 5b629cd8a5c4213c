"""What a model may take and results cannot hold is left out in advance; no draw is lost to it."""

import dataclasses
import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gradmc.results import Labels, MemoryStore, ZarrStore
from gradmc.results.export import export
from gradmc.results.reading import open_draws
from gradmc.results.storable import as_array, axis_labels, left_out
from tests.results.fakes import LABELS, feed

STORED: dict[str, tuple[Any, Any]] = {
    "text": ("x", "x"),
    "texts": (["a", "é"], ["a", "é"]),
    "objects that are texts": (np.array(["a", "b"], object), ["a", "b"]),
    "strings": (np.array(["a"], np.dtypes.StringDType()), ["a"]),
    "flag": (True, True),
    "flags": ([True, False], [True, False]),
    "tuple": ((1, 2), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "empty": ([], []),
    "no texts": (np.array([], str), []),
    "no rows": (np.zeros((0, 3)), []),
    "nan": (float("nan"), float("nan")),
    "large": (2**63, 2**63),
    "0-d": (np.array(3.0), 3.0),
}
LEFT_OUT: dict[str, Any] = {
    "ragged": [[1.0, 2.0], [3.0]],
    "matrices": [np.zeros((2, 2)), np.zeros((2, 3))],
    "records": [{"a": 1}, {"a": 2}],
    "record and numbers": [[1, 2], {"a": 1}],
    "mixed": [1, "a"],
    "dictionary": {"a": 1},
    "function": abs,
    "set": {1, 2},
    "larger": 2**70,
    "complex": np.array([1 + 2j]),
    "bytes": b"abc",
    "date": datetime.date(2020, 1, 1),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "durations": np.array([1], "timedelta64[s]"),
    "decimal": decimal.Decimal("1.5"),
    "structured": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    "nothing in a list": [None, 1.0],
    "surrogate": "\ud800",
    "NUL": ["a\0b"],
}


def test_data_are_stored_or_left_out_but_never_in_the_way(tmp_path: Path) -> None:
    data = {name.replace(" ", "_"): value for name, (value, _) in STORED.items()}
    labels = dataclasses.replace(LABELS, data={**LABELS.data, **data, **LEFT_OUT})
    memory = MemoryStore(chains=1, labels=labels)
    disk = ZarrStore(tmp_path / "draws.zarr", chains=1, labels=labels)
    for store in (memory, disk):
        feed(store, 0, (0, 5))
        store.finalize({})
    export(memory.to_datatree(), tmp_path / "memory.nc")
    export(open_draws(tmp_path / "draws.zarr"), tmp_path / "disk.nc")
    trees = [memory.to_datatree(), open_draws(tmp_path / "draws.zarr")]
    trees += [xr.open_datatree(tmp_path / f"{name}.nc", engine="h5netcdf") for name in ("memory", "disk")]
    for tree in trees:
        held = tree["constant_data"].to_dataset().load()
        assert set(held.data_vars) == {*data, "sigma", "label"}
        for name, (_, expected) in STORED.items():
            np.testing.assert_array_equal(held[name.replace(" ", "_")].values.tolist(), expected)
        assert tree["posterior"].sizes["draw"] == 5
    for file in trees[2:]:
        file.close()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_named(name: str) -> None:
    value = LEFT_OUT[name]
    assert as_array(value) is None
    assert left_out({"y": 1.0, "extra": value, "nothing": None}) == [f"extra ({type(value).__name__})"]
    with pytest.warns(UserWarning, match=rf"the results leave out extra \({type(value).__name__}\): they hold numbers"):
        Labels(data={"y": 1.0, "extra": value}).warn_of_left_out()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1.5, float("nan")], [1.5, float("nan")]),
        (["a", 1], ["a", "1"]),
        ([None, "a"], ["None", "a"]),
        ([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], ["2020-01-01", "2020-01-02"]),
        ([2**70, 1], [str(2**70), "1"]),
        ([("a", 1), ("b", 2)], ["('a', 1)", "('b', 2)"]),
        ([[1], [2, 3]], ["[1]", "[2, 3]"]),
        ([1j, 2], ["1j", "2"]),
        (["\ud800", "a\0b"], ["\\ud800", "a\\x00b"]),
    ],
)
def test_labels_without_a_stored_form_are_their_text(tmp_path: Path, labels: list[Any], expected: list[Any]) -> None:
    np.testing.assert_array_equal(axis_labels(labels), expected)
    store = ZarrStore(tmp_path, chains=1, labels=Labels(dims={"a": ("n",)}, coords={"n": labels}))
    store.append(0, False, {"posterior": {"a": np.zeros((3, 2))}})
    store.finalize({})
    np.testing.assert_array_equal(store.to_datatree()["posterior"]["n"].values.tolist(), expected)


def test_an_axis_whose_name_fits_no_file_gets_a_default_one(tmp_path: Path) -> None:
    labels = Labels(dims={"a": ("x/y",)}, coords={"x/y": [1, 2]})
    for store in (MemoryStore(chains=1, labels=labels), ZarrStore(tmp_path, chains=1, labels=labels)):
        store.append(0, False, {"posterior": {"a": np.zeros((3, 2))}})
        store.finalize({})
        assert store.to_datatree()["posterior"]["a"].dims[2:] == ("a_dim_0",)
