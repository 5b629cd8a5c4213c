"""Every format holds what the store holds, texts included."""

import csv
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gradmc.errors import UsageError
from gradmc.results import ZarrStore
from gradmc.results.export import export
from gradmc.results.reading import open_draws
from tests.results.fakes import LABELS, feed

DRAWS = 30


@pytest.fixture
def stored(tmp_path: Path) -> xr.DataTree:
    """Draws of two chains read from a Zarr store, whose texts are variable-length strings."""
    store = ZarrStore(tmp_path / "draws.zarr", chains=2, labels=LABELS)
    for chain in (0, 1):
        feed(store, chain, (0, DRAWS))
    store.finalize({"seed": 5})
    return open_draws(tmp_path / "draws.zarr")


def test_netcdf_holds_everything(stored: xr.DataTree, tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf")
    pytest.importorskip("h5py")
    export(stored, tmp_path / "d.nc")
    with xr.open_datatree(tmp_path / "d.nc", engine="h5netcdf") as copy:
        assert [node.path for node in copy.subtree] == [node.path for node in stored.subtree]
        for node in stored.subtree:
            dataset, other = node.to_dataset(), copy[node.path].to_dataset()
            assert set(other.variables) == set(dataset.variables)
            for name, array in dataset.variables.items():
                assert other[name].dims == array.dims
                assert other[name].values.tolist() == array.values.tolist()
        assert copy["posterior"]["school"].values.tolist() == list("abcdefgh")
        assert copy["constant_data"]["label"].item() == "x"
        assert copy.attrs["seed"] == 5


def test_zarr_holds_everything_and_takes_the_place_of_an_older_store(stored: xr.DataTree, tmp_path: Path) -> None:
    path = tmp_path / "d.zarr"
    export(stored.isel(draw=slice(3)), path)
    assert export(stored, path) == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    with xr.open_datatree(path, engine="zarr", consolidated=False) as copy:
        assert {node.path for node in copy.subtree} == {node.path for node in stored.subtree}
        assert copy["posterior"].sizes["draw"] == DRAWS
        for node in stored.subtree:
            assert copy[node.path].to_dataset().load().equals(node.to_dataset().load())
    (tmp_path / "other.zarr").mkdir()
    with pytest.raises(UsageError, match="is a directory; name a file"):
        export(stored, tmp_path / "other.zarr")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["d.zarr", "draws.zarr", "other.zarr"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_have_a_row_for_each_draw(stored: xr.DataTree, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"d.{ending}"
    if ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    export(stored, path, ("posterior", "sample_stats"))
    if ending == "parquet":
        table = parquet.read_table(path).to_pydict()
    else:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        table = {name: [row[name] for row in rows] for name in rows[0]}
    posterior, statistics = stored["posterior"], stored["sample_stats"]
    assert np.array(table["chain"], int).tolist() == np.repeat([0, 1], DRAWS).tolist()
    assert np.array(table["draw"], int).tolist() == [*range(DRAWS), *range(DRAWS)]
    assert np.array(table["theta[c]"], float).tolist() == posterior["theta"].sel(school="c").values.ravel().tolist()
    assert np.array(table["S[1, 2]"], float).tolist() == posterior["S"].values[:, :, 1, 2].ravel().tolist()
    depths = np.array(table["tree_depth"], int)
    assert depths.tolist() == statistics["tree_depth"].values.ravel().tolist()
