"""Stored draws in other formats: NetCDF and Zarr (everything), CSV and Parquet (one row per draw).

Tables have the columns `chain`, `draw`, and one for each scalar quantity, named as in summaries (`theta[a]`).
They are written piece by piece, so that memory does not grow with the number of draws.  What goes to an address is
written here first.
"""

import csv
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import UsageError
from gradmc.results.files import chosen_file
from gradmc.results.place import Address, is_address

ROWS = 4096
FORMATS = (".nc", ".zarr", ".csv", ".parquet")
WHOLE = (".nc", ".zarr")
"""Those that hold all groups."""

type Columns = dict[str, np.ndarray]


def export(tree: Any, place: Path | str, groups: Sequence[str] = ("posterior",)) -> int:
    """Write draws to a file, or, as Zarr, to a directory; its ending says in which format.

    Args:
        tree: a DataTree.
        place: a path that ends in `.nc`, `.zarr`, `.csv` or `.parquet`, or an address that does.
        groups: groups that become columns of a table; NetCDF and Zarr always get all groups.

    Returns:
        How many bytes were written.

    Raises:
        UsageError: unknown format, missing group, a library is not installed, or the file cannot be written.
    """
    if is_address(place):
        return _export_to_address(tree, str(place), groups)
    path = Path(place)
    writers = {".nc": _write_netcdf, ".zarr": _write_zarr, ".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise UsageError(f"cannot export to {path.name}: expected a file that ends in {', '.join(FORMATS)}")
    if path.suffix not in WHOLE:
        missing = [group for group in groups if group not in tree.children]
        if missing:
            raise UsageError(f"no group {', '.join(missing)} in the run; it has {', '.join(tree.children)}")
    if not path.parent.is_dir():
        raise UsageError(f"no such directory: {path.parent}; create it first")
    if path.is_dir() and not (path.suffix == ".zarr" and (path / "zarr.json").exists()):
        raise UsageError(f"{path} is a directory; name a file")
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.partial{path.suffix}")
    with chosen_file(path):
        try:
            writers[path.suffix](tree, partial, groups)
            if path.is_dir():  # an older store, which nothing takes the place of in one step
                shutil.rmtree(path)
            os.replace(partial, path)
        finally:
            if partial.is_dir():
                shutil.rmtree(partial)
            partial.unlink(missing_ok=True)
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> list[Path]:
    """The file, or those in a directory."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _export_to_address(tree: Any, address: str, groups: Sequence[str]) -> int:
    parent, _, name = address.rstrip("/").rpartition("/")
    with tempfile.TemporaryDirectory(prefix="gradmc-") as folder:
        written = export(tree, Path(folder) / name, groups)
        there = Address(parent)
        there.remove(name)
        for file in _files(Path(folder) / name):
            there.write(file.relative_to(folder).as_posix(), file.read_bytes())
    return written


def rows(tree: Any, groups: Sequence[str]) -> Iterator[Columns]:
    """The draws as columns, some thousand rows at a time, chain after chain."""
    first = tree[groups[0]]
    chains, draws = first["chain"].values, first["draw"].values
    for position, chain in enumerate(chains):
        for start in range(0, len(draws), ROWS):
            stop = min(start + ROWS, len(draws))
            columns: Columns = {
                "chain": np.full(stop - start, chain),
                "draw": np.asarray(draws[start:stop]),
            }
            for group in groups:
                for variable, array in tree[group].data_vars.items():
                    columns |= _scalars(str(variable), array, position, slice(start, stop))
            yield columns


def _scalars(variable: str, array: Any, chain: int, rows: slice) -> Columns:
    dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
    values = array.isel(chain=chain, draw=rows).transpose("draw", *dims).values
    labels = [[str(label) for label in array[dim].values] for dim in dims]
    columns: Columns = {}
    for index in np.ndindex(*values.shape[1:]):
        names = [labels[axis][i] for axis, i in enumerate(index)]
        columns[f"{variable}[{', '.join(names)}]" if names else variable] = values[(slice(None), *index)]
    return columns


def _write_netcdf(tree: Any, path: Path, groups: Sequence[str]) -> None:
    del groups
    if find_spec("h5netcdf") is None or find_spec("h5py") is None:
        raise UsageError("NetCDF needs h5netcdf and h5py: `pip install 'gradmc[netcdf]'`")
    plain = tree.copy()
    for node in plain.subtree:
        dataset = node.to_dataset(inherit=False)
        texts = {str(name): array for name, array in dataset.variables.items() if array.dtype.kind == "T"}
        # NumPy cannot say how long the texts of a StringDType are, so they go through a list.
        fixed = {name: (array.dims, np.array(array.values.tolist(), str)) for name, array in texts.items()}
        coords = {name: value for name, value in fixed.items() if name in dataset.coords}
        node.dataset = dataset.assign_coords(coords).assign({n: v for n, v in fixed.items() if n not in coords})
    plain.to_netcdf(path, engine="h5netcdf")


def _write_zarr(tree: Any, path: Path, groups: Sequence[str]) -> None:
    del groups
    tree.to_zarr(path, mode="w", consolidated=False)


def _write_csv(tree: Any, path: Path, groups: Sequence[str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, columns in enumerate(rows(tree, groups)):
            if number == 0:
                writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def _write_parquet(tree: Any, path: Path, groups: Sequence[str]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("Parquet needs pyarrow: `pip install 'gradmc[parquet]'`") from None
    writer = None
    try:
        for columns in rows(tree, groups):
            table = pyarrow.table(columns)
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
