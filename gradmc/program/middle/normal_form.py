"""Normal form: one flat jaxpr per loop body and branch, every variable its own.

Calls of jitted functions are inlined, conversions that change nothing disappear, results that a branch merely
passes on become aliases, and constants of inner jaxprs become literals. What stays nested are the IR's
own bodies and the functions with derivative rules of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import deeper

Atom = Any  # Var | Literal

_CALLS = frozenset({jp.jit_p, jp.closed_call_p, jp.call_p})


def normal(closed: Jaxpr) -> Jaxpr:
    """The normal form of a jaxpr; its own constants stay where they are."""
    constvars = [Var(v.aval) for v in closed.constvars]
    invars = [Var(v.aval) for v in closed.invars]
    eqns: list[JaxprEqn] = []
    outs = copied(closed, [*constvars, *invars], eqns)
    return closed.replace(constvars=constvars, invars=invars, outvars=outs, eqns=eqns, consts=closed.consts)


def copied(closed: Jaxpr, args: Sequence[Atom], eqns: list[JaxprEqn]) -> list[Atom]:
    """Append the equations of `closed`, applied to `args` (constants first), and return its results."""
    env: dict[Var, Atom] = dict(zip([*closed.constvars, *closed.invars], args, strict=True))

    seen: dict[Any, list[Var]] = {}

    def read(atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else env[atom]

    for eqn in closed.eqns:
        inputs = [read(a) for a in eqn.invars]
        alias = _alias(eqn, inputs)
        if alias is not None:
            env[eqn.outvars[0]] = alias
            continue
        inner = _called(eqn)
        if inner is not None:
            inputs = inputs[len(inputs) - len(inner.invars) :]
            constants = [Literal(c, v.aval) for c, v in zip(inner.consts, inner.constvars, strict=True)]
            env |= zip(eqn.outvars, copied(inner, [*constants, *inputs], eqns), strict=True)
            continue
        params = deeper(eqn, normal).params
        if eqn.primitive is ir.if_p:
            env |= zip(eqn.outvars, _branch(eqn, params, inputs, eqns), strict=True)
            continue
        key = _key(eqn, inputs)
        if key not in seen:
            outvars = [Var(v.aval) for v in eqn.outvars]
            eqns.append(eqn.replace(invars=inputs, outvars=outvars, params=params))
            seen[key] = outvars
        env |= zip(eqn.outvars, seen[key], strict=True)
        if eqn.primitive is ir.for_p:
            env |= _unchanged(eqn, params, inputs)
    return [read(a) for a in closed.outvars]


def merged(body: Jaxpr) -> Jaxpr:
    """The same jaxpr with equations that compute the same made once, at any depth."""
    seen: dict[Any, list[Var]] = {}
    names: dict[Var, Atom] = {}
    eqns = []
    for eqn in body.eqns:
        inputs = [named(names, a) for a in eqn.invars]
        key = _key(eqn, inputs)
        if key in seen:
            names |= zip(eqn.outvars, seen[key], strict=True)
            continue
        seen[key] = list(eqn.outvars)
        eqns.append(deeper(eqn.replace(invars=inputs), merged))
    return body.replace(eqns=eqns, outvars=[named(names, a) for a in body.outvars])


def _key(eqn: JaxprEqn, inputs: list[Atom]) -> Any:
    """What two equations that compute the same have in common."""
    if eqn.primitive in ir.BODIES:
        return object()
    atoms = tuple((str(a.val), a.aval.str_short()) if _scalar(a) else id(a) for a in inputs)
    params = tuple((k, v) for k, v in sorted(eqn.params.items()) if k != "source")
    try:
        hash(params)
    except TypeError:
        return object()
    return eqn.primitive, atoms, params


def _scalar(atom: Atom) -> bool:
    return isinstance(atom, Literal) and np.ndim(atom.val) == 0


def _called(eqn: JaxprEqn) -> Jaxpr | None:
    """The function that an equation merely calls: a jitted one, or the one for this platform."""
    if eqn.primitive in _CALLS:
        return eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]
    platforms = eqn.params.get("branches_platforms") if eqn.primitive is jp.cond_p else None
    for body, names in zip(eqn.params["branches"], platforms, strict=True) if platforms else ():
        if names is None or jax.default_backend() in names:
            return body
    return None


def _alias(eqn: JaxprEqn, inputs: list[Atom]) -> Atom | None:
    """What the result is just another name of, if it is one."""
    if eqn.primitive is jp.convert_element_type_p and inputs[0].aval.dtype == eqn.outvars[0].aval.dtype:
        return inputs[0]
    if eqn.primitive is jp.copy_p or (eqn.primitive is jp.device_put_p and len(inputs) == 1):
        return inputs[0]
    if eqn.primitive is jp.select_n_p and all(a is inputs[1] for a in inputs[2:]):
        return inputs[1]
    return None


def _branch(eqn: JaxprEqn, params: dict, inputs: list[Atom], eqns: list[JaxprEqn]) -> list[Atom]:
    """Append an `if`; results that both sides pass on unchanged become aliases of the operand."""
    sides = [params["then"], params["otherwise"]]
    outs: list[Atom] = [Var(v.aval) for v in eqn.outvars]
    keep = []
    for k in range(len(outs)):
        passed = [_passed(side, k, inputs[1:]) for side in sides]
        if passed[0] is not None and passed[0] is passed[1]:
            outs[k] = passed[0]
        else:
            keep.append(k)
    if keep:
        sides = [s.replace(outvars=[s.outvars[k] for k in keep]) for s in sides]
        params = params | {"then": sides[0], "otherwise": sides[1]}
        eqns.append(eqn.replace(invars=inputs, outvars=[outs[k] for k in keep], params=params))
    return outs


def _unchanged(eqn: JaxprEqn, params: dict, inputs: list[Atom]) -> dict[Var, Atom]:
    """Carried values that a loop returns as they came are the operands."""
    body, n = params["body"], params["n_consts"]
    return {
        eqn.outvars[k]: inputs[n + k] for k in range(params["n_carry"]) if body.outvars[k] is body.invars[1 + n + k]
    }


def _passed(side: Jaxpr, k: int, operands: list[Atom]) -> Atom | None:
    out = side.outvars[k]
    if isinstance(out, Literal) or out not in side.invars:
        return None
    return operands[side.invars.index(out)]


def named(names: Mapping[Var, Atom], atom: Atom) -> Atom:
    """What an atom is called now."""
    return names.get(atom, atom) if isinstance(atom, Var) else atom


def inlined(fn: Callable[..., Any], atoms: Sequence[Atom]) -> tuple[list[JaxprEqn], Atom]:
    """The equations of a function of some atoms, and its result."""
    closed = jax.make_jaxpr(fn)(*ir.types([a.aval for a in atoms]))
    eqns: list[JaxprEqn] = []
    constants = [Literal(np.asarray(c), v.aval) for c, v in zip(closed.consts, closed.constvars, strict=True)]
    (out,) = copied(closed, [*constants, *atoms], eqns)
    return eqns, out
