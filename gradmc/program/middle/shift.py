"""The shift in a log-sum-exp written by hand has no derivative.

    top = max(x[0], x[1], ...)
    total = exp(x[0] - top) + exp(x[1] - top) + ...
    lp += top + log(total)

The result does not depend on `top`: its derivative through the first term, 1, cancels against that through the
exponentials, -total / total. Where `top` is used for nothing else, it is taken as a constant of
differentiation, as libraries do in their `logsumexp`; the derivative of the maximum is then not computed.
"""

from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp

from gradmc.program import ir, jaxprs
from gradmc.program.jaxprs import deeper
from gradmc.program.middle.normal_form import named
from gradmc.program.middle.roles import chain


def without_shifts(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, the shifts of its log-sum-exps constants of differentiation, at any depth."""
    eqns: list[JaxprEqn] = []
    users = jaxprs.users(body)
    constant: dict[Var, Var] = {}
    for eqn in body.eqns:
        eqn = eqn.replace(invars=[constant.get(a, a) if isinstance(a, Var) else a for a in eqn.invars])
        eqn = deeper(eqn, without_shifts)
        eqns.append(eqn)
        for var in eqn.outvars:
            if np.issubdtype(var.aval.dtype, np.floating) and _is_shift(var, users):
                constant[var] = Var(var.aval)
                eqns.append(new_jaxpr_eqn([var], [constant[var]], jp.stop_gradient_p, {}, no_effects))
    return body.replace(eqns=eqns)


def with_early_stops(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, each maximum that is a constant of differentiation one of constants, at any depth.

    JAX's rule for the derivative of a maximum is twenty equations long, which would be written only to be dropped.
    """
    users = jaxprs.users(body)
    eqns: list[JaxprEqn] = []
    constant: set[Var] = set()
    for eqn in reversed(body.eqns):
        eqn = deeper(eqn, with_early_stops)
        uses = users.get(eqn.outvars[0], ())
        if eqn.primitive is jp.max_p and uses and all(_stops(u, constant) for u in uses):
            constant.add(eqn.outvars[0])
            fresh = [Var(a.aval) if isinstance(a, Var) else a for a in eqn.invars]
            pairs = [(a, b) for a, b in zip(eqn.invars, fresh, strict=True) if a is not b]
            eqns.append(eqn.replace(invars=fresh))
            eqns += [new_jaxpr_eqn([a], [b], jp.stop_gradient_p, {}, no_effects) for a, b in pairs]
        else:
            eqns.append(eqn)
    return _without_idle_stops(body.replace(eqns=eqns[::-1]), constant)


def _without_idle_stops(body: Jaxpr, constant: set[Var]) -> Jaxpr:
    """`body` without the stops of maxima that are `constant`: what they are maxima of is stopped already."""
    names: dict[Var, Any] = {}
    eqns = []
    for eqn in body.eqns:
        inputs = [named(names, a) for a in eqn.invars]
        if eqn.primitive is jp.stop_gradient_p and isinstance(inputs[0], Var) and inputs[0] in constant:
            names[eqn.outvars[0]] = inputs[0]
        else:
            eqns.append(eqn.replace(invars=inputs))
    return body.replace(eqns=eqns, outvars=[named(names, a) for a in body.outvars])


def shift_maxima(body: Jaxpr) -> set[Var]:
    """The maxima in a body that shift log-sum-exps and do nothing else: the result has no corner where they have."""
    users = jaxprs.users(body)
    found: set[Var] = set()
    for eqn in reversed(body.eqns):
        if eqn.primitive in (jp.max_p, jp.reduce_max_p):
            (top,) = eqn.outvars
            uses = users.get(top, ())
            if _is_shift(top, users) or (uses and all(u is not None and found.issuperset(u.outvars) for u in uses)):
                found.add(top)
    return found


def _stops(eqn: JaxprEqn | None, constant: set[Var]) -> bool:
    """Whether an equation takes its operand as a constant of differentiation."""
    if eqn is None:
        return False
    return eqn.primitive is jp.stop_gradient_p or (eqn.primitive is jp.max_p and eqn.outvars[0] in constant)


def _is_shift(top: Var, users: dict[Var, list[JaxprEqn | None]]) -> bool:
    """Whether the uses of `top` are the exponentials of one sum and its own addition to the sum's logarithm."""
    terms: list[Var] = []
    back: list[JaxprEqn] = []
    for eqn in users.get(top, ()):
        if eqn is None:
            return False
        found = _terms(eqn, top, users)
        if found is not None:
            terms += found
        elif eqn.primitive is jp.add_p:
            back.append(eqn)
        else:
            return False
    if len(back) != 1 or not terms:
        return False
    total = _sum(terms, users)
    logarithm = _only(total, jp.log_p, users) if total is not None else None
    if logarithm is None or users.get(logarithm.outvars[0]) != [back[0]]:
        return False
    return any(a is logarithm.outvars[0] for a in back[0].invars)


def _only(var: Var, primitive: Any, users: dict) -> JaxprEqn | None:
    """The one equation that reads a variable, if it is of this kind."""
    found = users.get(var, [])
    return found[0] if len(found) == 1 and found[0] is not None and found[0].primitive is primitive else None


def _terms(eqn: JaxprEqn, top: Var, users: dict) -> list[Var] | None:
    """What an equation adds to the sum: exp(x - top), or a loop's sum of such."""
    if eqn.primitive is jp.sub_p and eqn.invars[1] is top and eqn.invars[0] is not top:
        exponential = _only(eqn.outvars[0], jp.exp_p, users)
        return None if exponential is None else [exponential.outvars[0]]
    if eqn.primitive is not ir.for_p:
        return None
    n = eqn.params["n_consts"]
    where = [k for k, a in enumerate(eqn.invars) if a is top]
    if len(where) != 1 or where[0] >= n:
        return None
    k = _summed(eqn, eqn.params["body"].invars[1 + where[0]])
    if k is None or not isinstance(eqn.invars[n + k], Literal) or np.any(eqn.invars[n + k].val):
        return None
    return [eqn.outvars[k]]


def _summed(loop: JaxprEqn, top: Var) -> int | None:
    """The carried value to which a loop adds exp(x - top), if it does nothing else with `top`."""
    body, n = loop.params["body"], loop.params["n_consts"]
    users = jaxprs.users(body)
    terms: list[Var] = []
    for eqn in users.get(top, ()):
        found = None if eqn is None else _terms(eqn, top, users)
        if found is None:
            return None
        terms += found
    for k, var in enumerate(body.invars[1 + n :]):
        end = chain(body, {var})
        if end is not None and end.operation == "add" and end.results == (k,) and _reaches(var, terms, users):
            return k
    return None


def _reaches(start: Var, terms: list[Var], users: dict) -> bool:
    """Whether a chain of additions from `start` takes up exactly the terms."""
    left, current = set(terms), start
    while left:
        step = _only(current, jp.add_p, users)
        if step is None:
            return False
        other = [a for a in step.invars if a is not current]
        if len(other) != 1 or not isinstance(other[0], Var) or other[0] not in left or len(users[other[0]]) != 1:
            return False
        left.discard(other[0])
        current = step.outvars[0]
    return True


def _sum(terms: list[Var], users: dict) -> Var | None:
    """The variable that holds the sum of all terms, if they are used for nothing else."""
    pending = set(terms)
    while len(pending) > 1 or _only(next(iter(pending)), jp.add_p, users) is not None:
        for var in pending:
            step = _only(var, jp.add_p, users)
            if step is not None and all(_is_zero(a) or (isinstance(a, Var) and a in pending) for a in step.invars):
                break
        else:
            return None
        pending = (pending - {a for a in step.invars if isinstance(a, Var)}) | set(step.outvars)
    return next(iter(pending))


def _is_zero(atom: Any) -> bool:
    return isinstance(atom, Literal) and not np.any(atom.val)
