"""Maxima and minima of arrays whose derivative finds the entry that they are.

JAX's rule for `max(x)` looks for the entries that equal the result and divides by their number. XLA may compute x
once for the maximum and again for the comparison, in another fusion that rounds otherwise (one contracts a product and
a sum, one does not): no entry is equal then, and the derivative is 0 / 0. `settled` is an identity that has its operand
computed once.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Primitive, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp
from jax.interpreters import ad, batching, mlir

from gradmc.program.jaxprs import everywhere

settled_p = Primitive("settled")


def with_settled_extremes(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, the operands of its maxima and minima settled where they are differentiated, at any depth."""
    eqns: list[JaxprEqn] = []
    differentiated = _differentiated(body)
    for eqn in body.eqns:
        eqn = everywhere(eqn, with_settled_extremes)
        if eqn.primitive in (jp.reduce_max_p, jp.reduce_min_p) and eqn.outvars[0] in differentiated:
            (operand,) = eqn.invars
            settled = Var(operand.aval)
            eqns.append(new_jaxpr_eqn([operand], [settled], settled_p, {}, no_effects))
            eqn = eqn.replace(invars=[settled])
        eqns.append(eqn)
    return body.replace(eqns=eqns)


def _differentiated(body: Jaxpr) -> set[Var]:
    """The real variables on whose derivatives those of the results depend."""
    found = _real(body.outvars)
    for eqn in reversed(body.eqns):
        if eqn.primitive is not jp.stop_gradient_p and any(v in found for v in eqn.outvars):
            found |= _real(eqn.invars)
    return found


def _real(atoms: Sequence[Any]) -> set[Var]:
    return {a for a in atoms if isinstance(a, Var) and jnp.issubdtype(a.aval.dtype, jnp.floating)}


def _jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    return settled_p.bind(*primals), tangents[0]


settled_p.def_impl(lambda x: x)
settled_p.def_abstract_eval(lambda x: x)
ad.primitive_jvps[settled_p] = _jvp
batching.primitive_batchers[settled_p] = lambda operands, dims: (settled_p.bind(*operands), dims[0])
mlir.register_lowering(settled_p, mlir.lower_fun(lax.optimization_barrier, multiple_results=False))
