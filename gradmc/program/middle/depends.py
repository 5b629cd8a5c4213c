"""Which inputs each result of an equation or a jaxpr needs, and equations cut down to some results.

An `if` or a loop has many results, and each may need only some of the operands. Fission rests on this:
a result that does not need the recurrence is computed outside the sequential part, although the same `if`
also yields one that does.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

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
    if eqn.primitive not in _NEEDS:
        return eqn.invars
    return [eqn.invars[j] for j in _bits(_needs(eqn)[k])]


def restrict(eqn: JaxprEqn, outs: Iterable[int]) -> JaxprEqn:
    """The equation with only the results `outs`, and of its operands only those that they need."""
    outs = tuple(outs)
    if eqn.primitive not in _NEEDS:
        return eqn
    invars, params, kept = _cut(eqn, outs)
    return eqn.replace(invars=invars, outvars=[eqn.outvars[k] for k in kept], params=params)


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


@lru_cache(maxsize=4096)
def _cut(eqn: JaxprEqn, outs: tuple[int, ...]) -> tuple[list[Any], dict, list[int]]:
    """Operands, parameters and results of the equation that computes `outs` only.

    A loop keeps the carried values that the results need; the results kept are then more than `outs`.
    """
    needs = _needs(eqn)
    return _CUTS[eqn.primitive](eqn, outs, list(_bits(reduce(or_, (needs[k] for k in outs), 0))))


def _cut_if(eqn: JaxprEqn, outs: tuple[int, ...], keep: list[int]) -> tuple[list[Any], dict, list[int]]:
    keep = sorted({0, *keep})
    sides = [prune(eqn.params[name], outs) for name in ("then", "otherwise")]
    sides = [s.replace(invars=[s.invars[k - 1] for k in keep[1:]]) for s in sides]
    params = eqn.params | {"then": sides[0], "otherwise": sides[1]}
    return [eqn.invars[k] for k in keep], params, list(outs)


def _cut_for(eqn: JaxprEqn, outs: tuple[int, ...], keep: list[int]) -> tuple[list[Any], dict, list[int]]:
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    carried = [k - n for k in keep if k >= n]
    kept = [*carried, *(k for k in outs if k >= m)]
    body = prune(body, kept)
    body = body.replace(invars=[body.invars[0], *(body.invars[1 + k] for k in keep)])
    names = tuple(eqn.params["names"][k] for k in carried)
    params = {"body": body, "n_consts": len(keep) - len(carried), "n_carry": len(carried), "names": names}
    return [eqn.invars[k] for k in keep], eqn.params | params, kept


def _cut_while(eqn: JaxprEqn, outs: tuple[int, ...], keep: list[int]) -> tuple[list[Any], dict, list[int]]:
    cond, n = eqn.params["cond"], eqn.params["n_consts"]
    carried = [k - n for k in keep if k >= n]
    body = prune(eqn.params["body"], carried)
    body = body.replace(invars=[body.invars[k] for k in keep])
    cond = cond.replace(invars=[cond.invars[k] for k in keep])
    params = eqn.params | {"cond": cond, "body": body, "n_consts": len(keep) - len(carried)}
    return [eqn.invars[k] for k in keep], params, carried


_CUTS = {ir.if_p: _cut_if, ir.for_p: _cut_for, ir.while_p: _cut_while}


# --- operands by result, as the bits of whole numbers ----------------------------------------------


def _bits(mask: int) -> Iterator[int]:
    """The positions of the bits that are set, from below."""
    return (k for k in range(mask.bit_length()) if mask >> k & 1)


@lru_cache(maxsize=4096)
def _needs(eqn: JaxprEqn) -> list[int]:
    """The operands that each result of an `if` or a loop needs."""
    return _NEEDS[eqn.primitive](eqn.params)


def _needs_if(params: dict[str, Any]) -> list[int]:
    return [1 | (a | b) << 1 for a, b in zip(_reach(params["then"]), _reach(params["otherwise"]), strict=True)]


def _needs_for(params: dict[str, Any]) -> list[int]:
    rows = [row >> 1 for row in _reach(params["body"])]  # the index is none of the operands
    return _over_iterations(rows, params["n_consts"], params["n_carry"], 0)


def _needs_while(params: dict[str, Any]) -> list[int]:
    rows = _reach(params["body"])
    return _over_iterations(rows, params["n_consts"], len(rows), _reach(params["cond"])[0])


def _over_iterations(rows: list[int], n_consts: int, n_carry: int, always: int) -> list[int]:
    """What each result of a loop needs over all iterations, from what it needs in one; `always` all do."""
    found = []
    for k, row in enumerate(rows):
        mask, todo = 0, always | (1 << n_consts + k if k < n_carry else row)
        while todo & ~mask:
            new, mask = todo & ~mask, mask | todo
            todo = reduce(or_, (rows[j] for j in _bits(new >> n_consts)), 0)
        found.append(mask)
    return found


_NEEDS = {ir.if_p: _needs_if, ir.for_p: _needs_for, ir.while_p: _needs_while}


@lru_cache(maxsize=4096)
def _reach(body: Jaxpr) -> list[int]:
    """The inputs that each result of a jaxpr depends on."""
    reach: dict[Any, int] = {v: 1 << k for k, v in enumerate(body.invars)}
    for eqn in body.eqns:
        given = [0 if isinstance(a, Literal) else reach.get(a, 0) for a in eqn.invars]
        if eqn.primitive in _NEEDS:
            masks = [reduce(or_, (given[j] for j in _bits(need)), 0) for need in _needs(eqn)]
        else:
            masks = [reduce(or_, given, 0)] * len(eqn.outvars)
        reach.update(zip(eqn.outvars, masks, strict=True))
    return [0 if isinstance(a, Literal) else reach.get(a, 0) for a in body.outvars]
