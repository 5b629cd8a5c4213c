"""Opening stored draws, finished or still growing."""

from pathlib import Path
from typing import Any

from gradmc.errors import UsageError
from gradmc.results.zarr_format import OWN


def open_draws(path: Path | str) -> Any:
    """The DataTree of a Zarr store; arrays are read when they are used.

    Raises:
        UsageError: there is no store, or it has no draws yet.
    """
    import xarray as xr

    path = Path(path)
    if not (path / "zarr.json").exists():
        raise UsageError(f"no draws at {path}: expected a Zarr store there, written by `gradmc sample`")
    tree = xr.open_datatree(path, engine="zarr", chunks=None, consolidated=True)
    tree.name = tree.attrs.get("name")
    for name in OWN:
        tree.attrs.pop(name, None)
    return tree
