"""Divisions in a recurrence as products with a reciprocal.

In sequential code a division takes several times as long as a product, and so does its derivative; the compiler may
not replace one by the other, since that can change the last bit.  What a recurrence computes is multiplied by the
divisor's reciprocal where

- several numbers of one iteration are divided by it (the gain of a Kalman filter: 0.6 times the time);
- it is the same in all iterations.

Elsewhere divisions stay: vector units hide what they cost, and XLA computes a chain of products again for each of
its uses, which it does not do with divisions (measured: 1.4 times the time for AR(5)).

The last bit does matter to what is then compared or rounded (3 * (1 / 10) exceeds 0.3), so quotients on the way to a
comparison or a rounding stay as they are.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.cost_model import is_float
from gradmc.program.middle.depends import spread_from
from gradmc.program.middle.normal_form import inlined
from gradmc.program.middle.plan import plan

_EXACT = frozenset(
    getattr(jp, f"{name}_p")
    for name in ("argmax", "argmin", "ceil", "eq", "floor", "ge", "gt", "le", "lt", "ne", "rem", "round", "sort")
)


def with_reciprocals(body: Jaxpr) -> Jaxpr:
    """The same jaxpr with products in place of divisions in its recurrences, at any depth."""
    exact: set[Var] = set()
    _decide(body, exact)
    return _rewritten(body, (), (), exact)


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


def _rewritten(body: Jaxpr, moving: Collection[Var], carried: Collection[Var], exact: set[Var]) -> Jaxpr:
    """`body` with products.

    Args:
        body: of a loop or branch.
        moving: those of its inputs that change from one iteration of the innermost loop to the next.
        carried: those that a recurrence computes.
        exact: variables whose last bit matters.
    """
    changing, recurrent = spread_from(body, moving), spread_from(body, carried)
    divisors = {e.outvars[0]: e.invars[1] for e in body.eqns if _is_quotient(e, exact) and e.outvars[0] in recurrent}
    shared = Counter(divisors.values())
    eqns: list[JaxprEqn] = []
    inverse: dict[Var, Any] = {}
    for eqn in body.eqns:
        eqn = _inside(eqn, changing, recurrent, exact)
        divisor = divisors.get(eqn.outvars[0]) if eqn.outvars else None
        if divisor is not None and (shared[divisor] > 1 or divisor not in changing):
            if divisor not in inverse:
                more, inverse[divisor] = inlined(lambda x: lax.integer_pow(x, -1), [divisor])
                eqns += more
            (product,), _ = inlined(lax.mul, [eqn.invars[0], inverse[divisor]])
            eqn = eqn.replace(primitive=product.primitive, params=product.params, invars=product.invars)
        eqns.append(eqn)
    return body.replace(eqns=eqns)


def _inside(eqn: JaxprEqn, changing: set[Var], recurrent: set[Var], exact: set[Var]) -> JaxprEqn:
    """An equation with its own bodies rewritten."""
    if eqn.primitive not in ir.BODIES:
        return eqn
    groups = plan(eqn, frozenset()).groups if eqn.primitive is ir.for_p else ()
    members = [k for group in groups for k in group.members]
    params = dict(eqn.params)
    for name in ir.BODIES[eqn.primitive]:
        body = eqn.params[name]
        operands, carried = _inputs(eqn, body)
        mine = [carried[k] for k in members] if eqn.primitive is ir.for_p else carried
        mine += [inner for outer, inner in operands if isinstance(outer, Var) and outer in recurrent]
        moving = [*body.invars[:1], *carried] if eqn.primitive is ir.for_p else list(carried)
        if eqn.primitive is ir.if_p:
            moving = [inner for outer, inner in operands if isinstance(outer, Var) and outer in changing]
        params[name] = _rewritten(body, moving, mine, exact)
    return eqn.replace(params=params)


def _is_quotient(eqn: JaxprEqn, exact: set[Var]) -> bool:
    """Whether an equation is a division of real numbers whose last bit does not matter."""
    if eqn.primitive is not jp.div_p:
        return False
    (out,), divisor = eqn.outvars, eqn.invars[1]
    return np.issubdtype(out.aval.dtype, np.floating) and isinstance(divisor, Var) and out not in exact
