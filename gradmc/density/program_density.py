"""The density of a declared model with data."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.extend.core import Jaxpr
from jaxtyping import Float

from gradmc.arguments import check_whole
from gradmc.density.base import Density, Expanded, Part, Precision, Summand, dtype_of
from gradmc.density.kept import Shelf
from gradmc.density.known import FACTS, PROGRAM, Known, known
from gradmc.density.memo import Memo
from gradmc.elsewhere import explaining
from gradmc.errors import DataError, UsageError
from gradmc.program.binding import BoundModel, as_argument
from gradmc.program.ir import MAX_LOOP_ITERATIONS, MOST_LOOP_ITERATIONS
from gradmc.program.layout import layout
from gradmc.program.model import Model

if TYPE_CHECKING:  # what is loaded from disk needs neither front end nor middle end, which take long to import
    from gradmc.program import compiler
    from gradmc.program.tracing import Traced


class ProgramDensity(Density):
    """The density of a declared model with data."""

    bound: BoundModel

    def __init__(self, bound: BoundModel, dtype: np.dtype) -> None:
        self.__setstate__((bound, dtype))
        self.arguments  # noqa: B018 - traces the program

    def __getstate__(self) -> tuple[BoundModel, np.dtype]:
        return self.bound, self.dtype

    def __setstate__(self, state: tuple[BoundModel, np.dtype]) -> None:
        # The program is not traced yet: whoever hands a density on need not.
        self.bound, self.dtype = state
        self.layout = layout(self.bound)
        self.dim = self.layout.dim
        self.names = self.layout.names
        self.start_radius = self.layout.start_radius

    @functools.cached_property
    def _known(self) -> Known:
        return self._learnt(anew=False)

    def _learnt(self, *, anew: bool) -> Known:
        with self.scope(), self.plain_scope():
            return known(self._kind, self.bound, self.dtype, self._trace, anew=anew)

    @property
    def _kind(self) -> Any:
        """What its trace depends on besides the program and its data."""
        return type(self)

    @property
    def as_given(self) -> BoundModel:
        """The model with its data as the user gave them, which plain Python is run with."""
        return self.bound

    def retrace(self) -> None:
        """Forget what was made of the program before, in this process or another, and trace it anew."""
        of_trace = ("_known", "arguments", "_program", "_differentiated", "gradient", "_marked", "_facts", "group_dims")
        for name in (*of_trace, "program", "equations", "_jitted"):
            vars(self).pop(name, None)
        vars(self)["_known"] = self._learnt(anew=True)

    def _trace(self, *, collect: bool = False, wavering: list[float] | None = None) -> "Traced":
        from gradmc.program.tracing import trace

        return trace(self.bound, self.dtype, collect=collect, wavering=wavering)

    @property
    def traced(self) -> tuple[str, ...]:
        """The data that are `arguments`."""
        return self._known.traced

    @functools.cached_property
    def arguments(self) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Floating-point data arrays, arguments of `logdensity` and `expand`."""
        return tuple(as_argument(self.bound.data[name], self.dtype) for name in self.traced)

    @property
    def memory(self) -> Memo:
        """What was made of the program in this process."""
        return self._known.memory

    @property
    def shelf(self) -> Shelf | None:
        """What is kept of the program on disk."""
        return self.memory.shelf

    @functools.cached_property
    def _program(self) -> "Traced":
        with self.scope(), self.plain_scope():
            program: Traced = self.memory.remember(PROGRAM, lambda: self._trace().bare())
        if program.traced != self.traced:
            raise AssertionError(f"the trace has the arguments {program.traced}, not {self.traced} as before")
        return program.given(self.bound.data, self.dtype)

    def _data(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return {
            **self.bound.data,
            **dict(zip(self.traced, arguments, strict=True)),
        }

    def logdensity(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Float[Array, ""]:
        """Return the log density at x; pure, to be traced within `scope()`."""
        return self._differentiated(x, arguments)

    def _value(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Float[Array, ""]:
        values, factors, log_det = self.layout.factorised(x, self._data(arguments))
        return self._value_of(self._program, values, arguments, factors) + log_det

    def _value_of(
        self, program: "Traced", values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any]
    ) -> Any:
        """The log density of named parameters by a trace of the program, given the arguments of the density; pure."""
        return program.value(values, program.select(self._program, arguments), factors)

    def _marks_of(self, values: Mapping[str, Any], arguments: tuple[Any, ...], factors: Mapping[str, Any]) -> Any:
        """The log density of named parameters, the observed terms and the derived quantities; pure."""
        return self._marked.marks(values, self._marked.select(self._program, arguments), factors)

    @functools.cached_property
    def gradient(self) -> str:
        """How its gradient is computed: "forward" or "reverse"."""
        if self.bound.gradient != "auto":
            return self.bound.gradient
        from gradmc.program.differentiation import choose

        with self.scope():
            return choose(lambda x: self._value(x, self.arguments), jax.ShapeDtypeStruct((self.dim,), self.dtype)).mode

    @functools.cached_property
    def _differentiated(self) -> Callable[..., Any]:
        if self.gradient == "reverse":
            return self._value
        from gradmc.program.differentiation import by_forward_mode

        return by_forward_mode(self._value)

    def named(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> tuple[dict[str, Any], Float[Array, ""]]:
        """Return the parameters by name at x, and the log-determinant of the map; pure."""
        return self.layout.constrain(x, self._data(arguments))

    def plain_scope(self) -> AbstractContextManager[Any]:
        """A context in which the user's function, called as plain Python, returns this density."""
        return contextlib.nullcontext()

    def expand(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Expanded:
        """Return parameters, derived quantities and observed terms for one draw."""
        values, factors, _ = self.layout.factorised(x, self._data(arguments))
        value, observed, recorded = self._marks_of(values, arguments, factors)
        groups: Expanded = {"posterior": {**values, **recorded}}
        if observed:
            groups["log_likelihood"] = observed
            total = sum(
                (jnp.sum(terms) for terms in observed.values()),
                start=jnp.zeros((), self.dtype),
            )
            groups["log_prior"] = {"log_prior": value - total}
        return groups

    def unconstrained_by_name(self, x: Float[Array, "dim"]) -> dict[str, Any]:
        """Return the unconstrained coordinates of each parameter that is transformed; pure."""
        kept = {p.name for p in self.layout.parameters if not p.support.is_identity}
        return {name: part for name, part in self.layout.split(x).items() if name in kept}

    @functools.cached_property
    def _marked(self) -> "Traced":
        with self.scope(), self.plain_scope():
            marked = self.memory.remember("marked", lambda: self._trace(collect=True).bare())
        return marked.given(self.bound.data, self.dtype)

    @functools.cached_property
    def group_dims(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Names of the axes of every variable that `expand` returns, by group."""
        found = self._facts["group_dims"]
        return {group: {name: tuple(axes) for name, axes in variables.items()} for group, variables in found.items()}

    @functools.cached_property
    def _facts(self) -> dict[str, Any]:
        """What the results need to know of the trace, in the form in which it is kept on disk."""
        return self.memory.remember(FACTS, self._found_facts)

    def _found_facts(self) -> dict[str, Any]:
        dims = {group: {n: list(axes) for n, axes in of.items()} for group, of in self._group_dims().items()}
        told = {axis: labels for dims in self._marked.axes.values() for axis, labels in dims.items()}
        coords = {axis: list(labels) for axis, labels in told.items() if labels is not None}
        facts = {"group_dims": dims, "coords": coords}
        self._known.keep(facts)
        return facts

    def _group_dims(self) -> dict[str, dict[str, tuple[str, ...]]]:
        with self.scope():
            x = jax.ShapeDtypeStruct((self.dim,), self.dtype)
            shapes = jax.eval_shape(self.expand, x, self.arguments)
        return {
            group: {name: self._axes(name, tuple(leaf.shape)) for name, leaf in variables.items()}
            for group, variables in shapes.items()
        }

    @property
    def coords(self) -> dict[str, list[Any]]:
        """Labels along the named axes, those that `record` was told included."""
        return {**self.bound.coords, **self._facts["coords"]}

    def _axes(self, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Name a variable's axes: as `record` was told, as declared, or those of the data array of the same name where
        the sizes agree.
        """
        if name in self._marked.axes:
            return tuple(self._marked.axes[name])
        declared = self.bound.dims.get(name, ())
        datum = self.bound.data.get(name)
        known = datum.shape if isinstance(datum, np.ndarray) else shape  # lists that are left are ragged
        shared = 0
        while shared < min(len(known), len(shape)) and known[shared] == shape[shared]:
            shared += 1
        names = list(declared[:shared]) if shared in (len(known), len(shape)) else []
        return tuple(names + [f"{name}_dim_{axis}" for axis in range(len(names), len(shape))])

    def wavering(self, x: np.ndarray) -> float:
        """How far the log density moves if what plain Python computes to a tolerance only moves by that tolerance."""
        tolerances: list[float] = []
        with self.scope(), self.plain_scope():
            other = self._trace(wavering=tolerances)
            if not tolerances:
                return 0.0

            def values(x: Any) -> tuple[Any, Any]:
                named = self.layout.constrain(x, self._data(self.arguments))[0]
                return tuple(self._value_of(made, named, self.arguments, {}) for made in (self._program, other))

            value, moved = jax.jit(values)(jnp.asarray(x, self.dtype))
        return abs(float(value) - float(moved))

    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return self.layout.constrain(x, self._data(arguments))[0]

    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any:
        return self.layout.unconstrain(values, self._data(arguments))

    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any:
        if jacobian:
            return self.logdensity(self._unconstrain(values, arguments), arguments)
        return self._value_of(self._program, values, arguments, {})

    def _rounded(self, values: Any) -> Any:
        self.layout.check(values)
        return self.layout.rounded(values)

    def _check(self, values: Any) -> str | None:
        self.layout.check(values)
        if any(isinstance(value, Tracer) for value in values.values()):
            return None
        return self.layout.outside(values, self.bound.data)

    def with_precision(self, precision: Precision) -> "ProgramDensity":
        """The same density in another precision."""
        return type(self)(self.bound, dtype_of(precision))

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function."""
        return self.bound.model.fn

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parameters' shares of the flat vector, in order."""
        ends = np.cumsum([0, *self.layout.sizes])
        return tuple(
            Part(p.name, int(start), size, p.shape, "Real" if p.support.is_identity else p.support.label)
            for p, start, size in zip(self.layout.parameters, ends, self.layout.sizes, strict=False)
        )

    @functools.cached_property
    def program(self) -> "compiler.TracedJaxpr":
        """The program in the loop IR, a function of the parameters; all data are known."""
        return self._trace_equations()

    def _trace_equations(self) -> "compiler.TracedJaxpr":
        from gradmc.program import compiler

        with self.scope():
            values = tuple(jnp.zeros(p.shape, self.dtype) for p in self.bound.parameters)
            return compiler.trace(
                self.function,  # pyright: ignore[reportArgumentType]
                values,
                self.bound.data,
                max_loop_iterations=self.bound.max_loop_iterations,
            )

    @functools.cached_property
    def equations(self) -> Jaxpr:
        """The program as a jaxpr in the loop IR, a function of the parameters; what is not needed is cut."""
        from gradmc.program.middle.depends import prune

        jaxpr = self.program.jaxpr
        return prune(jaxpr, range(len(jaxpr.outvars)))

    def operands(self, x: Any, arguments: tuple[Any, ...]) -> list[Any]:
        """The parameters at unconstrained coordinates x, in order."""
        return list(self._constrain(x, arguments).values())

    def summands(self) -> Iterator[Summand]:
        """The terms of the program, by the lines that add them."""
        from gradmc.program.middle import lower
        from gradmc.program.middle.terms import alone, terms

        found = terms(self.equations)
        for term in found:
            where = term.location
            name = "elsewhere" if where is None else f"line {where.line}"
            with self.scope():
                yield Summand(name, where, term.times, lower(alone(self.equations, term, found)))

    def describe_failure(self, x: Any) -> str:
        """Say which term, line or parameter makes the log density or its gradient at x not finite."""
        from gradmc.program.failure import describe, terms_without_gradient

        x = np.asarray(x, dtype=self.dtype)
        value, gradient = self.value_and_grad(x)
        if np.isfinite(value) and np.all(np.isfinite(gradient)):
            return describe(self.bound, self.constrain(x), self.names, value, gradient)
        bad_terms: list[str] = []
        if np.isfinite(value):
            with self.scope():
                bad_terms = terms_without_gradient(self._observed, x)
        culprit = self.culprit(x, backward=bool(np.isfinite(value)))
        return describe(self.bound, self.constrain(x), self.names, value, gradient, bad_terms, culprit)

    def _observed(self, x: Any) -> dict[str, Any]:
        return self.expand(x, self.arguments).get("log_likelihood", {})


@explaining
def density(
    model: Model,
    data: Mapping[str, Any] | None = None,
    *,
    precision: Precision = "float64",
    max_loop_iterations: int = MAX_LOOP_ITERATIONS,
    gradient: Literal["auto", "forward", "reverse"] = "auto",
) -> Density:
    """Return the log density of a model with data.

    Args:
        model: a function declared with `@gm.model`.
        data: a value for every keyword-only argument of the model.
        precision: "float64" or "float32".
        max_loop_iterations: how many iterations, from 1 to 2**30, a loop may take that parameters end (`while x > tol`
            and the like); where it takes more, the log density is NaN, so that no draw lies there.
        gradient: "reverse" (cost independent of the number of parameters), "forward" (a derivative along each
            coordinate is carried along; for few parameters and long recurrences it takes less time, and hardly any
            memory), or "auto": by a count of operations, forward for at most three parameters and loops of at
            least 1,000 iterations, if that has at most 0.8 of the cost.

    Returns:
        The density on the flat unconstrained vector.

    Raises:
        DataError: the data do not fit the model.
        ProgramError: the program raises, or uses something that cannot be compiled.
        UsageError: the model, the precision or the gradient is something else, or `max_loop_iterations` outside its
            range.
    """
    if not isinstance(model, Model):
        hint = "; declare it with @gm.model" if callable(model) else ""
        raise UsageError(
            f"expected a model declared with @gm.model, got {model!r} of type {type(model).__name__}{hint}"
        )
    if gradient not in ("auto", "forward", "reverse"):
        raise UsageError(f'gradient must be "auto", "forward" or "reverse"; got {gradient!r}')
    bound = dataclasses.replace(bounded(model.bind(data), max_loop_iterations), gradient=gradient)
    made = ProgramDensity(bound, dtype_of(precision))
    if made.bound.gaps:
        _refuse_unused(made)
    return made


def _refuse_unused(density: ProgramDensity) -> None:
    """Refuse missing data that the density does not depend on: nothing would be known of them.

    Raises:
        DataError: the derivative by a missing entry is 0 wherever it is looked at.
    """
    last = len(density.bound.parameters) - len(density.bound.gaps)
    rng = np.random.default_rng(0)
    points = [rng.uniform(-1.0, 1.0, density.dim) * density.start_radius for _ in range(2)]
    with density.scope():
        by_value = jax.jit(jax.grad(lambda values: density.log_density(values)))
        slopes = [by_value(jax.tree.map(jnp.asarray, density.constrain(x))) for x in points]
    for name, parameter in zip(density.bound.gaps, density.bound.parameters[last:], strict=True):
        idle = np.all([np.asarray(slope[parameter.name]) == 0.0 for slope in slopes], axis=0)
        if idle.any():
            labels = np.asarray(density.bound.coords[parameter.dims[0]], object)[idle]
            raise DataError(
                f"model {density.bound.model.name}: the density does not depend on the missing entries of {name} at "
                f"{', '.join(map(str, labels[:5]))}: give missing entries a density as the others have one "
                f"(normal({name}[i], mean, sd)), or leave them out"
            )


def bounded(bound: BoundModel, max_loop_iterations: int) -> BoundModel:
    """The model with a bound to the iterations of loops that parameters end.

    Raises:
        UsageError: the bound is outside its range.
    """
    check_whole("max_loop_iterations", max_loop_iterations, 1, MOST_LOOP_ITERATIONS)
    return dataclasses.replace(bound, max_loop_iterations=max_loop_iterations)
