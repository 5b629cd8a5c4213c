"""The draws of many data sets: a file for each fit, and all of them as one store with a leading dimension.

A *fit* is what one data set gave, arrays and what describes them; its file is that of a checkpoint
(`gradmc.results.checkpoint`), whole or ignored. A *stack* has the axes `data_set`, `chain`, `draw`, ...: fits side by
side, in their order. Along a dimension whose labels differ between data sets it has all labels, in the order in which
they came, and NaN where a data set does not have one (xarray's outer join). It is made fit by fit, so that memory holds
a few rows of it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradmc.density.padding import PaddedDensity
from gradmc.errors import UsageError
from gradmc.results.attrs import standard_attributes, storable
from gradmc.results.checkpoint import decode, encode
from gradmc.results.labels import Labels
from gradmc.results.place import Place
from gradmc.results.storable import axis_labels
from gradmc.results.zarr_format import ArrayFormat, chunk_key, encode_json, group_metadata, whole_array

AXIS = "data_set"
FITS, STORE = "fits", "draws.zarr"
BLOCK_BYTES = 4 << 20
"""Size of a chunk of the store."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of one data set.

    Args:
        arrays: by group and name (`posterior/mu`).
        dims: the names of their axes.
        coords: labels along the axes of each group (`posterior/school`).
        facts: anything that JSON can hold: seed, seconds, what is wrong with the draws.
    """

    arrays: dict[str, np.ndarray]
    dims: dict[str, tuple[str, ...]]
    coords: dict[str, np.ndarray]
    facts: dict[str, Any]

    @classmethod
    def of(cls, tree: Any, facts: Mapping[str, Any]) -> "Fit":
        """From a DataTree of one run."""
        arrays, dims, coords = {}, {}, {}
        for group, node in tree.children.items():
            for name, variable in node.data_vars.items():
                arrays[f"{group}/{name}"] = np.asarray(variable.values)
                dims[f"{group}/{name}"] = tuple(map(str, variable.dims))
            coords |= {f"{group}/{axis}": plain_labels(values.values) for axis, values in node.coords.items()}
        return cls(arrays, dims, coords, dict(facts))

    def encoded(self, key: str) -> bytes:
        """As a file; `key` tells it from all others."""
        labels = {f":{name}": values for name, values in self.coords.items()}
        meta = {"dims": {name: list(axes) for name, axes in self.dims.items()}, "facts": self.facts, "key": key}
        return encode({**self.arrays, **labels}, meta)

    @classmethod
    def decoded(cls, content: bytes | None, key: str) -> "Fit | None":
        """From a file; None where there is none, or it is damaged, or another one's."""
        read = None if content is None else decode(content)
        if read is None or read.meta.get("key") != key:
            return None
        arrays = {name: array for name, array in read.arrays.items() if not name.startswith(":")}
        coords = {name[1:]: array for name, array in read.arrays.items() if name.startswith(":")}
        dims = {name: tuple(axes) for name, axes in read.meta["dims"].items()}
        return cls(arrays, dims, coords, read.meta["facts"])


def plain_labels(values: np.ndarray) -> np.ndarray:
    """Labels as numbers or texts of fixed length."""
    return values if values.dtype.kind in "biuf" else np.array([str(value) for value in values.tolist()])


def without_added_rows(fit: Fit, density: PaddedDensity) -> Fit:
    """The fit of a data set that was padded, with the entries and labels of its own rows alone."""
    arrays, coords, dimension = {}, dict(fit.coords), density.padding.dimension
    labels = density.as_given.coords.get(dimension, [])
    for key, array in fit.arrays.items():
        group, _, name = key.partition("/")
        arrays[key], axis = density.cut(group, name, array), density.axis_of_rows(group, name)
        if axis is not None:
            along = f"{group}/{fit.dims[key][axis]}"
            numbers = fit.coords[along][: arrays[key].shape[axis]]
            coords[along] = plain_labels(axis_labels(labels)) if fit.dims[key][axis] == dimension else numbers
    return replace(fit, arrays=arrays, coords=coords)


@dataclass(slots=True)
class Variable:
    """One array of a stack, as far as is known."""

    dims: tuple[str, ...]
    dtype: np.dtype
    everywhere: int = 0  # in how many fits it is


@dataclass(slots=True)
class Outline:
    """What a stack of fits looks like; `add` tells it of each fit, in any order, `sort` of theirs.

    Attributes:
        names: of the data sets whose fits are in it.
        facts: of the fits, in the same order.
        variables: by group and name.
        axes: by group and axis, the place of each label along it.
    """

    names: list[str] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    axes: dict[str, dict[Any, int]] = field(default_factory=dict)
    labels: dict[str, list[np.dtype]] = field(default_factory=dict)
    ragged: set[str] = field(default_factory=set)

    def add(self, name: str, fit: Fit) -> None:
        """Tell of a fit.

        Raises:
            UsageError: a variable has other axes in it than in another.
        """
        self.names.append(name)
        self.facts.append(fit.facts)
        for key, array in fit.arrays.items():
            known = self.variables.setdefault(key, Variable(fit.dims[key], array.dtype))
            if known.dims != fit.dims[key]:
                raise UsageError(
                    f"{key} has the axes {fit.dims[key]} for the data set {name!r} and {known.dims} for others, so "
                    "they do not stack; keep=gm.Keep(exclude=...) leaves it out"
                )
            known.dtype = np.result_type(known.dtype, array.dtype)
            known.everywhere += 1
        for axis, values in fit.coords.items():
            new = axis not in self.axes
            places = self.axes.setdefault(axis, {})
            before = len(places)
            for label in values.tolist():
                places.setdefault(label, len(places))
            self.labels.setdefault(axis, []).append(values.dtype)
            if not new and (len(values) != before or len(places) != before):
                self.ragged.add(axis)

    def coordinate(self, axis: str) -> np.ndarray:
        """All labels along an axis."""
        values = list(self.axes[axis])
        return np.array(values) if values else np.zeros(0, self.labels[axis][0])

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a variable, without the axis of data sets."""
        group = key.partition("/")[0]
        return tuple(len(self.axes[f"{group}/{axis}"]) for axis in self.variables[key].dims)

    def dtype(self, key: str) -> np.dtype:
        """The type of a variable, real if something is missing of it."""
        group, known = key.partition("/")[0], self.variables[key]
        holes = known.everywhere < len(self.names) or any(f"{group}/{axis}" in self.ragged for axis in known.dims)
        return np.result_type(known.dtype, float) if holes and known.dtype.kind in "biu" else known.dtype

    def row(self, key: str, fit: Fit) -> np.ndarray:
        """A variable of a fit, in the shape of the stack."""
        group, shape, dtype = key.partition("/")[0], self.shape(key), self.dtype(key)
        array = fit.arrays.get(key)
        if (
            array is not None
            and array.shape == shape
            and not any(f"{group}/{axis}" in self.ragged for axis in fit.dims[key])
        ):
            return array.astype(dtype, copy=False)
        row = np.full(shape, "" if dtype.kind == "U" else np.nan, dtype)
        if array is not None:
            places = [
                [self.axes[f"{group}/{axis}"][label] for label in fit.coords[f"{group}/{axis}"].tolist()]
                for axis in fit.dims[key]
            ]
            row[np.ix_(*places)] = array
        return row

    def groups(self) -> dict[str, list[str]]:
        """The variables of each group."""
        found: dict[str, list[str]] = {}
        for key in self.variables:
            found.setdefault(key.partition("/")[0], []).append(key)
        return found


def overview(outline: Outline, failures: Mapping[str, str]) -> dict[str, dict[str, tuple[str, np.ndarray]]]:
    """What is told of each fit and of each failure: by group and name, the axis and the values."""
    facts = {
        "seed": np.array([fact["seed"] for fact in outline.facts], np.int64),
        "seconds": np.array([fact["seconds"] for fact in outline.facts], float),
        "divergences": np.array([fact["divergences"] for fact in outline.facts], np.int64),
        "warnings": np.array([" | ".join(fact["warnings"]) for fact in outline.facts], str),
        "attributes": np.array([json.dumps(fact["attributes"]) for fact in outline.facts], str),
    }
    fits = {AXIS: np.array(outline.names, str), **facts}
    failed = {"failed": np.array(list(failures), str), "reason": np.array(list(failures.values()), str)}
    return {
        "fits": {name: (AXIS, values) for name, values in fits.items()},
        "failures": {name: ("failed", values) for name, values in failed.items()},
    }


def in_memory(outline: Outline, fits: Iterable[Fit], failures: Mapping[str, str], name: str) -> Any:
    """The stack as a DataTree.

    Args:
        outline: of the fits.
        fits: in the order of its names.
        failures: reasons by data set.
        name: of the model.
    """
    import xarray as xr

    count, attributes = len(outline.names), stack_attributes(outline, failures, name)
    arrays = {key: np.empty((count, *outline.shape(key)), outline.dtype(key)) for key in outline.variables}
    for number, fit in enumerate(fits):
        for key, array in arrays.items():
            array[number] = outline.row(key, fit)
    groups = {}
    for group, keys in outline.groups().items():
        axes = {axis for key in keys for axis in outline.variables[key].dims}
        coords = {axis: outline.coordinate(f"{group}/{axis}") for axis in sorted(axes)}
        variables = {key.partition("/")[2]: ((AXIS, *outline.variables[key].dims), arrays[key]) for key in keys}
        groups[group] = xr.Dataset(variables, {AXIS: outline.names, **coords}, attributes)
    for group, told in overview(outline, failures).items():
        own = {key: values for key, values in told.items() if key != values[0]}
        axis = next(iter(told))
        groups[group] = xr.Dataset(own, {axis: told[axis][1]}, attributes)
    tree = xr.DataTree.from_dict(groups, name=name)
    tree.attrs = dict(attributes)
    return tree


def write_store(
    place: Place, outline: Outline, fit_of: Callable[[int], Fit], failures: Mapping[str, str], name: str
) -> None:
    """Write the stack as a Zarr store: chunks first, what makes them visible last.

    Args:
        place: where.
        outline: of the fits.
        fit_of: the fit of a number among the outline's names.
        failures: reasons by data set.
        name: of the model.
    """
    count, attributes = len(outline.names), stack_attributes(outline, failures, name)
    place.remove(STORE)
    members: dict[str, dict[str, Any]] = {}
    formats = {key: _format(outline, key) for key in outline.variables}
    together = min((array.chunk[0] for array in formats.values()), default=1)
    blocks: dict[str, list[np.ndarray]] = {key: [] for key in formats}
    formats = {key: _format(outline, key, together) for key in formats}
    for number in range(count):
        fit = fit_of(number)
        for key, block in blocks.items():
            block.append(outline.row(key, fit))
        if (number + 1) % together == 0 or number + 1 == count:
            for key, block in blocks.items():
                _write_block(place, key, formats[key], number // together, block)
                block.clear()
    for group, keys in outline.groups().items():
        members[group] = group_metadata(attributes)
        axes = {axis for key in keys for axis in outline.variables[key].dims}
        members |= {key: formats[key].metadata() for key in keys}
        labels = {AXIS: np.array(outline.names, str)}
        labels |= {axis: outline.coordinate(f"{group}/{axis}") for axis in sorted(axes)}
        for axis, values in labels.items():
            members[f"{group}/{axis}"] = _whole(place, f"{group}/{axis}", values, axis)
    for group, told in overview(outline, failures).items():
        members[group] = group_metadata(attributes)
        for key, (axis, values) in told.items():
            members[f"{group}/{key}"] = _whole(place, f"{group}/{key}", values, axis)
    for key, metadata in members.items():
        place.write(f"{STORE}/{key}/zarr.json", encode_json(metadata))
    place.write(f"{STORE}/zarr.json", encode_json(group_metadata(attributes, members)))


def stack_attributes(outline: Outline, failures: Mapping[str, str], name: str) -> dict[str, Any]:
    """The attributes of all groups of a stack."""
    own = {"fits": len(outline.names), "failed": len(failures)}
    return storable({**standard_attributes(Labels(name=name)), **own})


def _format(outline: Outline, key: str, together: int | None = None) -> ArrayFormat:
    """How a variable is stored: whole data sets in a chunk, as many as make `BLOCK_BYTES`, or `together`."""
    shape, dtype, dims = outline.shape(key), outline.dtype(key), outline.variables[key].dims
    size = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    rows = together or int(np.clip(BLOCK_BYTES // size, 1, max(1, len(outline.names))))
    kind = np.dtype("U") if dtype.kind == "U" else dtype
    chunk = (rows, *(max(1, length) for length in shape))
    return ArrayFormat(dtype=kind, shape=(len(outline.names), *shape), chunk=chunk, dims=(AXIS, *dims))


def _write_block(place: Place, key: str, array: ArrayFormat, number: int, rows: Sequence[np.ndarray]) -> None:
    chunk = np.zeros(array.chunk, rows[0].dtype)
    if rows[0].size:
        chunk[: len(rows)] = rows
        place.write(f"{STORE}/{key}/{chunk_key((number, *[0] * (len(array.chunk) - 1)))}", array.encode(chunk))


def _whole(place: Place, key: str, values: np.ndarray, axis: str) -> dict[str, Any]:
    array = whole_array(values, (axis,))
    if values.size:
        place.write(f"{STORE}/{key}/{chunk_key((0,))}", array.encode(values))
    return array.metadata()
