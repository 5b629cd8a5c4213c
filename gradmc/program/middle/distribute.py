"""Loop distribution: inner loops of a sequential body, divided into what needs the recurrence and what does not.

    for t in range(T):                                 for t in range(T):
        for j in range(K):                                 for j in range(K):
            new[j] = f(alpha, j) + g(y[t], j)  becomes         e[j] = g(y[t], j)
        alpha = new                                        for j in range(K):
                                                               new[j] = f(alpha, j) + e[j]
                                                           alpha = new

The first inner loop does not depend on `alpha`: the plan of the outer loop then moves it out of the `scan`.
"""

from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, new_jaxpr_eqn, no_effects

from gradmc.program import ir
from gradmc.program.jaxprs import deeper, producers
from gradmc.program.middle.cost_model import weigh
from gradmc.program.middle.depends import needed, operands, prune, restrict, spread_from
from gradmc.program.middle.normal_form import normal
from gradmc.program.middle.plan import plan


def with_distribution(body: Jaxpr) -> Jaxpr:
    """The same jaxpr with the inner loops of every sequential loop divided, at any depth."""
    eqns = []
    for eqn in body.eqns:
        if eqn.primitive is ir.for_p and eqn.params["length"] > 1:
            eqn = _distributed(eqn)
        eqns.append(deeper(eqn, with_distribution))
    return body.replace(eqns=eqns)


def _distributed(eqn: JaxprEqn) -> JaxprEqn:
    """Divide the inner loops that lie in a recurrence of this loop."""
    body = eqn.params["body"]
    if not any(e.primitive is ir.for_p for e in body.eqns):
        return eqn
    carried = body.invars[1 + eqn.params["n_consts"] :]
    tainted = {carried[k] for group in plan(eqn, frozenset()).groups for k in group.members}
    if not tainted:
        return eqn
    body = prune(body.replace(eqns=_divide_all(body, tainted, {body.invars[0]})), range(len(body.outvars)))
    return eqn.replace(params=eqn.params | {"body": body})


def _divide_all(body: Jaxpr, tainted: set[Var], varying: set[Var]) -> list[JaxprEqn]:
    """The equations of a body; those of its loops that read tainted variables, and others, in two parts."""
    tainted, varying, eqns = set(tainted), set(varying), []
    for eqn in body.eqns:
        for k, var in enumerate(eqn.outvars):
            used = [a for a in operands(eqn, k) if isinstance(a, Var)]
            tainted |= {var} if any(a in tainted for a in used) else set()
            varying |= {var} if any(a in varying for a in used) else set()
        if eqn.primitive is ir.for_p and any(v in tainted for v in eqn.outvars):
            eqns += _divided(eqn, tainted, varying)
        else:
            eqns.append(eqn)
    return eqns


def _divided(eqn: JaxprEqn, outside: set[Var], varying: set[Var]) -> list[JaxprEqn]:
    """A loop in up to three parts: equations that do not depend on it at all, the first loop, the second."""
    body, n = eqn.params["body"], eqn.params["n_consts"]
    inner = dict(zip(body.invars[1:], eqn.invars, strict=True))
    tainted = _carried_along(eqn, {v for v, a in inner.items() if isinstance(a, Var) and a in outside})
    moving = {v for v, a in inner.items() if isinstance(a, Var) and a in varying}
    body = body.replace(eqns=_divide_all(body, tainted, moving))
    made_by = producers(body)
    tainted = spread_from(body, tainted)
    cut = [v for v in _frontier(body, tainted, made_by) if _worth_it(body, v, made_by, moving)]
    if not cut:
        return [eqn.replace(params=eqn.params | {"body": body})]
    loop_dependent = spread_from(body, {body.invars[0], *body.invars[1 + n :]})
    once = [v for v in cut if v not in loop_dependent]
    each = [v for v in cut if v in loop_dependent]
    hoisted = _hoisted(body, once, inner)
    first, stacks = _first_loop(eqn, body, each) if each else ([], {})
    return [*hoisted, *first, _second_loop(eqn, body, once, stacks)]


def _carried_along(eqn: JaxprEqn, tainted: set[Var]) -> set[Var]:
    """Inputs of the body that are tainted once carried values have gone round."""
    body, n = eqn.params["body"], eqn.params["n_consts"]
    carried = body.invars[1 + n :]
    while True:
        spread = spread_from(body, tainted)
        more = {
            v
            for v, out in zip(carried, body.outvars, strict=False)
            if isinstance(out, Var) and out in spread and v not in tainted
        }
        if not more:
            return tainted
        tainted = tainted | more


def _frontier(body: Jaxpr, tainted: set[Var], made_by: dict) -> list[Var]:
    """Untainted results that tainted equations (or results of the body) read."""
    reads = [a for e in body.eqns for k, v in enumerate(e.outvars) if v in tainted for a in operands(e, k)]
    return [v for v in dict.fromkeys(a for a in reads if isinstance(a, Var)) if v in made_by and v not in tainted]


def _worth_it(body: Jaxpr, var: Var, made_by: dict, varying: set[Var]) -> bool:
    """Whether computing `var` beforehand saves the sequential part more than index arithmetic."""
    live = needed(body, [var])
    eqns = {id(e): e for v in live if v in made_by for e in [made_by[v][0]]}.values()
    if any(weigh(e) > 0 and not _counts(e) for e in eqns):
        return True
    return bool(live & varying) and any(e.primitive is ir.load_p for e in eqns)


def _counts(eqn: JaxprEqn) -> bool:
    """Whether an equation is index arithmetic."""
    return all(np.issubdtype(v.aval.dtype, np.integer) or v.aval.dtype == np.bool_ for v in eqn.outvars)


def _hoisted(body: Jaxpr, once: list[Var], inner: dict[Var, Any]) -> list[JaxprEqn]:
    """Equations that do not depend on the loop, in terms of the loop's operands."""
    live = needed(body, once)

    def outer(atom: Any) -> Any:
        return atom if isinstance(atom, Literal) else inner.get(atom, atom)

    moved = []
    for eqn in body.eqns if once else ():
        outs = [k for k, v in enumerate(eqn.outvars) if v in live]
        if outs:
            part = restrict(eqn, outs)
            moved.append(part.replace(invars=[outer(a) for a in part.invars]))
    return moved


def _first_loop(eqn: JaxprEqn, body: Jaxpr, each: list[Var]) -> tuple[list[JaxprEqn], dict[Var, Var]]:
    """The loop that computes `each` and stacks them."""
    m, length = eqn.params["n_carry"], eqn.params["length"]
    stacks = {v: Var(v.aval.update(shape=(length, *v.aval.shape), weak_type=False)) for v in each}
    own = normal(body.replace(outvars=[*body.outvars[:m], *each]))
    outvars = [*(Var(v.aval) for v in eqn.outvars[:m]), *stacks.values()]
    loop = eqn.replace(outvars=outvars, params=eqn.params | {"body": own})
    return [restrict(loop, range(m, m + len(each)))], stacks


def _second_loop(eqn: JaxprEqn, body: Jaxpr, once: list[Var], stacks: dict[Var, Var]) -> JaxprEqn:
    """The loop with `once` and `stacks` as operands in place of what computed them."""
    n = eqn.params["n_consts"]
    columns = {v: Var(s.aval) for v, s in stacks.items()}
    loads = [
        new_jaxpr_eqn([c, body.invars[0]], [v], ir.load_p, {"source": None}, no_effects) for v, c in columns.items()
    ]
    given = {*once, *stacks}
    kept = [
        e.replace(outvars=[Var(v.aval) if v in given else v for v in e.outvars]) if set(e.outvars) & given else e
        for e in body.eqns
    ]
    invars = [*body.invars[: 1 + n], *once, *columns.values(), *body.invars[1 + n :]]
    new = body.replace(invars=invars, eqns=[*loads, *kept])
    new = normal(prune(new, range(len(new.outvars))))
    atoms = [*eqn.invars[:n], *once, *stacks.values(), *eqn.invars[n:]]
    return eqn.replace(invars=atoms, params=eqn.params | {"body": new, "n_consts": n + len(given)})
