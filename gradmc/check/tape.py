"""A program evaluated at one point, operation by operation, and the operation at which things went wrong.

The loop IR is run eagerly: loops turn by turn, of a branch the side that is taken. Every operation leaves an
`Entry` with its operands and results. From a result that is not finite, `forward_culprit` walks back along
operands that are not finite to the first operation that made one; `backward_culprit` runs reverse mode along
the entries to the first operation whose derivative is not finite. The compiled program is another program
(vectorised, with guarded branches), so a tape is only asked where the compiled program has gone wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.check.where import NOWHERE, Origin, origin
from gradmc.program import ir

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
class Entry:
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

    entries: list[Entry] = field(default_factory=list)
    values: int = 1
    makers: dict[int, Entry] = field(default_factory=dict)
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
            while bool(self.run(params["cond"], [*given[:n], *carry])[0][0]):
                carry = self.run(params["body"], [*given[:n], *carry])
            return carry
        if eqn.primitive is ir.if_p:
            out = self.run(params["then" if bool(given[0][0]) else "otherwise"], given[1:])
            return [(v, s) if s or _finite(v) else self._record("if", jnp.asarray, [(v, s)], at)[0] for v, s in out]
        if eqn.primitive is jp.jit_p:
            return self.run(params["jaxpr"], given, at)
        return self._operation(eqn, given, at)

    def _for(self, params: dict[str, Any], given: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
        body, n, m = params["body"], params["n_consts"], params["n_carry"]
        carry, rows = given[n:], []
        for i in range(params["length"]):
            out = self.run(body, [(np.asarray(i, body.invars[0].aval.dtype), 0), *given[:n], *carry])
            carry = out[:m]
            rows.append(out[m:])
        stacked = []
        for k, v in enumerate(body.outvars[m:]):
            column = [row[k] for row in rows]
            if not column:
                stacked.append((np.zeros((0, *v.aval.shape), v.aval.dtype), 0))
                continue
            stacked += self._record("stack", lambda *a: jnp.stack(a), column, NOWHERE)
        return [*carry, *stacked]

    def _operation(self, eqn: JaxprEqn, given: list[tuple[Any, int]], at: Origin) -> list[tuple[Any, int]]:
        bind = eqn.primitive.get_bind_params(eqn.params)

        def apply(*values: Any) -> Any:
            return eqn.primitive.bind(*values, **bind)

        quick = _quickly(eqn, [value for value, _ in given])

        if eqn.primitive is ir.load_p:
            return self._record("load", ir.load_plain, given, at, _quickly(eqn, [value for value, _ in given]))
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
        entry = Entry(name, apply, inputs, tuple(s for _, s in given), outputs, results, at)
        self.entries.append(entry)
        self.makers |= dict.fromkeys(results, entry)
        return list(zip(outputs, results, strict=True))


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


@dataclass(frozen=True, slots=True)
class Culprit:
    """The operation that went wrong: its name, its place, and the operands at the entry that did."""

    name: str
    at: Origin
    operands: tuple[float, ...]
    backward: bool = False


def record(body: Jaxpr, inputs: Sequence[Any]) -> Tape:
    """Evaluate a program at a point; its inputs are numbered 1, 2, ... in order."""
    tape = Tape()
    numbered = [(np.asarray(value), tape.fresh()) for value in inputs]
    tape.result = tape.run(body, numbered)[0]
    return tape


def forward_culprit(tape: Tape) -> Culprit | None:
    """The first operation that made the result's NaN or infinity out of finite numbers."""
    value, number = tape.result
    while number in tape.makers and not _finite(value):
        entry = tape.makers[number]
        operands = list(zip(entry.inputs, entry.sources, strict=True))
        if entry.name == "select_n" and np.ndim(entry.inputs[0]) == 0:
            operands = [operands[1 + int(entry.inputs[0])]]
        bad = [(v, s) for v, s in operands if not _finite(v)]
        made_nan = np.any(np.isnan(np.asarray(value))) and not any(np.any(np.isnan(np.asarray(v))) for v, _ in bad)
        known = [(v, s) for v, s in bad if s in tape.makers]
        if not bad or (made_nan and not known):
            return _culprit(entry, value)
        if not known:
            return _culprit(entry, value)
        value, number = known[0]
    return None


def backward_culprit(tape: Tape, parameters: int) -> Culprit | None:
    """The first operation, from the result backwards, whose derivative is not finite."""
    cotangents: dict[int, Any] = {tape.result[1]: jnp.ones_like(tape.result[0])}
    active = _active(tape, parameters)
    for entry in reversed(tape.entries):
        given = [cotangents.get(r) for r in entry.results]
        if all(c is None or not np.any(np.asarray(c)) for c in given):
            continue
        moving = [k for k, s in enumerate(entry.sources) if s in active and _is_real(entry.inputs[k])]
        if not moving:
            continue
        pulled = pull(entry, moving, given)
        for k, cotangent in zip(moving, pulled, strict=True):
            if not _finite(cotangent):
                return _culprit(entry, cotangent, backward=True)
            number = entry.sources[k]
            cotangents[number] = cotangents[number] + cotangent if number in cotangents else cotangent
    return None


def pull(entry: Entry, moving: Sequence[int], given: Sequence[Any]) -> Sequence[Any]:
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
    if not _is_real(out):
        return np.zeros(np.shape(out), jax.dtypes.float0)
    return jnp.zeros_like(out) if cotangent is None else jnp.asarray(cotangent, out.dtype)


def _active(tape: Tape, parameters: int) -> set[int]:
    active = set(range(1, parameters + 1))
    for entry in tape.entries:
        if any(s in active for s in entry.sources):
            active |= set(entry.results)
    return active


def _culprit(entry: Entry, bad: Any, *, backward: bool = False) -> Culprit:
    """The operands at the first bad entry of a value, where operation is entry by entry."""
    flat = np.ravel(np.asarray(bad))
    at = int(np.argmax(~np.isfinite(flat)))
    operands = []
    for value in entry.inputs:
        entries = np.ravel(np.asarray(value))
        if entries.dtype.kind in "fiub" and len(entries):
            operands.append(float(entries[at if len(entries) == len(flat) else 0]))
    return Culprit(entry.name, entry.at, tuple(operands), backward)


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.all(np.isfinite(array)))


def _is_real(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"
