"""What equations cost, roughly, in nanoseconds per element on one CPU core, and which derivatives can be infinite."""

from math import prod

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.guard import guard_p

_FREE = frozenset(
    {jp.broadcast_in_dim_p, jp.reshape_p, jp.squeeze_p, jp.convert_element_type_p, jp.stop_gradient_p, jp.copy_p}
)
_SLOW = {
    jp.exp_p: 2.0,
    jp.log_p: 2.0,
    jp.log1p_p: 3.0,
    jp.expm1_p: 3.0,
    jp.logistic_p: 2.5,
    jp.tanh_p: 3.0,
    jp.sin_p: 4.0,
    jp.cos_p: 4.0,
    jp.pow_p: 8.0,
    jp.sqrt_p: 1.0,
    jp.div_p: 0.6,
    jp.erf_p: 6.0,
    jp.erfc_p: 10.0,
    jp.erf_inv_p: 10.0,
    jp.lgamma_p: 25.0,
    jp.digamma_p: 25.0,
    jp.custom_jvp_call_p: 6.0,
    jp.custom_vjp_call_p: 6.0,
    ir.load_p: 0.0,
}
_ARITHMETIC = 0.25
GATHER = 1.0
_LOOP = 50.0


def weight(body: Jaxpr) -> float:
    """The cost of one run of a branch."""
    return sum(weigh(eqn) for eqn in body.eqns)


def weigh(eqn: JaxprEqn) -> float:
    """The cost of one equation."""
    if eqn.primitive in _FREE:
        return 0.0
    if eqn.primitive is ir.if_p:
        return weight(eqn.params["then"]) + weight(eqn.params["otherwise"])
    if eqn.primitive in (ir.for_p, ir.while_p):
        return _LOOP + eqn.params.get("length", 10) * weight(eqn.params["body"])
    return _SLOW.get(eqn.primitive, _ARITHMETIC)


def size(body: Jaxpr) -> int:
    """How many equations a body has, inner loops written out."""
    return max(1, sum(map(equation_size, body.eqns)))


def equation_size(eqn: JaxprEqn) -> int:
    """How many equations an equation stands for."""
    bodies = [eqn.params[name] for name in ("then", "otherwise", "body", "cond") if name in eqn.params]
    inner = sum(size(b) for b in bodies if isinstance(b, Jaxpr))
    return eqn.params.get("length", 1) * inner if inner else 1


def is_float(var: Var) -> bool:
    """Whether a variable is a real or complex number or an array of them."""
    return np.issubdtype(var.aval.dtype, np.inexact)


def footprint(body: Jaxpr) -> int:
    """How many numbers the equations of a body yield, inner loops with all their iterations."""
    return sum(map(_footprint, body.eqns))


def _footprint(eqn: JaxprEqn) -> int:
    if eqn.primitive is ir.if_p:
        return footprint(eqn.params["then"]) + footprint(eqn.params["otherwise"])
    if eqn.primitive is ir.for_p:
        return eqn.params["length"] * footprint(eqn.params["body"])
    return sum(prod(v.aval.shape) for v in eqn.outvars)


def loads(body: Jaxpr) -> int:
    """How many loads a branch makes."""
    return sum(eqn.primitive is ir.load_p for eqn in body.eqns)


# Functions whose derivative can be infinite, or overflow, for finite operands. A product is as tame as its
# operands; what the table does not list (decompositions, functions with rules of their own) is not tame.
_TAME = frozenset(
    getattr(jp, f"{name}_p")
    for name in (
        *("abs", "add", "and", "argmax", "argmin", "atan", "broadcast_in_dim", "ceil", "clamp", "concatenate"),
        *("convert_element_type", "copy", "cos", "cummax", "cummin", "cumsum", "dot_general", "dynamic_slice"),
        *("dynamic_update_slice", "eq", "erf", "erfc", "floor", "gather", "ge", "gt", "iota", "is_finite", "le"),
        *("logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pad", "reduce_and", "reduce_max"),
        *("reduce_min", "reduce_or", "reduce_sum", "rem", "reshape", "rev", "round", "select_n", "sign", "sin"),
        *("slice", "square", "squeeze", "stop_gradient", "sub", "tanh", "transpose", "xor"),
    )
) | {ir.load_p, ir.store_p, guard_p}


def tame(body: Jaxpr) -> bool:
    """Whether a zero cotangent at the results of a branch surely stays zero on its way to the inputs."""
    return all(map(tame_equation, body.eqns))


def tame_equation(eqn: JaxprEqn) -> bool:
    """Whether the derivative of an equation is finite for all finite operands."""
    if eqn.primitive is ir.if_p:
        return tame(eqn.params["then"]) and tame(eqn.params["otherwise"])
    if eqn.primitive is ir.for_p:
        return tame(eqn.params["body"])
    if eqn.primitive is jp.integer_pow_p:
        return eqn.params["y"] >= 1
    if eqn.primitive is jp.div_p:
        return isinstance(eqn.invars[1], Literal)
    return eqn.primitive in _TAME
