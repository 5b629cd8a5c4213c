"""Binding: a model and its data, checked, with every size known."""

import difflib
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from gradmc.errors import DataError
from gradmc.program import imputing
from gradmc.program import missing as missing_data
from gradmc.program.data import DataField, normalise
from gradmc.program.declaration import Declaration
from gradmc.program.dims import SizeTable, plain_labels
from gradmc.program.ir import MAX_LOOP_ITERATIONS
from gradmc.program.support import Bound, Support, bound_names, is_known
from gradmc.program.travelling import Travelling


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A parameter whose shape is known; `dims` names its axes for ArviZ."""

    name: str
    support: Support
    shape: tuple[int, ...]
    dims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BoundModel(Travelling):
    """A model with data.

    Attributes:
        model: the declared model.
        data: for every keyword-only argument its value in standard form.
        sizes: dimension names, and integers among the data, with their values.
        dims: for every parameter and data array the names of its axes.
        coords: for every named dimension its labels (0, 1, ... unless the data give labels).
        parameters: the parameters with their shapes.
        max_loop_iterations: how many iterations a loop may take that parameters end.
        gradient: "forward", "reverse" or "auto" (`gradmc.program.differentiation`).
        gaps: of data arrays with missing entries, where they are; there `data` has zeros, and the last parameters of
            `model` have the entries.
    """

    model: Declaration
    data: dict[str, Any]
    sizes: dict[str, int]
    dims: dict[str, tuple[str, ...]]
    coords: dict[str, list[Any]]
    parameters: tuple[BoundParameter, ...]
    max_loop_iterations: int = MAX_LOOP_ITERATIONS
    gradient: str = "auto"
    gaps: imputing.Places = MappingProxyType({})

    @property
    def given(self) -> dict[str, Any]:
        """The data with NaN where entries are missing."""
        data = dict(self.data)
        for name, where in self.gaps.items():
            data[name] = data[name].copy()
            data[name][where] = np.nan
        return data


def bind(model: Declaration, data: Mapping[str, Any], needed: Collection[str] | None = None) -> BoundModel:
    """Check data against a model's declaration; see `Model.bind`.

    Args:
        model: the declared model.
        data: its data.
        needed: the data that must be there, where some may be left out (a simulator asks for its covariates alone).
    """
    if not isinstance(data, Mapping):
        raise DataError(
            f"model {model.name}: expected the data as a dictionary from names to values, got {type(data).__name__}"
        )
    labels, sizes = _of_dimensions(model, data)
    fields = [field for field in model.data if needed is None or field.name in {*needed, *data}]
    values = _values(model, fields, data)
    table = _infer_sizes(model, fields, values, sizes)
    for name, given in labels.items():
        if name not in table.sizes:
            table.learn(name, len(given), name)
    dims, parameters = {}, []
    for field in model.data:
        value = values.get(field.name)
        if field.shape is not None and (isinstance(value, np.ndarray) or field not in fields):
            dims[field.name] = _axis_names(field.name, [size.dimension for size in field.shape], values)
        elif isinstance(value, np.ndarray):
            dims[field.name] = _axis_names(field.name, [None] * value.ndim, values)
    for parameter in model.parameters:
        what = f"model {model.name}: parameter {parameter.name}: {parameter.support!r}"
        sizes = tuple(table.resolve(size, what) for size in parameter.support.shape)
        _check_event(what, parameter.support, sizes)
        axes = [size.dimension for size in parameter.support.shape]
        if parameter.support.event == 2:
            axes.append(f"{axes[-1]}_bis" if axes[-1] else None)
        dims[parameter.name] = _axis_names(parameter.name, axes, values)
        shape = parameter.support.value_shape(sizes)
        parameters.append(BoundParameter(parameter.name, parameter.support, shape, dims[parameter.name]))
        _check_bounds(what, parameter.support, shape, values, {p.name: p.shape for p in parameters})
    coords = _coords(model, dims, parameters, values, labels)
    bound = BoundModel(model, values, table.sizes, dims, coords, tuple(parameters))
    return _with_gaps(bound) if any(field.gaps is not None for field in fields) else bound


def _with_gaps(bound: BoundModel) -> BoundModel:
    """The model whose missing data are parameters."""
    model, values = bound.model, dict(bound.data)
    found = {field.name: imputing.places(values[field.name]) for field in model.data if field.gaps is not None}
    gaps = {name: where for name, where in found.items() if where is not None}
    if not gaps:
        return bound
    dims, coords = dict(bound.dims), dict(bound.coords)
    declared, parameters = list(model.parameters), list(bound.parameters)
    supports = {field.name: field.gaps for field in model.data}
    for name, where in gaps.items():
        own, axis, count = f"{name}{imputing.SUFFIX}", f"{name}_entry", len(where[0])
        if own in {*values, *(p.name for p in parameters)}:
            raise DataError(f"model {model.name}: {own!r} is the name of the missing entries of {name}; rename yours")
        support = supports[name][count]
        labels = [coords.get(dim, range(n)) for dim, n in zip(dims[name], values[name].shape, strict=True)]
        coords[axis], dims[own] = imputing.entry_labels(where, [list(along) for along in labels]), (axis,)
        declared.append(replace(declared[0], name=own, support=support))
        parameters.append(BoundParameter(own, support, (count,), (axis,)))
        _check_bounds(f"model {model.name}: {own}", support, (count,), values, {p.name: p.shape for p in parameters})
        values[name] = np.where(np.isnan(values[name]), 0.0, values[name])
    whole = replace(
        model,
        fn=imputing.filled(model.fn, gaps),
        parameters=tuple(declared),
        _simulators=[imputing.filled(fn, gaps) for fn in model._simulators],
    )
    return replace(bound, model=whole, data=values, dims=dims, coords=coords, parameters=tuple(parameters), gaps=gaps)


def accepted(model: Declaration) -> set[str]:
    """The names that the data of a model may have: its arguments, and dimensions to size or label."""
    return {field.name for field in model.data} | _dimensions(model)


def _dimensions(model: Declaration) -> set[str]:
    shapes = [p.support.shape for p in model.parameters] + [field.shape or () for field in model.data]
    return {name for shape in shapes for size in shape for name, _ in size.terms}


def _of_dimensions(model: Declaration, data: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """Return the entries of the data that label a dimension, and those that are the size of one; refuse entries that
    nothing asks for.
    """
    known = {field.name for field in model.data}
    dimensions = _dimensions(model) - known
    labels: dict[str, list[Any]] = {}
    sizes: dict[str, int] = {}
    for key, value in data.items():
        if not isinstance(key, str):
            raise DataError(f"model {model.name}: data are named by strings, got the key {key!r}")
        if key in known:
            continue
        if key in dimensions and np.ndim(value) == 1:
            labels[key] = plain_labels(value)
            continue
        if key in dimensions:
            sizes[key] = _size(model, key, value)
            continue
        if key in {parameter.name for parameter in model.parameters}:
            raise DataError(
                f"model {model.name}: {key!r} is a parameter, not a datum; to fix it, write it after the * in the model"
            )
        close = difflib.get_close_matches(key, known | dimensions, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the model takes {_listed(known)}"
        raise DataError(f"model {model.name}: unknown data {key!r}; {hint}")
    return labels, sizes


def _size(model: Declaration, name: str, value: Any) -> int:
    """The size of a dimension that is no argument of the model, given by its name."""
    value = value.item() if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0 else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(
            f"model {model.name}: {name!r} is a dimension: expected its size, a whole number of at least 0, or a list "
            f"of labels along it; got {value!r}"
        )
    return value


def _values(model: Declaration, fields: Sequence[DataField], data: Mapping[str, Any]) -> dict[str, Any]:
    missing = [field.name for field in fields if field.required and field.name not in data]
    if missing:
        came = f"got {_listed(data)}" if data else "got no data"
        raise DataError(f"model {model.name}: missing data {_listed(missing)}; {came}")
    values = {}
    asks = functools.cache(lambda: missing_data.asks(model.fn))
    ends = end_names(model)
    for field in fields:
        if field.name in data or isinstance(field.default, (int, float, np.ndarray, list, tuple)):
            try:
                values[field.name] = normalise(field, data.get(field.name, field.default), asks, end=field.name in ends)
            except DataError as error:
                raise DataError(f"model {model.name}: {error}") from None
        else:
            values[field.name] = field.default  # a default such as None is handed on as it is
    return values


def end_names(model: Declaration) -> set[str]:
    """The data and parameters that ends of supports are computed from."""
    bounds = (bound for parameter in model.parameters for bound in parameter.support.bounds)
    return {name for bound in bounds for name in bound_names(bound)}


def as_argument(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A data array as an argument: real numbers in the precision of the computation."""
    return array.astype(dtype) if array.dtype.kind == "f" else array


def argument_names(bound: BoundModel) -> list[str]:
    """The data that may be arguments of the traced program; an infinite end of a support is another map."""
    ends = end_names(bound.model)
    return [
        name
        for name, value in bound.data.items()
        if _is_float_array(value) and not (name in ends and np.isinf(value).any())
    ]


def _is_float_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isnan(value).any()


def _infer_sizes(
    model: Declaration, fields: Sequence[DataField], values: dict[str, Any], given: Mapping[str, int]
) -> SizeTable:
    """Learn sizes from integers among the data that dimensions are named after, then from the arrays."""
    table = SizeTable()
    for name, size in given.items():
        table.learn(name, size, name)
    wanted = _dimensions(model)
    for field in fields:
        value = values[field.name]
        if field.name in wanted and field.shape is None:
            if not isinstance(value, int) or isinstance(value, bool):
                raise DataError(
                    f"model {model.name}: {field.name!r} is used as a size, so it must be an integer, "
                    f"got {type(value).__name__}"
                )
            table.learn(field.name, value, field.name)
    try:
        waiting = {field.name: _axes(field, values) for field in fields if field.shape is not None}
        while waiting:
            rest = {name: later for name, axes in waiting.items() if (later := table.match(name, axes))}
            if rest == waiting:
                name, axes = next(iter(rest.items()))
                raise DataError(f"the size {axes[0][0].text!r} of {name} cannot be solved for its names")
            waiting = rest
    except DataError as error:
        raise DataError(f"model {model.name}: {error}") from None
    return table


def _axes(field: DataField, values: dict[str, Any]) -> list[tuple[Any, int]]:
    value = values[field.name]
    if not isinstance(value, np.ndarray) or field.shape is None:
        return []  # a default such as None
    return list(zip(field.shape, value.shape, strict=True))


def _axis_names(variable: str, axes: list[str | None], values: dict[str, Any]) -> tuple[str, ...]:
    """Name the axes: the dimension, or ArviZ's default where there is none or the name is a datum's or
    taken.
    """
    names: list[str] = []
    for position, axis in enumerate(axes):
        default = f"{variable}_dim_{position}"
        names.append(default if axis is None or axis in values or axis in names else axis)
    return tuple(names)


def _check_event(what: str, support: Support, sizes: tuple[int, ...]) -> None:
    if support.event and sizes[-1] < 1:
        raise DataError(f"{what}: the last size must be at least 1, got {sizes[-1]}")


def _check_bounds(
    what: str,
    support: Support,
    shape: tuple[int, ...],
    values: dict[str, Any],
    earlier: Mapping[str, tuple[int, ...]],
) -> None:
    """Check that ends fit the parameter's shape, and that those known before sampling are ordered.

    Args:
        what: the parameter, for messages.
        support: its support.
        shape: its shape.
        values: the data.
        earlier: shapes of the parameters declared so far.
    """
    try:
        ends = [known_bound(bound, values) for bound in support.bounds]
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    named = [earlier[bound] for bound in support.bounds if isinstance(bound, str) and bound in earlier]
    for found in [np.shape(end) for end in ends if is_known(end)] + named:
        if not _fits(found, shape):
            raise DataError(f"{what}: a bound of shape {found} does not fit the parameter's shape {shape}")
    if len(ends) == 2 and all(is_known(end) for end in ends):
        lower, upper = (np.broadcast_to(end, shape) for end in ends)
        bad = np.argwhere(~(lower < upper))
        if len(bad):
            where = tuple(bad[0])
            raise DataError(f"{what}: expected lower < upper, got lower = {lower[where]} and upper = {upper[where]}")


def _fits(inner: tuple[int, ...], outer: tuple[int, ...]) -> bool:
    """Whether an array of one shape broadcasts to another."""
    trailing = zip(reversed(inner), reversed(outer), strict=False)
    return len(inner) <= len(outer) and all(size in (1, wanted) for size, wanted in trailing)


def known_bound(bound: Bound, values: Mapping[str, Any]) -> Any:
    """Return the end as a number or array where the data decide it, else None.

    Raises:
        DataError: the name refers to something that is not a number or an array.
    """
    if is_known(bound):
        return bound
    if isinstance(bound, str) and bound in values:
        value = values[bound]
        if not is_known(value) or isinstance(value, bool):
            raise DataError(f"the bound {bound!r} must be a number or an array, got {type(value).__name__}")
        return value
    return None


def _coords(
    model: Declaration,
    dims: dict[str, tuple[str, ...]],
    parameters: list[BoundParameter],
    values: dict[str, Any],
    labels: dict[str, list[Any]],
) -> dict[str, list[Any]]:
    """Return labels for every dimension that has a name of its own."""
    shapes = {p.name: p.shape for p in parameters} | {n: v.shape for n, v in values.items() if n in dims}
    coords: dict[str, list[Any]] = {}
    for variable, shape in shapes.items():
        for name, length in zip(dims[variable], shape, strict=True):
            given = labels.get(name.removesuffix("_bis"))
            if given is not None and len(given) != length:
                raise DataError(
                    f"model {model.name}: {len(given)} labels came for the dimension {name!r}, which has "
                    f"{length} entries"
                )
            if not name.startswith(f"{variable}_dim_"):
                coords[name] = list(given) if given is not None else list(range(length))
    return coords


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names) if names else "none"
