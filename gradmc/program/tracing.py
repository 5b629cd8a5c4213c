"""Tracing a program: from the plain function and its data to a JAX function of parameters and arguments.

The program is traced once. Floating-point data arrays become arguments of the traced function, so that new
data of the same shapes need no new compilation; all other data are built in. Where the compiler must know an
array to compile a construct (it says so by `ConcreteDataNeeded`), that array is built in too and the program
is traced again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError, SourceLocation
from gradmc.program.binding import BoundModel, argument_names, as_argument
from gradmc.program.compiler import Collected, ConcreteDataNeeded, evaluate
from gradmc.program.dims import RESERVED
from gradmc.program.marks import Axes, naming
from gradmc.program.middle.factors import with_factors

NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A traced program.

    Attributes:
        names: names of the parameters, in order.
        traced: names of the data arrays that are arguments.
        arguments: those arrays.
        factorised: the parameters whose Cholesky factors the program asks for.
        jaxpr: the program as a function of the parameters, the arguments and those factors.
        structure: what its results are.
        axes: the axes of derived quantities, where `record` names them.
    """

    names: tuple[str, ...]
    traced: tuple[str, ...]
    arguments: tuple[np.ndarray, ...]
    factorised: tuple[str, ...]
    jaxpr: jax.extend.core.ClosedJaxpr  # pyright: ignore[reportPrivateImportUsage]
    structure: Any
    axes: Mapping[str, Axes]

    def given(self, data: Mapping[str, Any], dtype: np.dtype) -> "Traced":
        """The same program with other data as arguments."""
        return replace(self, arguments=tuple(as_argument(data[name], dtype) for name in self.traced))

    def bare(self) -> "Traced":
        """The program without its arguments."""
        return replace(self, arguments=())

    def _call(self, values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any]) -> Any:
        known = {name: factors.get(name) for name in self.factorised}
        told = (jnp.linalg.cholesky(values[name]) if factor is None else factor for name, factor in known.items())
        results = jax.extend.core.jaxpr_as_fun(self.jaxpr)(*(values[name] for name in self.names), *arguments, *told)
        return jax.tree.unflatten(self.structure, results)

    def value(self, values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any] = NONE) -> Any:
        """Return the log density of named parameters, of some of which the Cholesky factors are known."""
        return self._call(values, arguments, factors)[0]

    def marks(
        self, values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any] = NONE
    ) -> tuple[Any, dict, dict]:
        """Return the log density, the observed terms and the derived quantities."""
        return self._call(values, arguments, factors)

    def select(self, other: "Traced", arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return this program's arguments, taken from those of another trace of the same program where it has
        them.
        """
        given = dict(zip(other.traced, arguments, strict=True))
        return tuple(given.get(name, array) for name, array in zip(self.traced, self.arguments, strict=True))


def trace(
    bound: BoundModel,
    dtype: np.dtype,
    *,
    collect: bool,
    wavering: list[float] | None = None,
    varying: Collection[str] = (),
) -> Traced:
    """Trace the program of a bound model.

    Args:
        bound: the model with its data.
        dtype: of the computation.
        collect: whether to collect what the program marks.
        wavering: as for `gradmc.program.compiler.evaluate`.
        varying: data arrays that are arguments whatever they hold, since they change from call to call.

    Raises:
        ProgramError: the program raises, cannot be compiled, or does not return a number; or it needs to know some of
            the `varying` data.
    """
    floating = {name: as_argument(bound.data[name], dtype) for name in [*argument_names(bound), *varying]}
    names = tuple(parameter.name for parameter in bound.parameters)
    values = [jax.ShapeDtypeStruct(parameter.shape, dtype) for parameter in bound.parameters]
    while True:
        traced = tuple(floating)
        arguments = tuple(floating.values())

        def run(*leaves: Any, traced: tuple[str, ...] = traced) -> Any:
            given = dict(zip(traced, leaves[len(names) :], strict=True))
            value, marks = evaluate(
                bound.model.fn,
                leaves[: len(names)],
                {**bound.data, **given},
                collect=collect,
                wavering=wavering,
                varying=varying,
                max_loop_iterations=bound.max_loop_iterations,
            )
            return _number(bound, value, dtype), *_checked_marks(bound, marks)

        try:
            with naming() as axes:
                jaxpr, shapes = jax.make_jaxpr(run, return_shape=True)(*values, *arguments)
        except ConcreteDataNeeded as needed:
            wanted = needed.names & set(floating)
            if fixed := sorted(wanted & set(varying)):
                raise ProgramError(
                    f"the program needs to know {', '.join(fixed)} while it is compiled, so it cannot be compiled for "
                    "parts of them",
                    remedy="Let their entries decide no branch, loop or shape: give them as weights or indices.",
                ) from needed
            if not wanted:
                raise ProgramError(f"the program needs to know {sorted(needed.names)} while it is compiled") from needed
            floating = {name: array for name, array in floating.items() if name not in wanted}
            continue
        _check_axes(bound, axes, {name: tuple(leaf.shape) for name, leaf in shapes[2].items()})
        matrices = [k for k, parameter in enumerate(bound.parameters) if parameter.support.has_factor]
        jaxpr, taken = with_factors(jaxpr, matrices)
        factorised = tuple(names[k] for k in taken)
        return Traced(names, traced, arguments, factorised, jaxpr, jax.tree.structure(shapes), axes)


def _number(bound: BoundModel, value: Any, dtype: np.dtype) -> Any:
    """Return the log density in the density's precision."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        code = bound.model.fn.__code__
        raise ProgramError(
            f"the program returned a value of type {value.dtype}, expected a real number",
            location=SourceLocation(code.co_filename, code.co_firstlineno, f"def {bound.model.name}(...)"),
        )
    return value if value.dtype == dtype else value.astype(dtype)


def _check_axes(bound: BoundModel, axes: Mapping[str, Axes], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse names of axes that do not fit what was recorded, or that the results have another use for."""
    sizes = {name: len(labels) for name, labels in bound.coords.items()}
    used = {*RESERVED, *shapes, *(parameter.name for parameter in bound.parameters)}
    for name, shape in shapes.items():
        dims = axes.get(name)
        if dims is None:
            continue
        if len(dims) != len(shape):
            raise ProgramError(
                f"record({name!r}, ...): dims names {len(dims)} axes ({', '.join(dims)}), what is collected has the "
                f"shape {shape}",
                remedy="Name every axis, those of the loops around the call first.",
            )
        for (axis, labels), size in zip(dims.items(), shape, strict=True):
            if labels is not None and len(labels) != size:
                raise ProgramError(f"record({name!r}, ...): {len(labels)} labels for {size} entries along {axis!r}")
            if sizes.setdefault(axis, size) != size:
                raise ProgramError(
                    f"record({name!r}, ...): the axis {axis!r} has {size} entries here, elsewhere {sizes[axis]}",
                    remedy="Give axes of different lengths different names.",
                )
            if axis in used:
                raise ProgramError(
                    f"record({name!r}, ...): the results have another use for the name {axis!r}",
                    remedy="Give the axis another name.",
                )


def _checked_marks(bound: BoundModel, marks: Collected) -> tuple[dict[str, Any], dict[str, Any]]:
    """Refuse names of marks that would collide in the results."""
    parameters = {parameter.name for parameter in bound.parameters}
    for kind, values in (("observe", marks.observe), ("record", marks.record)):
        for name, value in values.items():
            if jnp.issubdtype(value.dtype, jax.dtypes.extended) or np.dtype(value.dtype).kind not in "biuf":
                raise ProgramError(
                    f"{kind}({name!r}, ...): the results hold booleans, integers and real numbers, got {value.dtype}",
                    remedy="Mark real numbers: of a complex one its real and its imaginary part.",
                )
            if name in bound.coords or name in RESERVED:
                raise ProgramError(
                    f"{kind}({name!r}, ...): {name!r} is the name of a dimension of the results",
                    remedy="Rename it.",
                )
            if kind == "record" and name in parameters:
                raise ProgramError(
                    f"record({name!r}, ...): {name!r} is a parameter, and both stand in group posterior",
                    remedy="Give the derived quantity another name.",
                )
    return marks.observe, marks.record
