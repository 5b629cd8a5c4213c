"""A model: an annotated function.

Positional arguments are parameters, and each annotation is a support; keyword-only arguments are data.
`@model` reads the signature once and reports what is wrong with it at the definition, long before anything is
traced. The function itself stays as it is: calling the model calls it, on floats, as ordinary Python.
"""

import importlib
import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, SupportsIndex

from gradmc.errors import DeclarationError
from gradmc.markup import element, table
from gradmc.program.binding import BoundModel, bind
from gradmc.program.data import KINDS, MISSING, DataAnnotation, DataField, declared
from gradmc.program.declaration import Declaration, Parameter
from gradmc.program.dims import RESERVED
from gradmc.program.fingerprint import digest
from gradmc.program.raising import is_of_program
from gradmc.program.support import Support, bound_names
from gradmc.program.travelling import Travelling

SUPPORTS = (
    "Real, Positive, Negative, UnitInterval, Interval(lo, hi), Simplex, Ordered, PositiveOrdered, ZeroSum, "
    "CholeskyCorr, Correlation, CholeskyCov, Covariance, UnitVector, Circular"
)


@dataclass(frozen=True, eq=False, repr=False)
class Model(Declaration, Travelling):
    """A declared model. Calling it calls the plain function.

    To those who look at it, it is a function: it has the name, docstring and signature of the plain function, is equal
    to itself alone, and is not copied. It is pickled by value, with its source, so that it travels to processes that do
    not have its file (`gradmc.program.parcel`); unpickled where it is, it is itself.
    """

    def __post_init__(self) -> None:
        names = ("__module__", "__name__", "__qualname__", "__doc__")
        vars(self).update({name: getattr(self.fn, name) for name in names} | {"__wrapped__": self.fn})

    def __call__(self, *parameters: Any, **data: Any) -> Any:
        """Call the plain function."""
        return self.fn(*parameters, **data)

    def __repr__(self) -> str:
        return f"<model {self.name}{inspect.signature(self.fn)}>"

    def _repr_html_(self) -> str:
        parameters = [(p.name, repr(p.support)) for p in self.parameters]
        data = [
            (field.name, declared(field), "needed" if field.required else f"{field.default!r} by default")
            for field in self.data
        ]
        parts = [element("b", self.name), element("div", inspect.getdoc(self.fn) or "", style="white-space:pre-wrap")]
        parts.append(table(("parameter", "support"), parameters, "Parameters"))
        if data:
            parts.append(table(("data", "declared as", ""), data, "Data"))
        parts.append(element("div", "With a simulator." if self.simulate is not None else "Without a simulator."))
        return element("div", *parts)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # By value, unless whoever unpickles it has the very same at its name already: then that.
        make, (parcel,) = super().__reduce_ex__(protocol)
        return _received, (self.fn.__module__, self.fn.__qualname__, self.digest, make, parcel)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "gradmc.Model", self.digest or uuid.uuid4().hex

    @property
    def digest(self) -> str | None:
        """A text that is the same for the same program, in other processes too: its code and that of its simulator, and
        all that their names mean. None for what cannot be compared (a program that uses files, say).
        """
        return digest(self.name, self.fn, self.parameters, self.data, self._simulators)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def simulator(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Attach a simulator (use as a decorator).

        Args:
            fn: `(rng, *parameters, **data) -> dict`, where `rng` has the methods of `numpy.random.Generator`;
                the keys name what is simulated, as a rule data arrays.

        Returns:
            `fn` unchanged.

        Raises:
            DeclarationError: the arguments of `fn` are not `rng`, the model's parameters in order, and data.
        """
        _check_simulator(self, fn)
        self._simulators.append(fn)
        return fn

    def bind(self, data: Mapping[str, Any] | None = None) -> BoundModel:
        """Check data against the declaration and infer all sizes.

        Args:
            data: one entry for every keyword-only argument without default. A key that names a dimension
                gives the labels along it, which become coordinates of the results.

        Returns:
            The bound model: data in standard form, parameters with their shapes.

        Raises:
            DataError: something is missing, unknown, of the wrong shape or type, or not finite.
        """
        return bind(self, {} if data is None else data)

    def bind_simulator(self, data: Mapping[str, Any] | None = None) -> BoundModel:
        """As `bind`, but what the simulator does not ask for may be left out.

        Raises:
            UsageError: there is no simulator.
            DataError: as `bind`.
        """
        arguments = inspect.signature(self.required_simulator()).parameters.values()
        needed = {argument.name for argument in arguments}
        if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            needed |= {entry.name for entry in self.data}
        return bind(self, {} if data is None else data, needed)


def _received(module: str, name: str, told: str | None, make: Callable[[Any], Model], parcel: Any) -> Model:
    """A model that was pickled: the one at its name, if that is the same, or the one in the parcel."""
    try:
        here = vars(importlib.import_module(module)).get(name)
    except Exception:  # whatever goes wrong where a module of this name is imported here
        here = None
    if isinstance(here, Model) and told is not None and here.digest == told:
        return here
    return make(parcel)


def model(fn: Callable[..., Any]) -> Model:
    """Declare a model: a function that returns a log density (use as a decorator).

    Positional arguments are parameters, annotated with their supports; keyword-only arguments are data,
    annotated with `Data[...]`, with a plain type, or not at all. The density is with respect to the
    parameters as declared; Jacobians of their transformations are added by gradmc.

    Args:
        fn: the function.

    Returns:
        The declared model.

    Raises:
        DeclarationError: the signature does not declare a model.
    """
    if isinstance(fn, Model):
        return fn
    if not inspect.isfunction(fn):
        raise DeclarationError(
            f"@gm.model expects a plain function, got {fn!r} of type {type(fn).__name__}; "
            "write @gm.model above the def, without brackets; for a method, a functools.partial or another object that "
            "can be called, write a function that calls it"
        )
    if inspect.isgeneratorfunction(fn) or inspect.iscoroutinefunction(fn):
        raise DeclarationError(f"{_where(fn)}: expected a plain function, got a generator or coroutine")
    parameters: list[Parameter] = []
    data: list[DataField] = []
    for argument in inspect.signature(fn).parameters.values():
        if argument.kind is inspect.Parameter.KEYWORD_ONLY:
            data.append(_data_field(fn, argument))
        else:
            parameters.append(_parameter(fn, argument))
    if not parameters:
        raise DeclarationError(
            f"{_where(fn)}: no parameters; write them as positional arguments before the *, each annotated "
            f"with its support: {SUPPORTS}"
        )
    found = Model(fn.__name__, fn, tuple(parameters), tuple(data), _first_paragraph(fn))
    _check_names(found)
    _check_bounds(found)
    return found


def _parameter(fn: Callable[..., Any], argument: inspect.Parameter) -> Parameter:
    where, name = _where(fn), argument.name
    if argument.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise DeclarationError(f"{where}: *{name} cannot be declared; name every parameter and every datum")
    if argument.default is not inspect.Parameter.empty:
        raise DeclarationError(
            f"{where}: the parameter {name!r} has a default value, which has no meaning; if it is a datum, "
            "write it after the *"
        )
    annotation = _annotation(fn, argument)
    if annotation is inspect.Parameter.empty:
        raise DeclarationError(
            f"{where}: the parameter {name!r} has no support; annotate it, for example `{name}: Real`. "
            f"Supports: {SUPPORTS}. If it is a datum, write it after the *"
        )
    if isinstance(annotation, DataAnnotation):
        raise DeclarationError(
            f"{where}: {name!r} is annotated as data but stands among the parameters; write it after the *"
        )
    if not isinstance(annotation, Support):
        call = " (call it: Interval(lo, hi))" if getattr(annotation, "__name__", "") == "Interval" else ""
        raise DeclarationError(
            f"{where}: the annotation of the parameter {name!r} must be a support, got {annotation!r}{call}. "
            f"Supports: {SUPPORTS}"
        )
    if len(annotation.shape) < annotation.subscripts:
        raise DeclarationError(
            f"{where}: {annotation.label} needs its size in brackets, for example `{name}: "
            f"{annotation.label}[3]` or "
            f'`{name}: {annotation.label}["K"]`'
        )
    return Parameter(name, annotation)


def _data_field(fn: Callable[..., Any], argument: inspect.Parameter) -> DataField:
    annotation = _annotation(fn, argument)
    if isinstance(annotation, Support):
        raise DeclarationError(
            f"{_where(fn)}: {argument.name!r} has the support {annotation!r} but stands among the data; "
            "write parameters before the *"
        )
    default = MISSING if argument.default is inspect.Parameter.empty else argument.default
    shape = annotation.shape if isinstance(annotation, DataAnnotation) else None
    kind = annotation if isinstance(annotation, type) and annotation in KINDS else None
    gaps = annotation.gaps if isinstance(annotation, DataAnnotation) else None
    return DataField(argument.name, shape, kind, default, gaps)


def _annotation(fn: Callable[..., Any], argument: inspect.Parameter) -> Any:
    """Return the annotation, evaluated where it is a string (`from __future__ import annotations`)."""
    annotation = argument.annotation
    if not isinstance(annotation, str):
        return annotation
    scope = dict(inspect.getclosurevars(fn).nonlocals)
    try:
        return eval(annotation, fn.__globals__, scope)
    except DeclarationError as error:
        raise DeclarationError(f"{_where(fn)}: the annotation of {argument.name!r}: {error}") from None
    except BaseException as error:
        if not is_of_program(error):
            raise
        raise DeclarationError(
            f"{_where(fn)}: the annotation {annotation!r} of {argument.name!r} cannot be evaluated "
            f"({type(error).__name__}: {error}); with `from __future__ import annotations`, supports must be "
            "imported at the top of the module"
        ) from None


def _check_names(found: Model) -> None:
    """Refuse names that collide with ArviZ's dimensions or with the model's own."""
    where = _where(found.fn)
    dimensions = {
        size.dimension
        for shape in [p.support.shape for p in found.parameters] + [d.shape or () for d in found.data]
        for size in shape
    }
    arrays = {d.name for d in found.data if d.shape is not None}
    for name in [p.name for p in found.parameters] + [d.name for d in found.data]:
        if name in RESERVED:
            raise DeclarationError(
                f"{where}: the name {name!r} is reserved by ArviZ for its own dimensions "
                f"({', '.join(RESERVED)}); rename the argument"
            )
    for parameter in found.parameters:
        if parameter.name in dimensions:
            raise DeclarationError(
                f"{where}: {parameter.name!r} names both a parameter and a dimension; rename one of them"
            )
    for name in sorted(arrays & {dimension for dimension in dimensions if dimension}):
        raise DeclarationError(
            f"{where}: {name!r} names both a data array and a dimension; rename one of them (labels of a "
            "dimension are passed among the data under its name, without an argument)"
        )


def _check_bounds(found: Model) -> None:
    """Check that bounds refer to data and to earlier parameters only."""
    known = {field.name for field in found.data}
    later = [parameter.name for parameter in found.parameters]
    for parameter in found.parameters:
        for bound in parameter.support.bounds:
            for name in bound_names(bound, f"{_where(found.fn)}: {parameter.name}: {parameter.support!r}"):
                if name in known:
                    continue
                reason = (
                    "comes later; declare it before" if name in later else "is neither a datum nor an earlier parameter"
                )
                raise DeclarationError(
                    f"{_where(found.fn)}: a bound of the parameter {parameter.name!r} depends on {name!r}, "
                    f"which {reason}"
                )
        known.add(parameter.name)
        later.remove(parameter.name)


def _check_simulator(found: Model, fn: Callable[..., Any]) -> None:
    if not inspect.isfunction(fn):
        raise DeclarationError(f"@{found.name}.simulator expects a function, got {fn!r}")
    signature = inspect.signature(fn).parameters.values()
    positional = [a.name for a in signature if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    expected = [parameter.name for parameter in found.parameters]
    if any(a.kind is a.VAR_POSITIONAL for a in signature):
        expected = positional[1:]
    if not positional or positional[1:] != expected:
        raise DeclarationError(
            f"{_where(fn)}: a simulator of {found.name} takes (rng, "
            f"{', '.join(p.name for p in found.parameters)}) as "
            f"positional arguments, got ({', '.join(positional)})"
        )
    known = {field.name for field in found.data}
    for argument in signature:
        if argument.kind is argument.KEYWORD_ONLY and argument.name not in known:
            raise DeclarationError(
                f"{_where(fn)}: the simulator asks for {argument.name!r}, which is not among the data of "
                f"{found.name} ({', '.join(sorted(known)) or 'it has none'})"
            )


def _where(fn: Callable[..., Any]) -> str:
    code = fn.__code__
    return f"{code.co_filename}:{code.co_firstlineno}, model {fn.__name__}"


def _first_paragraph(fn: Callable[..., Any]) -> str:
    return (inspect.getdoc(fn) or "").split("\n\n")[0]
