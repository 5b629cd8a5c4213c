"""Opening stored draws, finished or still growing."""

from pathlib import Path
from typing import Any

from gradmc.errors import UsageError
from gradmc.results.place import is_address, place_of
from gradmc.results.zarr_format import OWN


def open_draws(path: Path | str) -> Any:
    """The DataTree of a Zarr store, in a directory or at an address; arrays are read when they are used.

    Raises:
        UsageError: there is no store, or it has no draws yet.
    """
    import xarray as xr

    if is_address(path):
        above, _, name = str(path).rstrip("/").rpartition("/")
        there, store = place_of(above).read(f"{name}/zarr.json") is not None, place_of(above).open(name)
    else:
        there, store = (Path(path) / "zarr.json").exists(), Path(path)
    if not there:
        raise UsageError(f"no draws at {path}: expected a Zarr store there, written by `gradmc sample`")
    tree = xr.open_datatree(store, engine="zarr", chunks=None, consolidated=True)
    tree.name = tree.attrs.get("name")
    for name in OWN:
        tree.attrs.pop(name, None)
    return tree
