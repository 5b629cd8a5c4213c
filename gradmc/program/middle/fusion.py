"""Long expressions kept apart, so that the machine code of a program grows as the program does.

XLA puts what an expression computes into the loop of whoever reads it, once for each reader. A value with two readers
that is computed from values with two readers, and so on, is written out a number of times that grows exponentially:

    s = a + b;  t = a * b                   y as XLA writes it out:
    u = s + t;  v = s * t                   ((a + b) + (a * b)) + ((a + b) * (a * b)),
    y = u + v                               and after n such lines a + b stands there 2**n times

The *expansion* of a value is the number of equations that XLA would write out for it. Where it exceeds `MOST` and the
value has several readers, a barrier has it computed once, and so is its cotangent.
"""

import functools

import jax
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Var

from gradmc.program.jaxprs import everywhere, nested, users

MOST = 100
"""Equations that may be written out again for each reader. (Value and gradient of 50 sites of an alignment on a tree of
32 tips compile in 2.6 s; without a limit not within 150 s.)"""


@functools.cache
def _barrier() -> JaxprEqn:
    (eqn,) = jax.make_jaxpr(lax.optimization_barrier)(0.0).eqns
    return eqn


def with_barriers(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, its long expressions with several readers kept apart, at any depth."""
    readers = users(body)
    expansion: dict[Var, int] = {}
    eqns: list[JaxprEqn] = []
    kept: dict[Var, Var] = {}
    for eqn in body.eqns:
        eqn = everywhere(eqn, with_barriers)
        inner = nested(eqn)
        eqn = eqn.replace(invars=[kept.get(v, v) if isinstance(v, Var) else v for v in eqn.invars])
        size = 0 if inner else 1 + sum(expansion.get(v, 0) for v in eqn.invars if isinstance(v, Var))
        eqns.append(eqn)
        for out in eqn.outvars:
            expansion[out] = size
            if size > MOST and len(readers.get(out, ())) > 1:
                apart = kept[out] = Var(out.aval)
                eqns.append(_barrier().replace(invars=[out], outvars=[apart]))
    return body.replace(eqns=eqns, outvars=[kept.get(v, v) if isinstance(v, Var) else v for v in body.outvars])
