"""Divisions by one number as products with its reciprocal.

A division takes a processor several times as long as a product, and so does its derivative, and the compiler may not
replace one by the other, since that can change the last bit.  Here the divisor's reciprocal is computed once where

- the divisor is the same in all iterations of a loop, or is spread over a larger array (`(y[i] - mu) / sigma`);
- several numbers of one iteration are divided by it (the gain of a Kalman filter).

The last bit does matter to what is then compared or rounded (3 * (1 / 10) exceeds 0.3), so quotients on the way to a
comparison or a rounding stay as they are.
"""

from collections import Counter
from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.cost import is_float
from gradmc.program.middle.depends import spread_from
from gradmc.program.middle.normal import inlined

_EXACT = frozenset(
    getattr(jp, f"{name}_p")
    for name in ("argmax", "argmin", "ceil", "eq", "floor", "ge", "gt", "le", "lt", "ne", "rem", "round", "sort")
)


def with_reciprocals(body: Jaxpr) -> Jaxpr:
    """The same jaxpr with products in place of divisions by a common divisor, at any depth."""
    exact: set[Var] = set()
    _decide(body, exact)
    return _rewritten(body, (), exact)


# --- what must stay exact --------------------------------------------------------------------------


def _decide(body: Jaxpr, exact: set[Var]) -> None:
    """Add to `exact` what goes into a comparison or a rounding, or into what is in `exact`."""
    for eqn in reversed(body.eqns):
        if eqn.primitive in ir.BODIES:
            _decide_inside(eqn, exact)
        elif eqn.primitive in _EXACT or _truncates(eqn) or not exact.isdisjoint(eqn.outvars):
            exact.update(a for a in eqn.invars if isinstance(a, Var))


def _truncates(eqn: JaxprEqn) -> bool:
    return eqn.primitive is jp.convert_element_type_p and is_float(eqn.invars[0]) and not is_float(eqn.outvars[0])


def _decide_inside(eqn: JaxprEqn, exact: set[Var]) -> None:
    bodies = [eqn.params[name] for name in ir.BODIES[eqn.primitive]]
    inputs = [_inputs(eqn, body) for body in bodies]
    ends = [pair for body in bodies for pair in zip(body.outvars, eqn.outvars, strict=False)]
    # A result of one iteration is what the next one, or the test before it, begins with.
    ends += [pair for _, carried in inputs for pair in zip(bodies[-1].outvars, carried, strict=False)]
    before = -1
    while before < len(exact):
        before = len(exact)
        exact.update(inner for inner, outer in ends if isinstance(inner, Var) and outer in exact)
        for body in bodies:
            _decide(body, exact)
    for operands, _ in inputs:
        exact.update(outer for outer, inner in operands if isinstance(outer, Var) and inner in exact)


def _inputs(eqn: JaxprEqn, body: Jaxpr) -> tuple[list[tuple[Any, Var]], list[Var]]:
    """The operands of an equation, each with the input of `body` that it becomes, and the carried inputs."""
    if eqn.primitive is ir.if_p:
        return list(zip(eqn.invars[1:], body.invars, strict=True)), []
    inputs = body.invars[1:] if eqn.primitive is ir.for_p else body.invars
    return list(zip(eqn.invars, inputs, strict=True)), inputs[eqn.params["n_consts"] :]


# --- rewriting -------------------------------------------------------------------------------------


def _rewritten(body: Jaxpr, moving: Collection[Var], exact: set[Var]) -> Jaxpr:
    """`body`, whose inputs `moving` change from one iteration of the innermost loop to the next."""
    changing = spread_from(body, moving)
    spread = {e.outvars[0]: e for e in body.eqns if e.primitive is jp.broadcast_in_dim_p}
    shared = Counter(_root(e.invars[1], spread) for e in body.eqns if _eligible(e, exact))
    eqns: list[JaxprEqn] = []
    inverse: dict[Var, Any] = {}
    for eqn in body.eqns:
        if not _eligible(eqn, exact):
            eqns.append(_inside(eqn, changing, exact))
            continue
        (numerator, divisor), (out,) = eqn.invars, eqn.outvars
        root = _root(divisor, spread)
        if not (shared[root] > 1 or _smaller(root, out) or (out in changing and root not in changing)):
            eqns.append(eqn)
            continue
        if root not in inverse:
            more, inverse[root] = inlined(lambda x: lax.integer_pow(x, -1), [root])
            eqns += more
        factor = inverse[root]
        if root is not divisor:
            factor = Var(divisor.aval)
            eqns.append(spread[divisor].replace(invars=[inverse[root]], outvars=[factor]))
        (product,), _ = inlined(lax.mul, [numerator, factor])
        eqns.append(eqn.replace(primitive=product.primitive, params=product.params, invars=product.invars))
    return body.replace(eqns=eqns)


def _inside(eqn: JaxprEqn, changing: set[Var], exact: set[Var]) -> JaxprEqn:
    """An equation with its own bodies rewritten."""
    params = dict(eqn.params)
    for name in ir.BODIES.get(eqn.primitive, ()):
        body = eqn.params[name]
        operands, carried = _inputs(eqn, body)
        index = body.invars[:1] if eqn.primitive is ir.for_p else []
        passed = [inner for outer, inner in operands if isinstance(outer, Var) and outer in changing]
        moving = passed if eqn.primitive is ir.if_p else [*index, *carried]
        params[name] = _rewritten(body, moving, exact)
    return eqn.replace(params=params)


def _eligible(eqn: JaxprEqn, exact: set[Var]) -> bool:
    """Whether an equation is a division whose last bit does not matter."""
    if eqn.primitive is not jp.div_p:
        return False
    (out,), divisor = eqn.outvars, eqn.invars[1]
    return np.issubdtype(out.aval.dtype, np.floating) and isinstance(divisor, Var) and out not in exact


def _root(divisor: Any, spread: dict[Var, JaxprEqn]) -> Any:
    """The divisor before it was spread over a larger array."""
    wide = spread.get(divisor) if isinstance(divisor, Var) else None
    return divisor if wide is None or isinstance(wide.invars[0], Literal) else wide.invars[0]


def _smaller(one: Any, other: Any) -> bool:
    return prod(one.aval.shape) < prod(other.aval.shape)
