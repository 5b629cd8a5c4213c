"""What a store holds, read from its files without xarray and Zarr, whose imports take longer than many a run.

A `PlainTree` shows of a DataTree what the checks of a run and its summary ask for: groups, their variables and
coordinates, attributes, sizes. Arrays are read when they are used.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.results.zarr_format import OWN, ArrayFormat
from gradmc.results.zarr_store import read_root


@dataclass(frozen=True)
class PlainArray:
    """A variable with names for its axes.

    Attributes:
        name: of the variable.
        dims: name of each axis.
        dtype: of its elements.
        path: its directory.
        array: its format.
        coords: the group's labels along axes, by name.
    """

    name: str
    dims: tuple[str, ...]
    path: Path
    array: ArrayFormat
    coords: Mapping[str, "PlainArray"]

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.array.dtype

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The array itself."""
        return self.array.read_from(self.path)

    def transpose(self, *dims: Any) -> "PlainArray":
        """Itself: in a store the axes are in order (chain, draw, ...)."""
        assert dims[:2] == self.dims[:2]
        return self

    def __getitem__(self, dim: str) -> Any:
        """The labels along an axis, whose `values` count from 0 where there are none."""
        return self.coords.get(dim) or _Counted(np.arange(self.array.shape[self.dims.index(dim)]))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Labels of an axis that has none."""

    values: np.ndarray


@dataclass(frozen=True, slots=True)
class PlainGroup:
    """A group of variables.

    Attributes:
        data_vars: the variables by name.
        coords: the labels along axes, by name.
        attrs: its attributes.
    """

    data_vars: Mapping[str, PlainArray]
    coords: Mapping[str, PlainArray]
    attrs: Mapping[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis."""
        arrays = [*self.data_vars.values(), *self.coords.values()]
        return {dim: n for a in arrays for dim, n in zip(a.dims, a.array.shape, strict=True)}

    def to_dataset(self) -> "PlainGroup":
        """Itself."""
        return self

    def __contains__(self, name: object) -> bool:
        return name in self.data_vars or name in self.coords

    def __getitem__(self, name: str) -> PlainArray:
        return self.data_vars[name] if name in self.data_vars else self.coords[name]


@dataclass(frozen=True, slots=True)
class PlainTree:
    """The groups of a store.

    Attributes:
        children: the groups by name.
        attrs: attributes of the run.
    """

    children: Mapping[str, PlainGroup]
    attrs: Mapping[str, Any]

    def __getitem__(self, group: str) -> PlainGroup:
        return self.children[group]


def read_plainly(path: Path) -> PlainTree:
    """What a store of a run holds, finished or still growing.

    Raises:
        ResumeError: its metadata are gone or damaged.
    """
    content = read_root(path)
    members = content["consolidated_metadata"]["metadata"]
    groups = {name: found["attributes"] for name, found in members.items() if found["node_type"] == "group"}
    attributes = {name: value for name, value in content["attributes"].items() if name not in OWN}
    return PlainTree({name: _group(path, name, members, attrs) for name, attrs in groups.items()}, attributes)


def _group(path: Path, group: str, members: Mapping[str, Any], attributes: Mapping[str, Any]) -> PlainGroup:
    coords: dict[str, PlainArray] = {}
    variables: dict[str, PlainArray] = {}
    for place, metadata in members.items():
        owner, _, name = place.partition("/")
        if owner == group and metadata["node_type"] == "array":
            array = ArrayFormat.read(metadata)
            kind = coords if array.dims == (name,) else variables
            kind[name] = PlainArray(name, array.dims, path / place, array, coords)
    return PlainGroup(variables, coords, attributes)
