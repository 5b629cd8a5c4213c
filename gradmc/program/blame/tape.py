"""A program evaluated at one point, operation by operation.

The loop IR is run eagerly: loops turn by turn, of a branch the side that is taken. Every operation leaves an
`Operation` with its operands and results. JAX's own loops and branches, of densities that do not come from a gradmc
program, are run in the same way. The compiled program is another program (vectorised, with guarded branches), so a tape
is only asked where the compiled program has gone wrong.
"""

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.blame.origin import NOWHERE, Origin, is_users, origin

MOST_ENTRIES = 60_000

NUMPY: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.bitwise_and,
    "ceil": np.ceil,
    "copy": np.asarray,
    "cos": np.cos,
    "div": lambda a, b: np.divide(a, b) if a.dtype.kind == "f" else None,
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
    "pow": lambda a, b: np.power(a, b) if b.dtype.kind == "f" else None,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "square": np.square,
    "stop_gradient": np.asarray,
    "sub": np.subtract,
    "tanh": np.tanh,
}
"""Operations that NumPy does a hundred times faster than JAX does one by one; None means: not in this case."""


class TooLong(Exception):
    """The program takes more operations than a tape holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation: its name, operands and results with the numbers of the values, and where it comes from."""

    name: str
    apply: Callable[..., Any]
    inputs: tuple[Any, ...]
    sources: tuple[int, ...]
    outputs: tuple[Any, ...]
    results: tuple[int, ...]
    at: Origin


@dataclass(slots=True)
class Tape:
    """The operations of one evaluation, in order. Value 0 is any constant."""

    entries: list[Operation] = field(default_factory=list)
    values: int = 1
    makers: dict[int, Operation] = field(default_factory=dict)
    result: tuple[Any, int] = (None, 0)
    places: dict[JaxprEqn, Origin] = field(default_factory=dict)

    def fresh(self) -> int:
        """A number for a new value."""
        self.values += 1
        return self.values - 1

    def run(self, body: Jaxpr, inputs: Sequence[tuple[Any, int]], outer: Origin | None = None) -> list[tuple[Any, int]]:
        """Run a jaxpr on values with their numbers."""
        env: dict[Var, tuple[Any, int]] = {v: (c, 0) for v, c in zip(body.constvars, body.consts, strict=True)}
        env |= zip(body.invars, inputs, strict=True)

        def read(atom: Any) -> tuple[Any, int]:
            return (np.asarray(atom.val, atom.aval.dtype), 0) if isinstance(atom, Literal) else env[atom]  # pyright: ignore[reportAttributeAccessIssue]

        for eqn in body.eqns:
            if eqn not in self.places:
                self.places[eqn] = origin(eqn)
            at = outer or self.places[eqn]
            env |= zip(eqn.outvars, self._equation(eqn, [read(a) for a in eqn.invars], at), strict=True)
        return [read(a) for a in body.outvars]

    def _equation(self, eqn: JaxprEqn, given: list[tuple[Any, int]], at: Origin) -> list[tuple[Any, int]]:
        params = eqn.params
        if eqn.primitive is ir.for_p:
            return self._for(params, given)
        if eqn.primitive is ir.while_p:
            n = params["n_consts"]
            carry = given[n:]
            steps = itertools.repeat(None) if params["max_steps"] is None else range(params["max_steps"])
            for _ in steps:
                if not bool(self.run(params["cond"], [*given[:n], *carry])[0][0]):
                    break
                carry = self.run(params["body"], [*given[:n], *carry])
            return carry
        if eqn.primitive is ir.if_p:
            return self._side(params["then" if bool(given[0][0]) else "otherwise"], given[1:], at)
        if eqn.primitive is jp.jit_p:
            return self.run(params["jaxpr"], given, None if is_users(params["jaxpr"]) else at)
        if eqn.primitive is jp.scan_p:
            return self._scan(eqn, given)
        if eqn.primitive is jp.while_p:
            return self._jax_while(params, given)
        if eqn.primitive is jp.cond_p:
            branch = int(np.clip(given[0][0], 0, len(params["branches"]) - 1))
            return self._side(params["branches"][branch], given[1:], at)
        return self._operation(eqn, given, at)

    def _side(self, body: Jaxpr, given: list[tuple[Any, int]], at: Origin) -> list[tuple[Any, int]]:
        """The side of a branch that is taken; constants in it that are not finite are the branch's doing."""
        out = self.run(body, given)
        return [(v, s) if s or finite(v) else self._record("if", jnp.asarray, [(v, s)], at)[0] for v, s in out]

    def _for(self, params: dict[str, Any], given: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
        body, n, m = params["body"], params["n_consts"], params["n_carry"]
        carry, rows = given[n:], []
        for i in range(params["length"]):
            out = self.run(body, [(np.asarray(i, body.invars[0].aval.dtype), 0), *given[:n], *carry])
            carry = out[:m]
            rows.append(out[m:])
        return [*carry, *self._stacked(rows, body.outvars[m:])]

    def _stacked(self, rows: list[list[tuple[Any, int]]], outvars: Sequence[Any]) -> list[tuple[Any, int]]:
        """What a loop stacks along its turns."""
        stacked = []
        for k, v in enumerate(outvars):
            column = [row[k] for row in rows]
            if not column:
                stacked.append((np.zeros((0, *v.aval.shape), v.aval.dtype), 0))
                continue
            stacked += self._record("stack", lambda *a: jnp.stack(a), column, NOWHERE)
        return stacked

    def _scan(self, eqn: JaxprEqn, given: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
        body, length = eqn.params["jaxpr"], eqn.params["length"]
        first, m = scan_layout(eqn)
        n = first - m
        carry, rows = given[n:first], []
        for i in reversed(range(length)) if eqn.params["reverse"] else range(length):
            row = [
                self._record("index", operator.itemgetter(i), [x], NOWHERE, np.asarray(x[0])[i])[0]
                for x in given[first:]
            ]
            out = self.run(body, [*given[:n], *carry, *row])
            carry = out[:m]
            rows.append(out[m:])
        return [*carry, *self._stacked(rows[::-1] if eqn.params["reverse"] else rows, body.outvars[m:])]

    def _jax_while(self, params: dict[str, Any], given: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
        n, m = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        carry = given[m:]
        while bool(self.run(params["cond_jaxpr"], [*given[:n], *carry])[0][0]):
            carry = self.run(params["body_jaxpr"], [*given[n:m], *carry])
        return carry

    def _operation(self, eqn: JaxprEqn, given: list[tuple[Any, int]], at: Origin) -> list[tuple[Any, int]]:
        bind = eqn.primitive.get_bind_params(eqn.params)

        def apply(*values: Any) -> Any:
            return eqn.primitive.bind(*values, **bind)

        quick = _quickly(eqn, [value for value, _ in given])
        if eqn.primitive is ir.load_p:
            return self._record("load", ir.load_plain, given, at, quick)
        if eqn.primitive is ir.store_p:
            return self._record("store", ir.store_plain, given, at)
        return self._record(eqn.primitive.name, apply, given, at, quick)

    def _record(
        self,
        name: str,
        apply: Callable[..., Any],
        given: Sequence[tuple[Any, int]],
        at: Origin,
        quick: Any = None,
    ) -> list[tuple[Any, int]]:
        inputs = tuple(value for value, _ in given)
        out = apply(*(jnp.asarray(v) for v in inputs)) if quick is None else quick
        outputs = tuple(out) if isinstance(out, list | tuple) else (out,)
        results = tuple(self.fresh() for _ in outputs)
        if len(self.entries) >= MOST_ENTRIES:
            raise TooLong
        entry = Operation(name, apply, inputs, tuple(s for _, s in given), outputs, results, at)
        self.entries.append(entry)
        self.makers |= dict.fromkeys(results, entry)
        return list(zip(outputs, results, strict=True))


def scan_layout(eqn: JaxprEqn) -> tuple[int, int]:
    """Of JAX's `scan`: the position of the first operand that is read row by row, and the number of carried values.

    Rows have one axis less than their array; carried values have the same shape inside and outside.
    """
    body = eqn.params["jaxpr"]
    return _first_row(eqn.invars, body.invars), _first_row(eqn.outvars, body.outvars)


def _first_row(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    pairs = enumerate(zip(outside, inside, strict=True))
    return next((k for k, (a, b) in pairs if a.aval.ndim != b.aval.ndim), len(inside))


def _quickly(eqn: JaxprEqn, values: Sequence[Any]) -> Any:
    """The result of a simple operation by NumPy, or None."""
    name, kinds = eqn.primitive.name, {np.asarray(v).dtype.kind for v in values}
    values = [np.asarray(v) for v in values]
    if not kinds <= set("fiub"):
        return None
    with np.errstate(all="ignore"):
        if name == "integer_pow":
            return values[0] ** eqn.params["y"] if kinds == {"f"} else None
        if name == "convert_element_type":
            target = eqn.params["new_dtype"]
            return values[0].astype(target) if kinds <= set("iub") or np.dtype(target).kind == "f" else None
        if name == "select_n" and len(values) == 3 and values[0].dtype.kind == "b":
            return np.where(values[0], values[2], values[1])
        if name == "load" and all(v.ndim == 0 for v in values[1:]):
            index = tuple(int(v) for v in values[1:])
            inside = all(-n <= i < n for i, n in zip(index, values[0].shape, strict=False))
            return values[0][index] if inside else None
        rule = NUMPY.get(name)
        return None if rule is None else rule(*values)


def record(body: Jaxpr, inputs: Sequence[Any]) -> Tape:
    """Evaluate a program at a point; its inputs are numbered 1, 2, ... in order."""
    tape = Tape()
    numbered = [(np.asarray(value), tape.fresh()) for value in inputs]
    tape.result = tape.run(body, numbered)[0]
    return tape


def pull(entry: Operation, moving: Sequence[int], given: Sequence[Any]) -> Sequence[Any]:
    """Cotangents of some operands of an entry, given those of its results."""

    def along(*values: Any) -> Any:
        operands = [jnp.asarray(v) for v in entry.inputs]
        for k, v in zip(moving, values, strict=True):
            operands[k] = v
        out = entry.apply(*operands)
        return tuple(out) if isinstance(out, list | tuple) else (out,)

    out, back = jax.vjp(along, *(jnp.asarray(entry.inputs[k]) for k in moving))
    full = [_like(o, c) for o, c in zip(out, given, strict=True)]
    return back(tuple(full))


def _like(out: Any, cotangent: Any) -> Any:
    if not is_real(out):
        return np.zeros(np.shape(out), jax.dtypes.float0)
    return jnp.zeros_like(out) if cotangent is None else jnp.asarray(cotangent, out.dtype)


def finite(value: Any) -> bool:
    """Whether an array has no entry that is NaN or infinite."""
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.all(np.isfinite(array)))


def is_real(value: Any) -> bool:
    """Whether an array holds real numbers."""
    return np.asarray(value).dtype.kind == "f"
