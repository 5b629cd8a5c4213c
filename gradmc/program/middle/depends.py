"""Which inputs each result of an equation or a jaxpr needs, and equations cut down to some results.

An `if` or a loop has many results, and each may need only some of the operands. Fission rests on this:
a result that does not need the recurrence is computed outside the sequential part, although the same `if`
also yields one that does.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Var

from gradmc.program import ir


def needed(body: Jaxpr, outs: Iterable[Any]) -> set[Var]:
    """All variables of `body` (its inputs among them) on which the atoms `outs` depend."""
    found = {a for a in outs if isinstance(a, Var)}
    for eqn in reversed(body.eqns):
        for k, var in enumerate(eqn.outvars):
            if var in found:
                found.update(a for a in operands(eqn, k) if isinstance(a, Var))
    return found


def spread_from(body: Jaxpr, start: Iterable[Var]) -> set[Var]:
    """All variables of `body` that depend on `start`."""
    found = set(start)
    for eqn in body.eqns:
        for k, var in enumerate(eqn.outvars):
            if any(isinstance(a, Var) and a in found for a in operands(eqn, k)):
                found.add(var)
    return found


def operands(eqn: JaxprEqn, k: int) -> list[Any]:
    """The operands that result `k` of an equation needs."""
    if eqn.primitive not in (ir.for_p, ir.while_p, ir.if_p):
        return eqn.invars
    return _cut(eqn, (k,))[0]


def restrict(eqn: JaxprEqn, outs: Iterable[int]) -> JaxprEqn:
    """The equation with only the results `outs`, and of its operands only those that they need."""
    outs = tuple(outs)
    if eqn.primitive not in (ir.for_p, ir.while_p, ir.if_p):
        return eqn
    invars, params, kept = _cut(eqn, outs)
    return eqn.replace(invars=invars, outvars=[eqn.outvars[k] for k in kept], params=params)


@lru_cache(maxsize=4096)
def _cut(eqn: JaxprEqn, outs: tuple[int, ...]) -> tuple[list[Any], dict, list[int]]:
    """Operands, parameters and results of the equation that computes `outs` only.

    A loop keeps the carried values that the results need; the results kept are then more than `outs`.
    """
    return _CUTS[eqn.primitive](eqn, outs)


def _cut_if(eqn: JaxprEqn, outs: tuple[int, ...]) -> tuple[list[Any], dict, list[int]]:
    sides = [prune(eqn.params[name], outs) for name in ("then", "otherwise")]
    live = [needed(side, side.outvars) for side in sides]
    keep = [k for k in range(len(eqn.invars) - 1) if any(s.invars[k] in n for s, n in zip(sides, live, strict=True))]
    sides = [s.replace(invars=[s.invars[k] for k in keep]) for s in sides]
    params = eqn.params | {"then": sides[0], "otherwise": sides[1]}
    return [eqn.invars[0], *(eqn.invars[1 + k] for k in keep)], params, list(outs)


def _cut_for(eqn: JaxprEqn, outs: tuple[int, ...]) -> tuple[list[Any], dict, list[int]]:
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    carried = _carried(body, [body.outvars[k] for k in outs if k >= m], {k for k in outs if k < m}, 1 + n, m)
    kept = [*sorted(carried), *(k for k in outs if k >= m)]
    body = prune(body, kept)
    live = needed(body, body.outvars)
    consts = [k for k in range(n) if body.invars[1 + k] in live]
    invars = [body.invars[0], *(body.invars[1 + k] for k in consts), *(body.invars[1 + n + k] for k in sorted(carried))]
    operands = [*(eqn.invars[k] for k in consts), *(eqn.invars[n + k] for k in sorted(carried))]
    body = body.replace(invars=invars)
    names = tuple(eqn.params["names"][k] for k in sorted(carried))
    params = {"body": body, "n_consts": len(consts), "n_carry": len(carried), "names": names}
    return operands, eqn.params | params, kept


def _cut_while(eqn: JaxprEqn, outs: tuple[int, ...]) -> tuple[list[Any], dict, list[int]]:
    cond, body, n = eqn.params["cond"], eqn.params["body"], eqn.params["n_consts"]
    tested = needed(cond, cond.outvars)
    wanted = set(outs) | {k for k, v in enumerate(cond.invars[n:]) if v in tested}
    carried = sorted(_carried(body, [], wanted, n, len(body.outvars)))
    body = prune(body, carried)
    live = needed(body, body.outvars)
    consts = [k for k in range(n) if body.invars[k] in live or cond.invars[k] in tested]
    kept = [*consts, *(n + k for k in carried)]
    body = body.replace(invars=[body.invars[k] for k in kept])
    cond = cond.replace(invars=[cond.invars[k] for k in kept])
    params = eqn.params | {"cond": cond, "body": body, "n_consts": len(consts)}
    return [eqn.invars[k] for k in kept], params, carried


_CUTS = {ir.if_p: _cut_if, ir.for_p: _cut_for, ir.while_p: _cut_while}


def _carried(body: Jaxpr, also: list[Any], wanted: set[int], first: int, count: int) -> set[int]:
    """The carried values that the carried values `wanted` and the results `also` need, over all iterations."""
    position = {v: k for k, v in enumerate(body.invars[first : first + count])}
    done: set[int] = set()
    todo = set(wanted) | {position[v] for v in needed(body, also) if v in position}
    while todo:
        k = todo.pop()
        done.add(k)
        todo |= {position[v] for v in needed(body, [body.outvars[k]]) if v in position} - done
    return done


def prune(body: Jaxpr, outs: Iterable[int]) -> Jaxpr:
    """`body` with only the results `outs` and the equations that they need; its inputs stay."""
    outvars = [body.outvars[k] for k in outs]
    live = needed(body, outvars)
    eqns = []
    for eqn in body.eqns:
        used = [k for k, v in enumerate(eqn.outvars) if v in live]
        if used:
            eqns.append(restrict(eqn, used))
    return body.replace(outvars=outvars, eqns=eqns)
