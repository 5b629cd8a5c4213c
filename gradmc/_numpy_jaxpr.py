"""A small jaxpr evaluated in NumPy, without XLA.

XLA takes tens of milliseconds to compile the smallest function, so what is called once or twice (a log density on plain
floats, the map to the parameters) is evaluated by NumPy where NumPy has all of its operations.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal  # pyright: ignore[reportPrivateImportUsage]

type Operation = Callable[..., Any]

PLAIN: dict[str, Operation] = {
    "abs": np.abs,
    "add": np.add,
    "add_any": np.add,
    "and": np.bitwise_and,
    "atan2": np.arctan2,
    "ceil": np.ceil,
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "copy": np.asarray,
    "copy_p": np.asarray,
    "cos": np.cos,
    "cosh": np.cosh,
    "eq": np.equal,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "ge": np.greater_equal,
    "gt": np.greater,
    "is_finite": np.isfinite,
    "le": np.less_equal,
    "log": np.log,
    "log1p": np.log1p,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "stop_gradient": np.asarray,
    "sub": np.subtract,
    "tan": np.tan,
    "tanh": np.tanh,
    "xor": np.bitwise_xor,
}
"""Operations without parameters that matter."""

SPECIAL = {"digamma": "digamma", "erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "logistic": "expit"}
"""Operations that scipy.special has; it is imported when one is met, since that takes a tenth of a second."""
REDUCTIONS: dict[str, Operation] = {
    "reduce_and": np.all,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_or": np.any,
    "reduce_sum": np.sum,
}
CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}


def in_numpy(closed: ClosedJaxpr, most: int | None = None) -> Callable[..., list[Any]] | None:
    """A jaxpr as a function of NumPy arrays; None where NumPy lacks an operation, or there are more than `most`."""
    if most is not None and _length(closed.jaxpr) > most:
        return None
    run = _steps(closed.jaxpr, closed.consts)
    if run is None:
        return None

    def call(*arguments: Any) -> list[Any]:
        with np.errstate(all="ignore"):
            return run(arguments)

    return call


def _length(body: Jaxpr, given: Sequence[bool] | None = None) -> int:
    """The number of equations that depend on those inputs that are given, by default all."""
    moving = {v for v, moves in zip(body.invars, given or [True] * len(body.invars), strict=True) if moves}
    count = 0
    for eqn in body.eqns:
        inputs = [not isinstance(atom, Literal) and atom in moving for atom in eqn.invars]
        if any(inputs):
            moving.update(eqn.outvars)
            called = _body(eqn)
            count += 1 if called is None else _length(called.jaxpr, inputs)
    return count


def _body(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """What an equation calls, if it does nothing else."""
    called = eqn.params.get(CALLS.get(eqn.primitive.name, ""))
    return called if called is None or isinstance(called, ClosedJaxpr) else ClosedJaxpr(called, ())


def _steps(body: Jaxpr, consts: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]] | None:
    places: dict[Any, int] = {}

    def place(variable: Any) -> int:
        return places.setdefault(variable, len(places))

    fixed: dict[int, Any] = {}

    def read(atom: Any) -> int:
        if isinstance(atom, Literal):
            at = len(places)
            places[object()] = at
            fixed[at] = np.asarray(atom.val, atom.aval.dtype)[()]  # pyright: ignore[reportAttributeAccessIssue]
            return at
        return place(atom)

    fixed |= {place(v): np.asarray(c) for v, c in zip(body.constvars, consts, strict=True)}
    given = [place(v) for v in body.invars]
    program: list[tuple[Operation, list[int], list[int]]] = []
    for eqn in body.eqns:
        operation = _operation(eqn)
        if operation is None:
            return None
        operands, made = [read(a) for a in eqn.invars], [place(v) for v in eqn.outvars]
        if all(at in fixed for at in operands):  # a constant
            with np.errstate(all="ignore"):
                out = operation(*(fixed[at] for at in operands))
            fixed |= dict(zip(made, [out] if len(made) == 1 else out, strict=True))
        else:
            program.append((operation, operands, made))
    results = [read(a) for a in body.outvars]
    size = len(places)

    def run(arguments: Sequence[Any]) -> list[Any]:
        values: list[Any] = [None] * size
        for at, value in fixed.items():
            values[at] = value
        for at, value in zip(given, arguments, strict=True):
            values[at] = value
        for operation, operands, made in program:
            out = operation(*(values[k] for k in operands))
            if len(made) == 1:
                values[made[0]] = out
            else:
                for at, value in zip(made, out, strict=True):
                    values[at] = value
        return [values[at] for at in results]

    return run


def _operation(eqn: JaxprEqn) -> Operation | None:
    name, params = eqn.primitive.name, eqn.params
    if name in PLAIN:
        return PLAIN[name]
    if name in SPECIAL:
        return getattr(importlib.import_module("scipy.special"), SPECIAL[name])
    if name in REDUCTIONS:
        reduce, axes = REDUCTIONS[name], tuple(params["axes"])
        return lambda x: reduce(x, axis=axes)
    if (called := _body(eqn)) is not None:
        return _call(called, len(eqn.outvars))
    real = all(a.aval.dtype.kind == "f" for a in eqn.invars)  # pyright: ignore[reportAttributeAccessIssue]
    match name:
        case "div" if real:
            return np.divide
        case "pow" if real:
            return np.power
        case "integer_pow" if real:
            return lambda x: np.power(x, float(params["y"]))
        case "select_n" if len(eqn.invars) == 3:
            return lambda which, no, yes: np.where(which, yes, no)
        case "convert_element_type":
            return lambda x: np.asarray(x).astype(params["new_dtype"])
        case "broadcast_in_dim":
            return _broadcast(tuple(params["shape"]), tuple(params["broadcast_dimensions"]))
        case "squeeze":
            return lambda x: np.squeeze(x, axis=tuple(params["dimensions"]))
        case "reshape" if params.get("dimensions") is None:
            return lambda x: np.reshape(x, params["new_sizes"])
        case "concatenate":
            return lambda *xs: np.concatenate(xs, axis=params["dimension"])
        case "stack":
            return lambda *xs: np.stack(xs, axis=params["axis"])
        case "split":
            ends = np.cumsum(params["sizes"])[:-1].tolist()
            return lambda x: np.split(x, ends, axis=params["axis"])
        case "slice" if params["strides"] is None:
            where = tuple(map(slice, params["start_indices"], params["limit_indices"]))
            return lambda x: x[where]
        case "iota" if not eqn.invars:
            made = np.arange(math.prod(params["shape"]), dtype=params["dtype"])
            return (lambda: made) if len(params["shape"]) == 1 else None
        case "cumsum" | "cumprod":
            return lambda x: _cumulative(getattr(np, name), x, params)
        case "pad" if all(low >= 0 and high >= 0 and not inner for low, high, inner in params["padding_config"]):
            widths = [(low, high) for low, high, _ in params["padding_config"]]
            return lambda x, value: np.pad(x, widths, constant_values=value)
    return None


def _cumulative(function: Operation, x: Any, params: Any) -> Any:
    along = np.flip(x, params["axis"]) if params["reverse"] else x
    made = function(along, axis=params["axis"])
    return np.flip(made, params["axis"]) if params["reverse"] else made


def _call(called: ClosedJaxpr, count: int) -> Operation | None:
    run = _steps(called.jaxpr, called.consts)
    if run is None:
        return None
    return (lambda *given: run(given)[0]) if count == 1 else (lambda *given: run(given))


def _broadcast(shape: tuple[int, ...], dimensions: tuple[int, ...]) -> Operation:
    def broadcast(x: Any, *sizes: Any) -> Any:
        del sizes
        spread = [1] * len(shape)
        for at, size in zip(dimensions, np.shape(x), strict=True):
            spread[at] = size
        return np.broadcast_to(np.reshape(x, spread), shape)

    return broadcast
