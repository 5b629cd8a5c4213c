"""Selections written by the user, made as safe as branches.

`jnp.where(x > 0, jnp.log(x), 0.0)` computes both sides, and in the reverse pass the side that is not selected gets the
cotangent 0, which becomes NaN where it meets an infinite derivative. For each selection the equations
that compute a side and not the other, back to before the first one whose derivative can be infinite, are its *slice*. A
selection by one truth value becomes an `if` of the IR around its slices (and is emitted as such: both
sides, guarded); one by an array of truth values gets guards at the inputs of its slices.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp

from gradmc.program import ir, jaxprs
from gradmc.program.jaxprs import deeper
from gradmc.program.middle.cost_model import equation_size, tame_equation
from gradmc.program.middle.folding import ELEMENTWISE
from gradmc.program.middle.guard import guard_p
from gradmc.program.middle.normal_form import named, normal

# A slice holds at most this many equations that others need as well, and that are therefore computed twice.
MOST_DOUBLED = 400


def with_safe_selections(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, every selection in it safe, at any depth."""
    eqns: list[JaxprEqn] = []
    made_by: dict[Var, JaxprEqn] = {}
    users = {v: len(found) for v, found in jaxprs.users(body).items()}
    for eqn in body.eqns:
        eqn = deeper(eqn, with_safe_selections)
        new = _safe(body, eqn, made_by, users) if eqn.primitive is jp.select_n_p and len(eqn.invars) == 3 else [eqn]
        eqns += new
        made_by |= {v: e for e in new for v in e.outvars}
    return body.replace(eqns=eqns)


def _safe(body: Jaxpr, eqn: JaxprEqn, made_by: dict[Var, JaxprEqn], users: dict[Var, int]) -> list[JaxprEqn]:
    pred, no, yes = eqn.invars
    if isinstance(pred, Literal) or not np.issubdtype(eqn.outvars[0].aval.dtype, np.inexact):
        return [eqn]
    slices = _apart([_slice(side, pred, made_by, users) for side in (yes, no)])
    if not any(slices):
        return [_accumulating(body, eqn, made_by, users)]
    if pred.aval.shape:
        return _guarded(eqn, slices)
    return [_branch(body, eqn, slices)]


def _slice(side: Any, pred: Var, made_by: dict[Var, JaxprEqn], users: dict[Var, int]) -> list[JaxprEqn]:
    """The equations behind one side from the first one that is not tame, in order."""
    found: dict[int, JaxprEqn] = {}
    reads: dict[Var, int] = {}
    todo, doubled = [side], 0
    while todo:
        atom = todo.pop()
        if isinstance(atom, Literal) or atom not in made_by:
            continue
        reads[atom] = reads.get(atom, 0) + 1
        eqn = made_by[atom]
        if id(eqn) in found or not _can_hold(eqn, pred):
            continue
        shared = any(reads.get(v, 0) < users.get(v, 0) for v in eqn.outvars)
        doubled += equation_size(eqn) if shared else 0
        if doubled <= MOST_DOUBLED:
            found[id(eqn)] = eqn
            todo += eqn.invars
    return _wild([e for e in dict.fromkeys(made_by.values()) if id(e) in found])


def _apart(slices: Sequence[list[JaxprEqn]]) -> list[list[JaxprEqn]]:
    """The slices without the equations that are in both.

    What both sides are computed from gets the cotangent of the side that is selected; a chain of selections would
    double it again and again.
    """
    yes, no = ({id(e) for e in s} for s in slices)
    return [_wild([e for e in s if id(e) not in yes & no]) for s in slices]


def _wild(eqns: Sequence[JaxprEqn]) -> list[JaxprEqn]:
    """The equations from the first one on whose derivative can be infinite."""
    wild: set[Var] = set()
    kept = []
    for eqn in eqns:
        if not tame_equation(eqn) or any(a in wild for a in eqn.invars if isinstance(a, Var)):
            wild |= set(eqn.outvars)
            kept.append(eqn)
    return kept


def _can_hold(eqn: JaxprEqn, pred: Var) -> bool:
    """Whether an equation can be part of a slice: under an array of truth values it must be elementwise."""
    if not pred.aval.shape:
        return True
    alike = all(a.aval.shape in (pred.aval.shape, ()) for a in eqn.invars)
    elementwise = eqn.primitive in ELEMENTWISE or eqn.primitive is jp.custom_jvp_call_p
    return elementwise and alike and eqn.outvars[0].aval.shape == pred.aval.shape


def _inputs(eqns: Sequence[JaxprEqn], also: Sequence[Any] = ()) -> list[Var]:
    """What some equations read that they do not compute."""
    made = {v for e in eqns for v in e.outvars}
    atoms = [*(a for e in eqns for a in e.invars), *also]
    return list(dict.fromkeys(a for a in atoms if isinstance(a, Var) and a not in made))


def _branch(body: Jaxpr, eqn: JaxprEqn, slices: Sequence[list[JaxprEqn]]) -> JaxprEqn:
    """The selection as an `if` whose sides compute the slices."""
    pred, no, yes = eqn.invars
    ends = (yes, no)
    operands = _inputs([], [a for s, end in zip(slices, ends, strict=True) for a in _inputs(s, [end])])
    sides = [_side(body, operands, s, end) for s, end in zip(slices, ends, strict=True)]
    params = {"then": sides[0], "otherwise": sides[1], "source": None, "both": True}
    return new_jaxpr_eqn([pred, *operands], list(eqn.outvars), ir.if_p, params, no_effects, eqn.source_info)


def _side(body: Jaxpr, operands: list[Var], eqns: list[JaxprEqn], end: Any) -> Jaxpr:
    return normal(body.replace(constvars=[], invars=operands, outvars=[end], eqns=eqns, consts=()))


def _guarded(eqn: JaxprEqn, slices: Sequence[list[JaxprEqn]]) -> list[JaxprEqn]:
    """The selection with the slices computed from guarded inputs."""
    pred, no, yes = eqn.invars
    negated = Var(pred.aval)
    out = [new_jaxpr_eqn([pred], [negated], jp.not_p, {}, no_effects)]
    ends = []
    for side, keep, end in zip(slices, (pred, negated), (yes, no), strict=True):
        names: dict[Var, Any] = {}
        for var in _inputs(side):
            if var.aval.shape == pred.aval.shape and np.issubdtype(var.aval.dtype, np.inexact):
                names[var] = Var(var.aval)
                out.append(new_jaxpr_eqn([var, keep], [names[var]], guard_p, {}, no_effects))
        for e in side:
            fresh = [Var(v.aval) for v in e.outvars]
            out.append(e.replace(invars=[named(names, a) for a in e.invars], outvars=fresh))
            names |= zip(e.outvars, fresh, strict=True)
        ends.append(named(names, end))
    return [*out, eqn.replace(invars=[pred, ends[1], ends[0]])]


def _accumulating(body: Jaxpr, eqn: JaxprEqn, made_by: dict[Var, JaxprEqn], users: dict[Var, int]) -> JaxprEqn:
    """`total = where(p, total + x, total)` as an `if`, in which the accumulator is seen."""
    pred, no, yes = eqn.invars
    if pred.aval.shape:
        return eqn
    slices = [[], []]
    for k, (step, kept) in enumerate(((yes, no), (no, yes))):
        made = made_by.get(step) if isinstance(step, Var) else None
        if made is None or made.primitive not in (jp.add_p, jp.sub_p) or users[step] != 1:
            continue
        if any(a is kept for a in made.invars):
            slices[k] = [made]
    return _branch(body, eqn, slices) if any(slices) else eqn
