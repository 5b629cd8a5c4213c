"""What each carried value of a loop is, read off the body.

    invariant     the body returns it as it came
    accumulator   touched only by adding to it (or max, min, and, or, logaddexp): a reduction after the loop
    stores        an array touched only by stores, or by adding to its elements: assembled after the loop
    ordinary      anything else. Whether such a value is a recurrence or merely a delayed copy of something
                  that does not depend on it (`previous = y[t]`) is seen from the dependences (`plan`).

An accumulator is followed from the body's input to its output: a *chain* of steps, each of which is the only
use of what the step before gave. It may run through branches and through inner loops.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import producers

# Operation, and whether the running value must be the first operand.
_STEPS = {
    jp.add_p: "add",
    jp.sub_p: "add",
    jp.max_p: "max",
    jp.min_p: "min",
    jp.and_p: "and",
    jp.or_p: "or",
}


@dataclass(frozen=True, slots=True)
class Role:
    """`kind` is one of invariant, accumulator, stores, ordinary; `operation` how an accumulator accumulates."""

    kind: str
    operation: str = ""


def roles(eqn: JaxprEqn) -> list[Role]:
    """The role of each carried value of a `for`."""
    body, first = eqn.params["body"], 1 + eqn.params["n_consts"]
    return [_role(body, body.invars[first + k], k) for k in range(eqn.params["n_carry"])]


def _role(body: Jaxpr, var: Var, k: int) -> Role:
    end = chain(body, {var})
    if end is None or end.results != (k,):
        return Role("ordinary")
    if end.operation == "":
        return Role("invariant")
    if end.operation in ("store", "store add"):
        return Role("stores", end.operation)
    return Role("accumulator", end.operation)


@dataclass(frozen=True, slots=True)
class ReductionChain:
    """Where a chain of steps ends: the operation, the variables that hold the result, the results among them."""

    operation: str
    variables: frozenset[Var]
    results: tuple[int, ...]


def chain(body: Jaxpr, start: set[Var]) -> ReductionChain | None:
    """Follow a running value through a jaxpr; None if it is used for anything but one kind of step."""
    current, operation = set(start), ""
    while True:
        uses = [eqn for eqn in body.eqns if any(a in current for a in eqn.invars if isinstance(a, Var))]
        results = tuple(k for k, a in enumerate(body.outvars) if not isinstance(a, Literal) and a in current)
        if not uses:
            return ReductionChain(operation, frozenset(current), results)
        step = None if results else _step(body, uses, current)
        if step is None or (operation and step[0] and step[0] != operation):
            return None
        operation, current = step[0] or operation, step[1]


def _step(body: Jaxpr, uses: list[JaxprEqn], current: set[Var]) -> tuple[str, set[Var]] | None:
    """The operation of one step and the variables that hold its result."""
    if len(uses) == 2:
        return _add_to_element(body, uses, current)
    if len(uses) != 1:
        return None
    eqn = uses[0]
    where = [k for k, a in enumerate(eqn.invars) if isinstance(a, Var) and a in current]
    if eqn.primitive is ir.if_p:
        return _through_if(eqn, where)
    if eqn.primitive is ir.for_p:
        return _through_for(eqn, where)
    if eqn.primitive is ir.store_p:
        return ("store", set(eqn.outvars)) if where == [0] else None
    operation = "logaddexp" if is_logaddexp(eqn) else _STEPS.get(eqn.primitive)
    if operation is None or len(where) != 1 or (eqn.primitive is jp.sub_p and where != [0]):
        return None
    if operation in ("and", "or") and eqn.outvars[0].aval.dtype != np.bool_:
        return None
    return operation, set(eqn.outvars)


def _add_to_element(body: Jaxpr, uses: list[JaxprEqn], current: set[Var]) -> tuple[str, set[Var]] | None:
    """x[k] += v: a load whose only use is an addition whose only use is a store to the same place."""
    load, store = uses
    if load.primitive is not ir.load_p or store.primitive is not ir.store_p:
        return None
    stored = store.invars[1]
    if load.invars[0] not in current or store.invars[0] not in current or isinstance(stored, Literal):
        return None
    if stored in current:
        return None
    made_by = producers(body)
    places = load.invars[1:], store.invars[2:]
    if len(places[0]) != len(places[1]) or not all(same(a, b, made_by) for a, b in zip(*places, strict=True)):
        return None
    element = load.outvars[0]
    while element is not store.invars[1]:
        users = [e for e in body.eqns if any(a is element for a in e.invars)]
        if len(users) != 1 or users[0].primitive not in (jp.add_p, jp.sub_p) or any(element is a for a in body.outvars):
            return None
        left, right = users[0].invars
        if left is right or (users[0].primitive is jp.sub_p and left is not element):
            return None
        element = users[0].outvars[0]
    if sum(a is element for e in body.eqns for a in e.invars) != 1 or any(element is a for a in body.outvars):
        return None
    return "store add", set(store.outvars)


def same(a: Any, b: Any, made_by: dict[Var, tuple[JaxprEqn, int]]) -> bool:
    """Whether two atoms are surely the same number: one variable, equal literals, or made alike."""
    if a is b:
        return True
    if isinstance(a, Literal) or isinstance(b, Literal):
        return isinstance(a, Literal) and isinstance(b, Literal) and bool(np.all(a.val == b.val))
    if a not in made_by or b not in made_by:
        return False
    (one, k), (two, m) = made_by[a], made_by[b]
    alike = one.primitive is two.primitive and k == m and len(one.invars) == len(two.invars)
    return (
        alike
        and len(one.outvars) == 1
        and str(one.params) == str(two.params)
        and all(same(x, y, made_by) for x, y in zip(one.invars, two.invars, strict=True))
    )


def _through_if(eqn: JaxprEqn, where: list[int]) -> tuple[str, set[Var]] | None:
    if 0 in where:
        return None
    ends = []
    for name in ("then", "otherwise"):
        side = eqn.params[name]
        ends.append(chain(side, {side.invars[k - 1] for k in where}))
    if ends[0] is None or ends[1] is None:
        return None
    both = set(ends[0].results) & set(ends[1].results)
    operations = {e.operation for e in ends} - {""}
    if len(both) != 1 or len(operations) > 1 or len(ends[0].results) > 1 or len(ends[1].results) > 1:
        return None
    return "".join(operations), {eqn.outvars[k] for k in both}


def _through_for(eqn: JaxprEqn, where: list[int]) -> tuple[str, set[Var]] | None:
    body, n = eqn.params["body"], eqn.params["n_consts"]
    if len(where) != 1 or where[0] < n:
        return None
    k = where[0] - n
    end = chain(body, {body.invars[1 + n + k]})
    if end is None or end.results != (k,):
        return None
    return end.operation, {eqn.outvars[k]}


def is_logaddexp(eqn: JaxprEqn) -> bool:
    """Whether an equation is `jnp.logaddexp`."""
    if eqn.primitive is not jp.custom_jvp_call_p or len(eqn.invars) != 2:
        return False
    return _shape(eqn.params["call_jaxpr"]) == _logaddexp()


def _shape(body: Jaxpr) -> tuple[Any, ...]:
    return tuple(eqn.primitive for eqn in body.eqns)


@lru_cache(maxsize=1)
def _logaddexp() -> tuple[Any, ...]:
    closed = jax.make_jaxpr(jnp.logaddexp)(0.0, 0.0)
    return _shape(next(e for e in closed.eqns if e.primitive is jp.custom_jvp_call_p).params["call_jaxpr"])
