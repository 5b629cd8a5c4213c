"""The density of part of the data: batches of rows along a declared dimension.

A log density of n independent rows is a prior and a sum of n observed terms.  The same program, compiled for b rows
and with its observed terms along the dimension times n / b, is an estimate of it: over batches drawn uniformly, the
estimate and its gradient are unbiased (Robbins & Monro 1951).  That the density is such a sum is not taken for
granted: `Batches.check` compares two batches with both together.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from gradmc.density.base import Density
from gradmc.density.program_density import ProgramDensity
from gradmc.density.reach import ATTEMPTS, random_point
from gradmc.errors import StartError, UsageError
from gradmc.program.binding import BoundModel, end_names
from gradmc.program.layout import Layout, layout
from gradmc.program.marks import weighted

if TYPE_CHECKING:  # a run without batches, loaded from disk, needs neither front end nor middle end
    from gradmc.program.tracing import Traced

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""Of the sum of two batches against both together, relative to the size of the terms: rounding, with a margin."""
LOOKS = 5

CHECKED = 8
"""Rows of the batches by which `observed_terms` looks whether the density is a sum over the rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """A density by batches.

    Args:
        bound: the model with all data.
        dtype: of the computation.
        layout: of its parameters.
        dimension: the name of the dimension.
        rows: its length.
        size: rows in a batch.
        axes: the data along the dimension, each with the number of that axis.
        asked: the name of the option that asks for them, for messages.
    """

    bound: BoundModel
    dtype: np.dtype
    layout: Layout
    dimension: str
    rows: int
    size: int
    axes: Mapping[str, int]
    asked: str = "batch"

    @classmethod
    def of(cls, density: Any, dimension: str, size: int, *, asked: str = "batch") -> "Batches":
        """Batches of `size` rows of a density along a dimension.

        Raises:
            UsageError: there is no such dimension, parameters or other sizes depend on its length, or it has fewer
                rows.
        """
        if not isinstance(density, ProgramDensity):
            raise UsageError(f"{asked} needs a model declared with @gm.model: only there dimensions have names")
        return cls.of_bound(density.bound, density.dtype, dimension, size, asked=asked)

    @classmethod
    def of_bound(cls, bound: BoundModel, dtype: np.dtype, dimension: str, size: int, *, asked: str) -> "Batches":
        """As `of`, of a model with data."""
        if dimension not in bound.sizes:
            known = ", ".join(repr(name) for name in bound.sizes) or "none"
            raise UsageError(f"{asked}: {dimension!r} is no dimension of the model; it has {known}")
        if bound.gaps:
            raise UsageError(
                f"{asked}: {', '.join(bound.gaps)} has missing entries, which are parameters of single rows"
            )
        rows = bound.sizes[dimension]
        if not 1 <= size <= rows:
            raise UsageError(f"{asked}: {size} rows of {dimension!r} at a time, which has {rows}; give 1 to {rows}")
        return cls(bound, dtype, layout(bound), dimension, rows, size, _axes(bound, dimension, asked), asked)

    def of_size(self, size: int) -> "Batches":
        """Batches of another size."""
        return dataclasses.replace(self, size=size)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The data along the dimension, whole."""
        return tuple(self.bound.data[name] for name in self.axes)

    def estimate(self, observed: tuple[str, ...], rows: int) -> "Estimate":
        """The program for a batch, its observed terms of these names scaled up to `rows`."""
        with weighted(dict.fromkeys(observed, rows / self.size)):
            return Estimate(self, self._trace(collect=False))

    def marked(self) -> "Estimate":
        """The program for a batch as it is, with its observed terms."""
        return Estimate(self, self._trace(collect=True))

    def part(self, rows: np.ndarray) -> BoundModel:
        """The model with some rows of its data, whose labels are 0, 1, ..."""
        axes, dimension, bound = self.axes, self.dimension, self.bound
        data = {**bound.data, **{name: np.take(bound.data[name], rows, axis=axis) for name, axis in axes.items()}}
        if dimension in data:
            data[dimension] = len(rows)
        coords = {**bound.coords, **({dimension: list(range(len(rows)))} if dimension in bound.coords else {})}
        return dataclasses.replace(bound, data=data, sizes={**bound.sizes, dimension: len(rows)}, coords=coords)

    def _trace(self, *, collect: bool) -> "Traced":
        from gradmc.program.tracing import trace

        part = self.part(np.arange(self.size))
        with jax.enable_x64(self.dtype == np.float64):
            return trace(part, self.dtype, collect=collect, varying=tuple(self.axes))

    def observed(self, x: np.ndarray, rng: np.random.Generator) -> tuple[str, ...]:
        """The names of the observed terms along the dimension, after a check that the density is their sum and a rest.

        Args:
            x: unconstrained coordinates at which the density is finite.
            rng: chooses the rows that are compared.

        Raises:
            UsageError: something else depends on the rows, or the terms of rows depend on other rows.
        """
        half = self.of_size(max(1, min(self.size, self.rows // 2)))
        single, both = half.marked(), half.of_size(min(2 * half.size, self.rows)).marked()
        names = tuple(name for name, count in single.counts().items() if both.counts()[name] != count)
        if not names:
            told = "no term is marked by gm.observe along it" if single.counts() else "the model marks none"
            raise UsageError(
                f"{self.asked}: the terms along {self.dimension!r} must be known, but {told}; write "
                "lp += gm.observe(name, term) for the term of each row"
            )
        if both.batches.size < 2 * half.size:  # one row alone: there is nothing to compare
            return names
        split_single, split_both = single.splitting(names), both.splitting(names)
        for _ in range(LOOKS):
            chosen = rng.permutation(self.rows)[: both.batches.size]
            parts = [split_single(x, rows) for rows in (chosen[: half.size], chosen[half.size :])]
            whole = split_both(x, chosen)
            if np.all(np.isfinite([*parts, whole])):
                break
        else:
            raise UsageError(
                f"{self.asked}: the terms of some rows of {self.dimension!r} are not finite where it is looked whether "
                "the density is a sum over them, so that cannot be seen"
            )
        scale = max(1.0, *(abs(value) for pair in (*parts, whole) for value in pair))
        bound = TOLERANCE[str(self.dtype)] * scale
        if max(abs(rest - whole[1]) for _, rest in parts) > bound:
            raise UsageError(
                f"{self.asked}: what is not marked by gm.observe depends on the rows of {self.dimension!r}, so it "
                "cannot be told from the prior; mark the term of each row, and let the prior not depend on the data"
            )
        if abs(sum(value for value, _ in parts) - whole[0]) > bound:
            raise UsageError(
                f"{self.asked}: the density is not a sum over {self.dimension!r}: the terms of two batches together "
                "are not those of each alone (a series, whose rows depend on each other, has no batches of rows)"
            )
        return names


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """The traced program of a batch.

    Args:
        batches: which.
        program: its trace.
    """

    batches: Batches
    program: "Traced"

    def __call__(
        self, x: Float[Array, "dim"], rows: Int[Array, "size"], arrays: tuple[Any, ...], *, jacobian: bool
    ) -> Float[Array, ""]:
        """The log density at x, from the given rows of the data; pure, to be traced within the density's scope.

        Args:
            x: unconstrained coordinates.
            rows: numbers of the rows.
            arrays: as `Batches.arrays`.
            jacobian: whether the log-determinant of the map from unconstrained coordinates counts.
        """
        return self.given(x, self._chosen(rows, arrays), jacobian=jacobian)

    def given(self, x: Float[Array, "dim"], data: Mapping[str, Any], *, jacobian: bool) -> Float[Array, ""]:
        """The log density at x, from a batch of the data, by name; what is not there is as it was traced; pure."""
        value, log_det = self._call(x, data, self.program.value)
        return value + log_det if jacobian else value

    def terms(self, x: Any, rows: Any, arrays: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        """The log density without Jacobian, and its observed terms by name; pure."""
        return self.terms_given(x, self._chosen(rows, arrays))

    def terms_given(self, x: Any, data: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """As `terms`, from a batch of the data as `given` takes it."""
        (value, observed, _), _ = self._call(x, data, self.program.marks)
        return value, observed

    def counts(self) -> dict[str, int]:
        """How many observed terms there are of each name."""
        return {name: int(np.prod(shape)) for name, shape in self.shapes()[0].items()}

    def shapes(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """The shapes of the observed terms and of the derived quantities, by name."""
        found = jax.tree.unflatten(self.program.structure, [v.aval for v in self.program.jaxpr.jaxpr.outvars])
        observed, recorded = ({name: tuple(leaf.shape) for name, leaf in of.items()} for of in found[1:])
        return observed, recorded

    def splitting(self, names: tuple[str, ...]) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
        """What gives, at coordinates and from rows, the sum of the observed terms of these names, and the rest."""
        terms = jax.jit(self.terms)

        def split(x: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
            with jax.enable_x64(self.batches.dtype == np.float64):
                value, observed = terms(jnp.asarray(x, self.batches.dtype), rows, self.batches.arrays())
                total = sum(float(jnp.sum(observed[name])) for name in names)
                return total, float(value) - total

        return split

    def _chosen(self, rows: Any, arrays: tuple[Any, ...]) -> dict[str, Any]:
        """Rows of the data along the dimension."""
        batches, dtype = self.batches, self.batches.dtype
        return {
            name: jnp.take(jnp.asarray(array, dtype if array.dtype.kind == "f" else None), rows, axis=axis)
            for (name, axis), array in zip(batches.axes.items(), arrays, strict=True)
        }

    def _call(self, x: Any, data: Mapping[str, Any], call: Any) -> tuple[Any, Any]:
        traced = zip(self.program.traced, self.program.arguments, strict=True)
        arguments = tuple(data.get(name, array) for name, array in traced)
        values, factors, log_det = self.batches.layout.factorised(x, {**self.batches.bound.data, **data})
        return call(values, arguments, factors), log_det


def observed_terms(density: Density, batches: Batches) -> tuple[str, ...]:
    """The names of the observed terms along the dimension of batches, after a check where the density is finite.

    Raises:
        UsageError: as `Batches.observed`.
        StartError: as `finite_point`.
    """

    def found() -> tuple[str, ...]:
        few, rng = batches.of_size(min(CHECKED, max(1, batches.rows // 2))), np.random.default_rng(0)
        return few.observed(finite_point(density, few, np.arange(few.size), rng), rng)

    # What depends on rows does so by the program, whatever the rows hold.
    return density.memory.remember(("observed", batches.dimension), found)


def finite_point(density: Density, batches: Batches, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unconstrained coordinates at which the density of a batch of these rows is finite.

    Raises:
        StartError: there are none among those that are tried.
    """
    program = batches.of_size(len(rows)).marked()
    with density.scope():
        terms = jax.jit(program.terms)
        for attempt in range(ATTEMPTS):
            x = random_point(rng, density.start_radius, density.dim, attempt)
            if np.isfinite(terms(jnp.asarray(x, density.dtype), rows, batches.arrays())[0]):
                return x
    raise StartError(f"none of {ATTEMPTS} points has a finite log density. At the last:\n{density.describe_failure(x)}")


def _axes(bound: BoundModel, dimension: str, asked: str) -> dict[str, int]:
    """The data along a dimension, by name, with the number of the axis.

    Raises:
        UsageError: the length of the dimension means something besides.
    """
    for parameter in bound.model.parameters:
        if any(dimension in dict(size.terms) for size in parameter.support.shape):
            raise UsageError(
                f"{asked}: the parameter {parameter.name!r} has entries along {dimension!r}; it needs parameters that "
                "all rows share"
            )
    axes: dict[str, int] = {}
    ends = end_names(bound.model)
    for field in bound.model.data:
        value = bound.data.get(field.name)
        found = [axis for axis, size in enumerate(field.shape or ()) if dimension in dict(size.terms)]
        if not found or not isinstance(value, np.ndarray):
            continue
        assert field.shape is not None
        if len(found) > 1 or field.shape[found[0]].dimension is None:
            raise UsageError(
                f"{asked}: {field.name!r} is declared along {field.shape[found[-1]].text!r} too; the rows are those "
                f"along {dimension!r} itself, one axis of each array"
            )
        if value.dtype.kind == "f" and np.isnan(value).any():
            raise UsageError(f"{asked}: {field.name!r} has missing entries; leave their rows out")
        if field.name in ends:
            raise UsageError(
                f"{asked}: {field.name!r} decides where the support of a parameter ends, so it must be known whole"
            )
        axes[field.name] = found[0]
    if not axes:
        raise UsageError(f"{asked}: no data are declared along {dimension!r}")
    return axes
