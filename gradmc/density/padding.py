"""Data of several lengths under one compiled program: rows are added to the shorter ones, and count nothing.

A log density of independent rows is a rest and a sum of one observed term for each row (`gradmc.density.batches`). The
program for N rows is therefore, with the terms beyond the n-th left out, that for n of them. The rows that are added
are copies of the last one, so that their terms are numbers wherever its are. What is computed from several rows would
see the copies: that there is no such thing is looked at with rows of the data, once for all data sets.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gradmc.arguments import check_whole
from gradmc.density.base import Density, Precision, dtype_of
from gradmc.density.batches import TOLERANCE, Batches, Estimate, finite_point
from gradmc.density.program_density import ProgramDensity
from gradmc.errors import UsageError
from gradmc.program.binding import BoundModel, as_argument
from gradmc.program.marks import weighted

if TYPE_CHECKING:
    from gradmc.program.tracing import Traced

CHECKED = 16
"""Rows by which it is looked whether rows that are added count nothing."""
SHRINKING = 1e-3
"""By how much the rows of an array that are all alike are told apart there, relatively."""

type AxisOfRows = tuple[tuple[str, int], ...]
"""Names, each with the number of the axis that has an entry for each row."""


@dataclass(frozen=True, slots=True)
class Padding:
    """How the data sets of a program are padded.

    Attributes:
        dimension: along which.
        multiple: the padded length is the next multiple of this one.
        terms: the observed terms along the dimension.
        recorded: the derived quantities along it.
        arguments: the data along it.
    """

    dimension: str
    multiple: int
    terms: AxisOfRows
    recorded: AxisOfRows
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, density: Density, dimension: str, multiple: int) -> "Padding":
        """The padding of the data sets of a program, after a look at one of them.

        Args:
            density: the program with that data set, of at least two rows that differ; the more of them, the better.
            dimension: along which.
            multiple: as the attribute.

        Raises:
            UsageError: there is no such dimension, or the density is not known to be a sum over the rows.
            ProgramError: the program needs to know rows while it is compiled.
            StartError: no point was found at which the density is finite.
        """
        few, rng = Batches.of(density, dimension, 1, asked="pad"), np.random.default_rng(0)
        rows = rng.permutation(_different(few))[:CHECKED]
        if len(rows) < 2:
            raise UsageError(
                f"pad: no data set has two rows along {dimension!r} that differ, so there is nothing to see"
            )
        part = few.part(rows)
        data = {**part.data, **{name: _told_apart(part.data[name], axis) for name, axis in few.axes.items()}}
        seen = ProgramDensity(dataclasses.replace(part, data=data), density.dtype)
        batches = Batches.of(seen, dimension, len(rows) // 2, asked="pad")
        x = finite_point(seen, batches, np.arange(len(rows)), rng)
        names = batches.observed(x, rng)
        one, all_rows = batches.of_size(1).marked(), batches.of_size(len(rows)).marked()
        shapes = [program.shapes() for program in (one, all_rows)]
        terms = _axes_of_rows({name: [of[0][name] for of in shapes] for name in names}, len(rows), dimension)
        _refuse_other_order(x, one, all_rows, terms, dimension)
        recorded = {name: [of[1][name] for of in shapes] for name in shapes[0][1]}
        made = cls(dimension, multiple, terms, _axes_of_rows(recorded, len(rows), dimension), tuple(few.axes))
        made._refuse_seen_copies(seen, x, len(rows))
        return made

    def length(self, rows: int) -> int:
        """The length of a data set of so many rows, padded."""
        return -(-rows // self.multiple) * self.multiple

    def _refuse_seen_copies(self, seen: ProgramDensity, x: np.ndarray, rows: int) -> None:
        """Compare a data set with itself, padded.

        Raises:
            UsageError: something else comes of it.
        """
        padded = PaddedDensity(seen.bound, seen.dtype, dataclasses.replace(self, multiple=2 * rows))
        bound = TOLERANCE[str(seen.dtype)]
        for found, expected in zip(padded.value_and_grad(x), seen.value_and_grad(x), strict=True):
            if not np.allclose(found, expected, rtol=bound, atol=bound * (1.0 + np.max(np.abs(expected)))):
                raise UsageError(
                    f"pad: with rows of {self.dimension!r} added whose terms are left out the density is another one, "
                    "so it is not a sum over the rows"
                )
        with seen.scope():
            ours, theirs = (jax.device_get(jax.jit(d.expand)(x, d.arguments)) for d in (padded, seen))
        for group, name in ((group, name) for group, of in theirs.items() for name in of):
            found = padded.cut(group, name, np.asarray(ours[group][name]))
            if not np.allclose(found, theirs[group][name], rtol=bound, atol=bound, equal_nan=True):
                raise UsageError(
                    f"pad: {name!r} is computed from several rows of {self.dimension!r}, or from their number, so it "
                    "would see the rows that are added; leave it out of the program, and compute it from the draws"
                )


def padded_along(pad: str | Mapping[str, int] | None) -> tuple[str, int] | None:
    """The dimension that an option names, and of how many rows lengths are made multiples; 0 if it does not say.

    Raises:
        UsageError: it is something else.
    """
    if pad is None:
        return None
    named = {pad: 0} if isinstance(pad, str) else pad
    if not isinstance(named, Mapping) or len(named) != 1 or not all(isinstance(name, str) and name for name in named):
        raise UsageError(f'pad must be a dimension, "visit", or one with a number of rows, {{"visit": 64}}: {pad!r}')
    ((dimension, multiple),) = named.items()
    check_whole("pad", multiple, 0 if isinstance(pad, str) else 1, None)
    return dimension, multiple


class PaddedDensity(ProgramDensity):
    """The density of a model with data, of which rows are added that count nothing.

    Its results have entries for these rows too, until `cut` leaves them out.
    """

    def __init__(self, given: BoundModel, dtype: np.dtype, padding: Padding) -> None:
        self.__setstate__((given, dtype, padding))
        self.arguments  # noqa: B018 - traces the program

    @override
    def __getstate__(self) -> tuple[BoundModel, np.dtype, Padding]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._given, self.dtype, self.padding

    @override
    def __setstate__(self, state: tuple[BoundModel, np.dtype, Padding]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._given, dtype, self.padding = state
        rows = self._given.sizes[self.padding.dimension]
        if not rows:
            raise UsageError(f"pad: there are no rows along {self.padding.dimension!r}, of which one could be added")
        batches = Batches.of_bound(self._given, dtype, self.padding.dimension, 1, asked="pad")
        numbers = np.minimum(np.arange(self.padding.length(rows)), rows - 1)
        self._rows = rows
        self._axes_of_data = tuple((name, k - self._given.data[name].ndim) for name, k in batches.axes.items())
        super().__setstate__((batches.part(numbers), dtype))

    @property
    @override
    def as_given(self) -> BoundModel:
        """The model with its data as the user gave them."""
        return self._given

    @property
    @override
    def _kind(self) -> Any:
        arrays = ((name, self.bound.data[name]) for name in self.padding.arguments)
        shapes = tuple((name, array.shape, str(array.dtype)) for name, array in arrays)
        return type(self), dataclasses.astuple(self.padding), shapes

    @override
    def _trace(self, *, collect: bool = False, wavering: list[float] | None = None) -> "Traced":
        from gradmc.program.tracing import trace

        with weighted({name: 0.0 for name, _ in self.padding.terms}):
            return trace(self.bound, self.dtype, collect=True, wavering=wavering, varying=self.padding.arguments)

    @functools.cached_property
    @override
    def arguments(self) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of rows that count, and the data."""
        return np.asarray(self._rows), *(as_argument(self.bound.data[name], self.dtype) for name in self.traced)

    @override
    def _data(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return super()._data(arguments[1:])

    @functools.cached_property
    @override
    def _marked(self) -> "Traced":
        return self._program

    @override
    def _value_of(
        self, program: "Traced", values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any]
    ) -> Any:
        count, *data = arguments
        rest, observed, _ = program.marks(values, program.select(self._program, tuple(data)), factors)
        return rest + sum(_first(observed[name], axis, count) for name, axis in self.padding.terms)

    @override
    def _marks_of(self, values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any]) -> Any:
        rest, observed, recorded = self._program.marks(values, arguments[1:], factors)
        return rest + sum(jnp.sum(observed[name]) for name, _ in self.padding.terms), observed, recorded

    @override
    def with_precision(self, precision: Precision) -> "PaddedDensity":
        """The same density in another precision."""
        return type(self)(self._given, dtype_of(precision), self.padding)

    def axis_of_rows(self, group: str, name: str) -> int | None:
        """The axis, counted from the end, along which a variable of the results has an entry for each row, if any."""
        found = {
            "posterior": self.padding.recorded,
            "log_likelihood": self.padding.terms,
            **dict.fromkeys(("observed_data", "constant_data"), self._axes_of_data),
        }
        return dict(found.get(group.removeprefix("warmup_"), ())).get(name)

    def cut(self, group: str, name: str, values: np.ndarray) -> np.ndarray:
        """A variable of the results without the entries of rows that were added.

        Args:
            group: `posterior`, `log_likelihood`, `observed_data`, ...
            name: of the variable.
            values: of one draw or of many, whose axes come first.
        """
        if group == "constant_data" and name == self.padding.dimension:  # the program takes their number as a datum
            return np.full_like(values, self._rows)
        axis = self.axis_of_rows(group, name)
        return values if axis is None else np.take(values, np.arange(self._rows), axis=axis)


def _first(terms: Array, axis: int, count: Any) -> Array:
    """The sum of the first terms along an axis; what is beyond them is not looked at."""
    rows = jnp.arange(terms.shape[axis]).reshape(-1, *[1] * (-axis - 1))
    return jnp.sum(jnp.where(rows < count, terms, 0.0))


def _different(batches: Batches) -> np.ndarray:
    """Numbers of rows of which no two are alike."""
    rows = [np.moveaxis(batches.bound.data[name], axis, 0) for name, axis in batches.axes.items()]
    codes = [np.unique(r.reshape(len(r), -1), axis=0, return_inverse=True)[1].reshape(-1) for r in rows]
    return np.sort(np.unique(np.stack(codes, axis=1), axis=0, return_index=True)[1])


def _told_apart(array: np.ndarray, axis: int) -> np.ndarray:
    """Reals whose rows are all alike, a little less so; other arrays as they are."""
    rows = np.moveaxis(array, axis, 0)
    if array.dtype.kind != "f" or np.any(rows != rows[:1]):
        return array
    steps = SHRINKING * np.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1))
    return np.moveaxis(np.where(rows == 0.0, steps, rows * (1.0 - steps)), 0, axis)


def _axes_of_rows(shapes: Mapping[str, Sequence[tuple[int, ...]]], rows: int, dimension: str) -> AxisOfRows:
    """The axes of variables, counted from the end, that have an entry for each row.

    Args:
        shapes: of each variable, with one row and with `rows`.
        rows: how many.
        dimension: for messages.

    Raises:
        UsageError: a shape depends on their number in another way.
    """
    found: list[tuple[str, int]] = []
    for name, (one, many) in shapes.items():
        axes = [k for k, sizes in enumerate(zip(one, many, strict=False)) if sizes == (1, rows)]
        if one == many:
            continue
        if len(axes) != 1 or (*one[: axes[0]], rows, *one[axes[0] + 1 :]) != many:
            raise UsageError(
                f"pad: {name!r} has the shape {many} for {rows} rows of {dimension!r} and {one} for one; its entries "
                "must lie along one axis of as many entries as there are rows: give what has several a name each"
            )
        found.append((name, axes[0] - len(many)))
    return tuple(found)


def _refuse_other_order(x: np.ndarray, one: Estimate, all_rows: Estimate, terms: AxisOfRows, dimension: str) -> None:
    """Compare the terms of each row alone with those among all rows.

    Raises:
        UsageError: the k-th term is not that of the k-th row.
    """
    batches = one.batches
    with jax.enable_x64(batches.dtype == np.float64):
        alone, together = (jax.jit(program.terms) for program in (one, all_rows))
        point, arrays = jnp.asarray(x, batches.dtype), batches.arrays()
        whole = together(point, np.arange(batches.rows), arrays)[1]
        for row in range(batches.rows):
            own = alone(point, np.array([row]), arrays)[1]
            for name, axis in terms:
                found, expected = (np.take(np.asarray(of[name]), k, axis) for of, k in ((whole, row), (own, 0)))
                bound = TOLERANCE[str(batches.dtype)]
                if not np.allclose(found, expected, rtol=bound, atol=bound):
                    raise UsageError(
                        f"pad: the terms {name!r} do not stand in the order of the rows of {dimension!r}, or depend on "
                        "several of them; let the loop go over the rows as they come"
                    )
