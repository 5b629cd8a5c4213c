"""Walking jaxprs: what equations hold, who reads what, and rewriting the bodies inside of them.

Three ways lead down from an equation. `bodies`: the bodies of the loop IR, which passes rewrite (calls have been
inlined). `nested`: every jaxpr among the parameters, those of JAX's loops, branches, calls and derivative rules too.
And an analysis may take its own (`walk(jaxpr, inside)`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from jax.extend.core import Jaxpr, JaxprEqn, Var

from gradmc.program import ir


def bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    """The bodies of a loop or branch of the IR; none of any other equation."""
    return [eqn.params[name] for name in ir.BODIES.get(eqn.primitive, ())]


def nested(eqn: JaxprEqn) -> list[Jaxpr]:
    """Every jaxpr among the parameters of an equation."""
    found = [v for p in eqn.params.values() for v in (p if isinstance(p, tuple | list) else [p])]
    return [v for v in found if isinstance(v, Jaxpr)]


def walk(jaxpr: Jaxpr, inside: Callable[[JaxprEqn], Sequence[Jaxpr]] = nested) -> Iterator[JaxprEqn]:
    """All equations at any depth, an equation before those inside of it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in inside(eqn):
            yield from walk(inner, inside)


def deeper(eqn: JaxprEqn, rewrite: Callable[[Jaxpr], Jaxpr]) -> JaxprEqn:
    """The equation with the bodies of the IR in it rewritten."""
    names = ir.BODIES.get(eqn.primitive, ())
    return eqn.replace(params=eqn.params | {n: rewrite(eqn.params[n]) for n in names}) if names else eqn


def everywhere(eqn: JaxprEqn, rewrite: Callable[[Jaxpr], Jaxpr]) -> JaxprEqn:
    """The equation with every jaxpr among its parameters rewritten."""
    return eqn.replace(params={name: _rewritten(value, rewrite) for name, value in eqn.params.items()})


def _rewritten(value: Any, rewrite: Callable[[Jaxpr], Jaxpr]) -> Any:
    if isinstance(value, Jaxpr):
        return rewrite(value)
    if isinstance(value, tuple) and value and all(isinstance(v, Jaxpr) for v in value):
        inner, kind = map(rewrite, value), cast(Any, type(value))
        return tuple(inner) if kind is tuple else kind(*inner)  # a linear solve has named ones
    return value


def producers(body: Jaxpr) -> dict[Var, tuple[JaxprEqn, int]]:
    """For each variable that an equation defines: the equation and the position among its results."""
    return {v: (eqn, k) for eqn in body.eqns for k, v in enumerate(eqn.outvars)}


def users(body: Jaxpr) -> dict[Var, list[JaxprEqn | None]]:
    """The equations that read each variable, once per operand; None stands for a result of the body."""
    found: dict[Var, list[JaxprEqn | None]] = {}
    for eqn in body.eqns:
        for atom in eqn.invars:
            if isinstance(atom, Var):
                found.setdefault(atom, []).append(eqn)
    for atom in body.outvars:
        if isinstance(atom, Var):
            found.setdefault(atom, []).append(None)
    return found
