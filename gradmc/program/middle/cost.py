"""What equations cost, roughly, in nanoseconds per element on one CPU core, and which derivatives can be infinite."""

from jax.extend.core import Jaxpr, JaxprEqn, Literal
from jax.extend.core import primitives as jp

from gradmc.program import ir

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
    total = 0
    for eqn in body.eqns:
        bodies = [eqn.params[name] for name in ("then", "otherwise", "body", "cond") if name in eqn.params]
        inner = [size(b) for b in bodies if isinstance(b, Jaxpr)]
        total += eqn.params.get("length", 1) * sum(inner) if inner else 1
    return max(total, 1)


def loads(body: Jaxpr) -> int:
    """How many loads a branch makes."""
    return sum(eqn.primitive is ir.load_p for eqn in body.eqns)


# Derivatives that are finite for finite operands and that no overflow inside can make infinite.
_TAME = frozenset(
    {
        jp.abs_p, jp.add_p, jp.and_p, jp.argmax_p, jp.argmin_p, jp.broadcast_in_dim_p, jp.ceil_p, jp.clamp_p,
        jp.concatenate_p, jp.convert_element_type_p, jp.copy_p, jp.eq_p, jp.floor_p, jp.ge_p, jp.gt_p, jp.iota_p,
        jp.is_finite_p, jp.le_p, jp.lt_p, jp.max_p, jp.min_p, jp.ne_p, jp.neg_p, jp.not_p, jp.or_p, jp.reduce_max_p,
        jp.reduce_min_p, jp.reduce_sum_p, jp.reshape_p, jp.rev_p, jp.round_p, jp.select_n_p, jp.sign_p, jp.slice_p,
        jp.squeeze_p, jp.stop_gradient_p, jp.sub_p, jp.transpose_p, ir.load_p, ir.store_p,
    }
)  # fmt: skip


def tame(body: Jaxpr) -> bool:
    """Whether a zero cotangent at the results of a branch surely stays zero on its way to the inputs."""
    return all(map(_tame, body.eqns))


def _tame(eqn: JaxprEqn) -> bool:
    if eqn.primitive is ir.if_p:
        return tame(eqn.params["then"]) and tame(eqn.params["otherwise"])
    if eqn.primitive is ir.for_p:
        return tame(eqn.params["body"])
    if eqn.primitive in (jp.mul_p, jp.div_p):
        constant = eqn.invars[1] if eqn.primitive is jp.div_p else None
        scaled = [a for a in eqn.invars if isinstance(a, Literal)]
        return bool(scaled) and (constant is None or isinstance(constant, Literal))
    return eqn.primitive in _TAME
