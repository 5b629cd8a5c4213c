"""Names for the axes of results: dimensions, coordinates, and the data of the model.

ArviZ wants each axis named. Names come from the declarations of the model; an axis without a
declared name is called `<variable>_dim_<i>`, as `arviz_base` does.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradmc.printable import one_line
from gradmc.program.dims import RESERVED, unfit_name
from gradmc.results.storable import axis_labels, data_arrays, left_out

SAMPLE_DIMS = ("chain", "draw")
ORDER = (
    "posterior",
    "unconstrained_posterior",
    "sample_stats",
    "log_likelihood",
    "log_prior",
    "posterior_predictive",
)


@dataclass(frozen=True, slots=True)
class Labels:
    """Dimension names, coordinates and data that go into the results.

    Args:
        dims: variable name -> names of its axes (without chain and draw); None for an unnamed axis.
        coords: dimension name -> values along it.
        data: the data of the model; what cannot be stored is left out (see `warn_of_left_out`).
        sampled_variables: names of the parameters (recorded quantities stand beside them).
        observed: data whose pointwise log likelihood the model marks; more may turn up among the draws.
        name: name of the model.
    """

    dims: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    coords: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    sampled_variables: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    name: str = "model"

    @classmethod
    def of(cls, bound: Any) -> "Labels":
        """The labels of a model that is bound to its data (`gradmc.program.binding.BoundModel`), or none."""
        if bound is None:
            return cls()
        return cls(
            dims=dict(bound.dims),
            coords={name: list(values) for name, values in bound.coords.items()},
            data=bound.given,
            sampled_variables=tuple(parameter.name for parameter in bound.parameters),
            name=bound.model.name,
        )

    @classmethod
    def of_density(cls, density: Any) -> "Labels":
        """The labels of a `gradmc.density.Density`, which knows the axes of everything it expands to."""
        labels = cls.of(density.bound)
        dims = dict(labels.dims)
        groups = density.group_dims
        for variables in groups.values():
            dims |= variables
        coords = {name: list(values) for name, values in density.coords.items()}
        observed = tuple(groups.get("log_likelihood", {}))
        return replace(labels, dims=dims, coords=coords, observed=observed)

    def warn_of_left_out(self) -> None:
        """Say before sampling which data the results will not hold.

        Warns:
            UserWarning: there are such data.
        """
        if missed := [one_line(name) for name in left_out(self.data)]:
            warnings.warn(
                f"the results leave out {', '.join(missed)}: they hold numbers, texts and arrays of them; "
                "the draws do not depend on it",
                UserWarning,
                stacklevel=3,
            )


@dataclass(frozen=True, slots=True)
class Axes:
    """The resolved dimensions of the variables of one group, and the coordinate of each dimension."""

    dims: Mapping[str, tuple[str, ...]]
    coords: Mapping[str, np.ndarray]


def resolve_axes(shapes: Mapping[str, tuple[int, ...]], labels: Labels) -> Axes:
    """Name the axes of all variables of a group so that no name has two sizes.

    Args:
        shapes: variable name -> shape without chain and draw.
        labels: declared names.
    """
    sizes: dict[str, int] = {}
    dims: dict[str, tuple[str, ...]] = {}
    for name, shape in shapes.items():
        declared = labels.dims.get(name, ())
        declared = declared if len(declared) == len(shape) else (None,) * len(shape)
        axes: list[str] = []
        for i, (axis, size) in enumerate(zip(declared, shape, strict=True)):
            if axis is None or not _fits(axis, size, axes, sizes, shapes, labels.coords):
                axis = f"{name}_dim_{i}"
            sizes[axis] = size
            axes.append(axis)
        dims[name] = tuple(axes)
    return Axes(dims=dims, coords={axis: _coordinate(axis, size, labels) for axis, size in sizes.items()})


def _fits(
    axis: str,
    size: int,
    used: Iterable[str],
    sizes: Mapping[str, int],
    variables: Mapping[str, Any],
    coords: Mapping[str, Sequence[Any]],
) -> bool:
    """Whether an axis may bear this name: right size, free, and fit for a file."""
    expected = sizes.get(axis, len(coords[axis]) if axis in coords else size)
    free = axis not in used and axis not in variables and axis not in RESERVED
    return free and expected == size and unfit_name(axis) is None


def _coordinate(axis: str, size: int, labels: Labels) -> np.ndarray:
    values = labels.coords.get(axis)
    if values is None or len(values) != size:
        return np.arange(size)
    return axis_labels(values)


def variable_order(names: Iterable[str], labels: Labels) -> list[str]:
    """Parameters in the order of their declaration, then everything else as it came."""
    came = list(names)
    first = [name for name in labels.sampled_variables if name in came]
    return first + [name for name in came if name not in first]


def group_rank(group: str) -> tuple[bool, int, str]:
    """Sorts groups in ArviZ's customary order, warmup last."""
    plain = group.removeprefix("warmup_")
    return plain != group, ORDER.index(plain) if plain in ORDER else len(ORDER), group


def split_data(labels: Labels, found: Iterable[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Split data into observed data (those with a pointwise log likelihood) and constant data.

    Args:
        labels: the data, and the names that the model marks.
        found: names that have a pointwise log likelihood among the draws.
    """
    arrays = data_arrays(labels.data)
    names = {*labels.observed, *found}
    seen = {name: array for name, array in arrays.items() if name in names}
    return seen, {name: array for name, array in arrays.items() if name not in names}
