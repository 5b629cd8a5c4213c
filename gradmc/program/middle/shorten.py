"""Short inner loops written out.

A loop of a few iterations inside another loop costs more as a loop than as its equations: in a vectorised body it
would add a short innermost axis, in a sequential one a loop of a few steps. Once it is written out its indices are
literals, and so are those of the small arrays it fills (`P[i][j]`, `terms[k]`): loads from what was just stored are
the stored values themselves (`forwarding`), and carried arrays become scalars (`elements`).
"""

from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import deeper
from gradmc.program.middle.cost_model import size
from gradmc.program.middle.depends import prune
from gradmc.program.middle.elements import taken_apart
from gradmc.program.middle.forwarding import forwarded, stack
from gradmc.program.middle.normal_form import copied, named

# Equations up to which an inner loop is written out: compile time grows with each, and with more the loop is no
# slower (measured: a hidden Markov model's loop over 3 states, 99 equations, compiles in 0.7 times the time). Sums of
# whole numbers are not among them: they are mostly subscripts, which are literals afterwards or the same in all loops
# around (a filter of 3 x 3 over pictures, 54 equations, takes 0.4 times the time once it is written out).
SHORT = 64
# Longer ones make good innermost axes whatever their body.
LONGEST = 6


def shortened(body: Jaxpr, depth: int = 0) -> Jaxpr:
    """The same jaxpr with short inner loops written out and loads of stored values resolved, at any depth."""
    eqns: list[JaxprEqn] = []
    names: dict[Var, Any] = {}
    for eqn in body.eqns:
        eqn = _inside(eqn.replace(invars=[named(names, a) for a in eqn.invars]), depth)
        if depth and eqn.primitive is ir.for_p and _short(eqn):
            names |= zip(eqn.outvars, _written_out(eqn, eqns), strict=True)
        elif eqn.primitive is ir.for_p:
            eqns += taken_apart(eqn)
        else:
            eqns.append(eqn)
    body = body.replace(eqns=eqns, outvars=[named(names, a) for a in body.outvars])
    body = forwarded(body)
    return prune(body, range(len(body.outvars)))


def _inside(eqn: JaxprEqn, depth: int) -> JaxprEqn:
    below = depth + (eqn.primitive is not ir.if_p)
    return deeper(eqn, lambda body: shortened(body, below))


def _short(eqn: JaxprEqn) -> bool:
    length, body = eqn.params["length"], eqn.params["body"]
    return length <= LONGEST and length * (size(body) - sum(map(_subscript, body.eqns))) <= SHORT


def _subscript(eqn: JaxprEqn) -> bool:
    """Whether an equation adds or multiplies whole numbers, as subscripts are made."""
    return eqn.primitive in (jp.add_p, jp.sub_p, jp.mul_p) and np.issubdtype(eqn.outvars[0].aval.dtype, np.integer)


def _written_out(eqn: JaxprEqn, eqns: list[JaxprEqn]) -> list[Any]:
    """Append the iterations of a loop one after the other; returns its results."""
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    index = body.invars[0].aval
    consts, carry = eqn.invars[:n], list(eqn.invars[n:])
    stacked = []
    for i in range(eqn.params["length"]):
        out = copied(body, [Literal(np.asarray(i, index.dtype), index), *consts, *carry], eqns)
        carry, ys = out[:m], out[m:]
        stacked.append(ys)
    for ys, var in zip(zip(*stacked, strict=True), eqn.outvars[m:], strict=False):
        more, whole = stack(ys, var.aval.shape)
        eqns += more
        carry.append(whole)
    if not stacked:
        for var in eqn.outvars[m:]:
            carry.append(Literal(np.zeros(var.aval.shape, var.aval.dtype), var.aval))
    return carry
