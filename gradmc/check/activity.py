"""How every value of a traced program depends on the parameters: smoothly, or in steps.

An abstract interpretation of the loop IR. A value's `Dependence` says whether its derivative sees the parameters
(`smooth`) and through which equations it depends on them in steps only (`steps`): floor, comparison, argmax,
`stop_gradient`. Steps are harmless in a condition, which is the business of the check for jumps; they are
reported when they *land*: in arithmetic with real numbers, in a subscript, or in the result. Loops and
branches are interpreted until nothing changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.blame.origin import NOWHERE, Origin, is_users, origin
from gradmc.program.blame.tape import scan_layout
from gradmc.program.middle.shift import shift_maxima

COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "eq_to", "le_to", "lt_to"}
LOGIC = {"and", "or", "not", "xor", "reduce_and", "reduce_or", "is_finite"}
PLATEAUS = {"floor", "ceil", "round", "sign"}
KINKS = {"abs", "max", "min", "clamp", "reduce_max", "reduce_min", "cummax", "cummin"}
STRUCTURE = {
    *(
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "copy",
        "transpose",
        "concatenate",
        "pad",
        "rev",
        "slice",
        "expand_dims",
    ),
    *("convert_element_type", "stop_gradient", "split", "reduce_precision", "copy_p", "optimization_barrier"),
}
SUBSCRIPTS = {"gather": 1, "dynamic_slice": 1, "load": 1, "store": 2, "scatter": 1, "dynamic_update_slice": 2}

REMAINDERS = ("remainder", "mod", "fmod", "divmod", "rem")

WHOLE = {
    **dict.fromkeys(("floor_divide", "round", "around", "rint", "trunc", "fix", "heaviside", "frexp"), "plateau"),
    **dict.fromkeys(
        ("argmax", "argmin", "_nanargmax", "_nanargmin", "argsort", "searchsorted", "digitize"), "selection"
    ),
    **dict.fromkeys(("sort", "median", "nanmedian", "quantile", "percentile"), "kink"),
    **dict.fromkeys(REMAINDERS, "sawtooth"),
}
"""Functions of JAX that are one operation to the user, with the code that they deserve."""

DIRECT = {
    *("cond", "switch", "while_loop", "fori_loop", "asarray", "array"),
    *("floor", "ceil", "round", "rint", "trunc", "fix", "sign", "argmax", "argmin", "astype"),
    *("convert_element_type", "stop_gradient", "where", "select", "max", "min", "maximum", "minimum", "clip", "abs"),
    *(
        "absolute",
        "fabs",
        "relu",
        "sort",
        "meth",
        "op",
        "amax",
        "amin",
        "rem",
        "int64",
        "int32",
        "load",
        "take",
        "bool",
        "__call__",
    ),
}
"""Functions inside of which a primitive means what the user asked for; in any other it is an implementation detail."""

INLINED = {"_where", "where", "clip", "take", "_take", "relu"}
MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Step:
    """An equation after which a value depends on parameters in steps only."""

    code: str
    name: str
    at: Origin
    parameters: frozenset[str]
    eqn: JaxprEqn


@dataclass(frozen=True, slots=True)
class Dependence:
    """How a value depends on the parameters."""

    smooth: bool = False
    steps: frozenset[Step] = frozenset()
    parameters: frozenset[str] = frozenset()

    def __or__(self, other: "Dependence") -> "Dependence":
        return Dependence(self.smooth or other.smooth, self.steps | other.steps, self.parameters | other.parameters)


CONSTANT = Dependence()


@dataclass(frozen=True, slots=True)
class Landing:
    """Where steps enter the density."""

    code: str
    name: str
    at: Origin
    parameters: frozenset[str]


@dataclass(slots=True)
class Activity:
    """The interpretation of one program.

    Attributes:
        landings: steps that enter the density, and remainders.
        suspects: of each landing but a stopped gradient, the equations that make the steps.
        kinks: equations with a corner.
        branches: by line, conditions (of `if`, `where`, `while`) that depend on parameters, by the user's doing.
        sites: the equations of these.
    """

    landings: dict[tuple[Any, ...], Landing] = field(default_factory=dict)
    suspects: dict[tuple[Any, ...], set[JaxprEqn]] = field(default_factory=dict)
    kinks: dict[tuple[Any, ...], Landing] = field(default_factory=dict)
    branches: dict[int, Landing] = field(default_factory=dict)
    sites: set[JaxprEqn] = field(default_factory=set)

    def run(self, body: Jaxpr, inputs: Sequence[Dependence], outer: Origin | None = None) -> list[Dependence]:
        """Interpret a jaxpr; returns the statuses of its results."""
        env: dict[Var, Dependence] = dict.fromkeys(body.constvars, CONSTANT)
        env |= zip(body.invars, inputs, strict=True)
        shifts = shift_maxima(body)
        for eqn in body.eqns:
            given = [CONSTANT if isinstance(a, Literal) else env.get(a, CONSTANT) for a in eqn.invars]
            at = outer or origin(eqn)
            if shifts.issuperset(eqn.outvars):
                env[eqn.outvars[0]] = _union(given)
                continue
            env |= zip(eqn.outvars, self._equation(eqn, given, at), strict=False)
        return [CONSTANT if isinstance(a, Literal) else env.get(a, CONSTANT) for a in body.outvars]

    def result(self, body: Jaxpr, inputs: Sequence[Dependence]) -> Dependence:
        """Interpret a whole program."""
        (status, *_) = self.run(body, inputs)
        self._land(status, NOWHERE)
        return status

    def _equation(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        if not any(status.parameters for status in given):
            return [CONSTANT] * len(eqn.outvars)
        if eqn.primitive is ir.for_p:
            return self._for(eqn, given)
        if eqn.primitive is ir.while_p:
            return self._while(eqn, given, at)
        if eqn.primitive is ir.if_p:
            return self._if(eqn, given, at)
        if eqn.primitive is jp.jit_p:
            return self._call(eqn, given, at)
        if eqn.primitive is jp.scan_p:
            return self._scan(eqn, given)
        if eqn.primitive is jp.while_p:
            return self._jax_while(eqn, given, at)
        if eqn.primitive is jp.cond_p:
            return self._cond(eqn, given, at)
        return self._primitive(eqn, given, at)

    def _scan(self, eqn: JaxprEqn, given: list[Dependence]) -> list[Dependence]:
        first, m = scan_layout(eqn)
        n = first - m
        carry, out = given[n:first], []
        for _ in range(MOST_ROUNDS):
            out = self.run(eqn.params["jaxpr"], [*given[:n], *carry, *given[first:]])
            wider = [a | b for a, b in zip(carry, out[:m], strict=True)]
            if wider == carry:
                break
            carry = wider
        return [*carry, *out[m:]]

    def _jax_while(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        n, m = eqn.params["cond_nconsts"], eqn.params["cond_nconsts"] + eqn.params["body_nconsts"]
        cond, body, carry = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"], given[m:]
        for _ in range(MOST_ROUNDS):
            (test,) = self.run(cond, [*given[:n], *carry])
            out = self.run(body, [*given[n:m], *carry])
            self._branch(eqn, test, at)
            wider = [a | _chosen(test, b, v) for a, b, v in zip(carry, out, body.outvars, strict=True)]
            if wider == carry:
                break
            carry = wider
        return carry

    def _cond(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        self._branch(eqn, given[0], at)
        sides = [self.run(branch, given[1:]) for branch in eqn.params["branches"]]
        return [_chosen(given[0], _union(of), v) for *of, v in zip(*sides, eqn.outvars, strict=True)]

    def _for(self, eqn: JaxprEqn, given: list[Dependence]) -> list[Dependence]:
        body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
        carry = given[n:]
        out: list[Dependence] = []
        for _ in range(MOST_ROUNDS):
            out = self.run(body, [CONSTANT, *given[:n], *carry])
            wider = [a | b for a, b in zip(carry, out[:m], strict=True)]
            if wider == carry:
                break
            carry = wider
        return [*carry, *out[m:]]

    def _while(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        cond, body, n = eqn.params["cond"], eqn.params["body"], eqn.params["n_consts"]
        carry = given[n:]
        for _ in range(MOST_ROUNDS):
            (test,) = self.run(cond, [*given[:n], *carry])
            out = self.run(body, [*given[:n], *carry])
            self._branch(eqn, test, at)
            wider = [a | _chosen(test, b, v) for a, b, v in zip(carry, out, body.outvars, strict=True)]
            if wider == carry:
                break
            carry = wider
        return carry

    def _if(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        self._branch(eqn, given[0], at)
        yes, no = (self.run(eqn.params[side], given[1:]) for side in ("then", "otherwise"))
        return [_chosen(given[0], a | b, v) for a, b, v in zip(yes, no, eqn.outvars, strict=True)]

    def _call(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        name = eqn.params["name"]
        if name in INLINED:
            return self.run(eqn.params["jaxpr"], given, at)
        if is_users(eqn.params["jaxpr"]):
            return self.run(eqn.params["jaxpr"], given)
        code = WHOLE.get(name)
        if code is None or not _real(eqn.invars, given):
            return [self._passed(eqn, given, v, at) for v in eqn.outvars]
        status = _union(given)
        if code in ("sawtooth", "kink"):
            if not at.law:
                landing = Landing(code, name, at, status.parameters)
                self._corner(landing) if code == "kink" else self._enter(landing, eqn)
            return [status] * len(eqn.outvars)
        step = Step(code, name, at, status.parameters, eqn)
        return [Dependence(False, frozenset({step}) | status.steps, status.parameters)] * len(eqn.outvars)

    def _primitive(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence]:
        name = eqn.primitive.name
        outs = eqn.outvars
        direct = not at.law and (at.called in DIRECT or not at.called or at.called.startswith("_operator_"))
        smooth = any(status.smooth for status in given)
        whole = _union(given)
        if name in COMPARISONS:
            steps = whole.steps | ({Step("step", name, at, whole.parameters, eqn)} if smooth and not at.law else set())
            return [Dependence(False, frozenset(steps), whole.parameters)] * len(outs)
        if name in LOGIC:
            return [Dependence(False, whole.steps, whole.parameters)] * len(outs)
        if name == "select_n":
            self._branch(eqn, given[0], at)
            return [_chosen(given[0], _union(given[1:]), outs[0])]
        if smooth and direct:
            made = self._steps(eqn, given, at)
            if made is not None:
                return made
        if name in SUBSCRIPTS:
            arrays, indices = given[: SUBSCRIPTS[name]], given[SUBSCRIPTS[name] :]
            for step in _union(indices).steps:
                if step.code != "step" and not at.law:
                    self._enter(Landing("lookup", step.name, at, step.parameters), step.eqn)
            return [_union(arrays) | Dependence(parameters=whole.parameters)] * len(outs)
        if name in STRUCTURE or not _is_real(outs[0]):
            return [Dependence(whole.smooth and _is_real(v), whole.steps, whole.parameters) for v in outs]
        return [self._passed(eqn, given, v, at) for v in outs]

    def _steps(self, eqn: JaxprEqn, given: list[Dependence], at: Origin) -> list[Dependence] | None:
        """Primitives without a useful derivative, where the user asked for them."""
        name, whole = eqn.primitive.name, _union(given)
        code = ""
        if name in PLATEAUS or (name == "convert_element_type" and not _is_real(eqn.outvars[0])):
            code = "plateau"
        elif name in ("argmax", "argmin"):
            code = "selection"
        elif name == "stop_gradient":
            code = "stop-gradient"
        elif name == "rem":
            self._enter(Landing("sawtooth", name, at, whole.parameters), eqn)
        elif name in KINKS:
            self._corner(Landing("kink", name, at, whole.parameters))
        if not code:
            return None
        step = Step(code, _spoken(eqn), at, whole.parameters, eqn)
        return [Dependence(False, whole.steps | {step}, whole.parameters)] * len(eqn.outvars)

    def _passed(self, eqn: JaxprEqn, given: list[Dependence], out: Var, at: Origin) -> Dependence:
        """An ordinary function: steps among its operands land here; whole numbers and truth values are steps."""
        whole = _union(given)
        if not _is_real(out):
            name = eqn.params["name"] if eqn.primitive is jp.jit_p else eqn.primitive.name
            code = "step" if out.aval.dtype == np.bool_ else "plateau"  # pyright: ignore[reportAttributeAccessIssue]
            made = {Step(code, name, at, whole.parameters, eqn)} if whole.smooth and not at.law else set()
            return Dependence(False, whole.steps | made, whole.parameters)
        if not at.law or whole.steps:
            self._land(whole, at)
        return Dependence(whole.smooth, frozenset(), whole.parameters)

    def _land(self, status: Dependence, at: Origin) -> None:
        for step in status.steps:
            where = step.at if step.at.location else at
            self._enter(Landing(step.code, step.name, where, step.parameters), step.eqn)

    def _branch(self, eqn: JaxprEqn, test: Dependence, at: Origin) -> None:
        direct = at.called in DIRECT or not at.called or at.called in INLINED
        if test.parameters and direct and not at.law and at.location is not None:
            key = at.location.line
            self.sites.add(eqn)
            self.branches.setdefault(key, Landing("jump", eqn.primitive.name, at, test.parameters))

    def _enter(self, landing: Landing, eqn: JaxprEqn) -> None:
        self.landings.setdefault(_key(landing), landing)
        if landing.code != "stop-gradient":
            self.suspects.setdefault(_key(landing), set()).add(eqn)

    def _corner(self, landing: Landing) -> None:
        self.kinks.setdefault(_key(landing), landing)


def _key(landing: Landing) -> tuple[str, int]:
    return landing.code, landing.at.location.line if landing.at.location else 0


def _chosen(test: Dependence, value: Dependence, out: Any) -> Dependence:
    """A value chosen by a condition: whole numbers take over its steps."""
    steps = value.steps if _is_real(out) else value.steps | test.steps
    return Dependence(value.smooth, frozenset(steps), value.parameters | test.parameters)


def _union(statuses: Iterable[Dependence]) -> Dependence:
    whole = CONSTANT
    for status in statuses:
        whole = whole | status
    return whole


def _is_real(var: Any) -> bool:
    return bool(np.issubdtype(var.aval.dtype, np.inexact))


def _real(atoms: Sequence[Any], given: Sequence[Dependence]) -> bool:
    return any(_is_real(a) and s.smooth for a, s in zip(atoms, given, strict=True))


def _spoken(eqn: JaxprEqn) -> str:
    if eqn.primitive.name == "convert_element_type":
        return "int"
    return eqn.primitive.name


def interpret(body: Jaxpr, names: Sequence[str]) -> tuple[Activity, Dependence]:
    """Interpret a program whose inputs are the named parameters."""
    activity = Activity()
    status = activity.result(body, [Dependence(True, frozenset(), frozenset({name})) for name in names])
    return activity, status
