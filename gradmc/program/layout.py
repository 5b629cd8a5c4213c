"""The flat unconstrained vector and the named parameters.

A *layout* says which stretch of the flat vector holds which parameter. `constrain` splits the vector, maps
every stretch into its support, in the order of declaration (ends may depend on earlier parameters), and adds
up the log-determinants. Splitting is one `lax.split`, whose derivative is one concatenation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc._process import memory
from gradmc.errors import ProgramError, UsageError
from gradmc.program.binding import BoundModel, BoundParameter
from gradmc.program.raising import is_of_program, line_of, text_of
from gradmc.program.support import Bound, bound_names


@dataclass(frozen=True, slots=True)
class Layout:
    """Where every parameter stands in the flat vector.

    Attributes:
        parameters: the parameters, in order.
        shapes: shapes of their unconstrained coordinates.
        sizes: numbers of coordinates.
        names: a name for every coordinate, such as `theta[0]`.
    """

    parameters: tuple[BoundParameter, ...]
    shapes: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def dim(self) -> int:
        """Number of unconstrained coordinates."""
        return sum(self.sizes)

    def split(self, x: Any) -> dict[str, Any]:
        """Return the unconstrained coordinates of each parameter."""
        parts = lax.split(x, self.sizes) if len(self.sizes) > 1 else [x]
        return {
            parameter.name: lax.reshape(part, shape)
            for parameter, shape, part in zip(self.parameters, self.shapes, parts, strict=True)
        }

    def constrain(self, x: Any, data: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """Return the parameters at a flat vector, and the log-determinant of the map."""
        values, _, log_det = self.factorised(x, data)
        return values, log_det

    def factorised(self, x: Any, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Return what `constrain` does and, between the two, the Cholesky factors of parameters built from one."""
        values: dict[str, Any] = {}
        factors: dict[str, Any] = {}
        log_dets = []
        for parameter, part in zip(self.parameters, self.split(x).values(), strict=True):
            ends = self.ends(parameter, values, data)
            values[parameter.name], factor, log_det = parameter.support.factorised(part, ends)
            if factor is not None:
                factors[parameter.name] = factor
            if log_det is not None:
                log_dets.append(log_det)
        log_det = sum(log_dets[1:], start=log_dets[0]) if log_dets else jnp.zeros((), jnp.result_type(x))
        return values, factors, log_det

    @property
    def start_radius(self) -> np.ndarray:
        """Largest modulus of each coordinate at random starts, shape (dim,)."""
        return np.repeat([p.support.start_radius(p.shape) for p in self.parameters], self.sizes)

    def unconstrain(self, values: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """Return the flat vector of named parameters that lie in their supports."""
        parts = [
            jnp.ravel(parameter.support.unconstrain(values[parameter.name], self.ends(parameter, values, data)))
            for parameter in self.parameters
        ]
        return jnp.concatenate(parts)

    def ends(
        self,
        parameter: BoundParameter,
        values: Mapping[str, Any],
        data: Mapping[str, Any],
    ) -> tuple[Any, ...]:
        """Return the ends of a parameter's support, evaluated at data and earlier parameters."""
        return tuple(_end(parameter, bound, {**data, **values}) for bound in parameter.support.bounds)

    def outside(self, values: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
        """Return a sentence on the first parameter outside its support, or None; values must be known."""
        for parameter in self.parameters:
            value = as_numbers(parameter.name, values[parameter.name], float)
            ends = self.ends(parameter, values, data)
            if not parameter.support.contains(value, ends):
                between = f" with ends {', '.join(map(str, ends))}" if ends else ""
                return f"{parameter.name} = {shown(value)} is not in its support {parameter.support!r}{between}"
        return None

    def rounded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return named parameters with those that rounding has put next to their supports moved into them."""
        found = dict(values)
        for parameter in self.parameters:
            if not isinstance(found[parameter.name], jax.Array):
                value = as_numbers(parameter.name, found[parameter.name], float)
                found[parameter.name] = parameter.support.rounded(value)
        return found

    def check(self, values: Any) -> None:
        """Check names and shapes of named parameters.

        Raises:
            UsageError: a parameter is missing, unknown, or of another shape.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"expected a dictionary from parameter names to values, got {type(values).__name__}")
        known = {parameter.name for parameter in self.parameters}
        if missing := [name for name in known if name not in values]:
            raise UsageError(f"missing parameters {sorted(missing)}; got {sorted(values)}")
        if unknown := [name for name in values if name not in known]:
            raise UsageError(f"unknown parameters {sorted(unknown)}; the parameters are {sorted(known)}")
        for parameter in self.parameters:
            if np.shape(values[parameter.name]) != parameter.shape:
                raise UsageError(
                    f"{parameter.name}: expected shape {parameter.shape}, got {np.shape(values[parameter.name])}"
                )


def gathered(values: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Named values in which entries by their own names, such as `theta[0]`, are put together to arrays.

    Args:
        values: by name; anything else is returned as it is.
        shapes: of the parameters.

    Raises:
        UsageError: a parameter comes as a whole and by entries, or not all its entries come.
    """
    if not isinstance(values, Mapping) or not any(isinstance(n, str) and n.endswith("]") for n in values):
        return values
    result, left = {}, dict(values)
    for name, shape in shapes.items():
        names = entry_names(name, shape)
        came = [entry for entry in names if entry in left and entry not in shapes]
        if not came:
            continue
        if len(came) < len(names) or name in left:
            missing = ", ".join([entry for entry in names if entry not in left][:3])
            what = "came beside entries of its own" if name in left else f"is not whole: no {missing}"
            raise UsageError(f"{name} {what}; give either {name!r} or all of {names[0]} ... {names[-1]}")
        entries = [left.pop(entry) for entry in names]
        traced = any(isinstance(entry, jax.Array) for entry in entries)
        result[name] = (jnp.stack(entries) if traced else np.asarray(entries)).reshape(shape)
    return result | left


def as_numbers(name: str, value: Any, dtype: Any) -> np.ndarray:
    """Return a parameter's value as an array.

    Raises:
        UsageError: it is none.
    """
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError):
        raise UsageError(f"{name}: expected a number or an array of numbers, got {value!r}") from None


def layout(bound: BoundModel) -> Layout:
    """Lay out the parameters of a bound model in the order of declaration.

    Raises:
        UsageError: there are more of them than fit into memory.
    """
    shapes = tuple(tuple(p.support.unconstrained_shape(p.shape)) for p in bound.parameters)
    refuse_more_than_memory(sum(math.prod(shape) for shape in shapes))
    names = [name for p, shape in zip(bound.parameters, shapes, strict=True) for name in entry_names(p.name, shape)]
    return Layout(
        bound.parameters,
        shapes,
        tuple(math.prod(shape) for shape in shapes),
        tuple(names),
    )


BYTES = 200
"""Of a parameter: its name, a draw, and what a sampler and its results make of it."""


def refuse_more_than_memory(count: int) -> None:
    """Refuse more parameters than fit into the memory of this machine."""
    if count * BYTES > memory():
        raise UsageError(
            f"the model has {count:,} parameters: they take more than the {memory() / 1e9:.1f} GB of this machine; see "
            "the sizes among the data"
        )


def entry_names(name: str, shape: tuple[int, ...]) -> list[str]:
    """Return a name for every entry of an array: `tau`, or `theta[0]`, `theta[1]`, ..."""
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]


def shown(value: np.ndarray) -> str:
    """Return a short text of a value."""
    return np.array2string(value, precision=6, threshold=12, separator=", ").replace("\n", "")


def _end(parameter: BoundParameter, bound: Bound, scope: Mapping[str, Any]) -> Any:
    if isinstance(bound, str):
        return _real(scope[bound])
    if callable(bound):
        try:
            return _real(bound(**{name: scope[name] for name in bound_names(bound)}))
        except BaseException as error:
            if not is_of_program(error):
                raise
            raise ProgramError(
                f"the bound of {parameter.name} ({parameter.support!r}) raised {text_of(error)}",
                location=line_of(error, getattr(getattr(bound, "__code__", None), "co_filename", None)),
            ) from error
    return bound


def _real(bound: Any) -> Any:
    """Return an end as real numbers: data that are integers may serve as ends too."""
    if isinstance(bound, jax.Array):
        return bound if jnp.issubdtype(bound.dtype, jnp.floating) else bound.astype(jnp.result_type(float))
    return np.asarray(bound, dtype=jnp.result_type(float))[()]
