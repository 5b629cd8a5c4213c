"""A program that factorises its own parameters takes the factors instead.

A correlation matrix R = L L' is built from L, and a law of R asks for L again. Factorising R costs time, and near the
singular matrices, where L has entries below the rounding errors of R, it fails. `with_factors` looks in a traced
program for the Cholesky factor of a parameter, symmetrised as `jnp.linalg.cholesky` does it, and makes it an input.
That the matrix takes steps along its leading axes on the way (one of several matrices, say) does not matter: the
factor takes the same steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program.middle.depends import needed, prune
from gradmc.program.middle.take import take_p


@dataclass(frozen=True, slots=True)
class _Known:
    """A symmetric matrix that is `times` the product of a known factor and its transpose."""

    factor: Var
    times: float = 1.0


def with_factors(closed: Jaxpr, matrices: Sequence[int]) -> tuple[Jaxpr, tuple[int, ...]]:
    """Replace the Cholesky factors of some inputs by further inputs.

    Args:
        closed: a program in JAX's own primitives.
        matrices: positions of inputs that are symmetric positive definite, shape (..., K, K).

    Returns:
        The program with the factors of some of those inputs as inputs after all others, and which ones these are.
    """
    if not any(eqn.primitive is jp.cholesky_p for eqn in closed.eqns):
        return closed, ()
    factors = {k: Var(closed.invars[k].aval) for k in matrices}
    known = {closed.invars[k]: _Known(factor) for k, factor in factors.items()}
    given: dict[Var, Var] = {}
    eqns: list[JaxprEqn] = []
    for eqn in closed.eqns:
        eqn = eqn.replace(invars=[given.get(v, v) if isinstance(v, Var) else v for v in eqn.invars])
        first = known.get(eqn.invars[0]) if eqn.invars and isinstance(eqn.invars[0], Var) else None
        if first is not None and eqn.primitive is jp.cholesky_p and first.times == 1.0:
            given[eqn.outvars[0]] = first.factor
        elif first is not None and _along_leading_axes(eqn):
            factor = Var(eqn.outvars[0].aval)
            known[eqn.outvars[0]] = _Known(factor, first.times)
            eqns.append(eqn.replace(invars=[first.factor, *eqn.invars[1:]], outvars=[factor]))
        elif first is not None and (times := _multiple(eqn, first, known)):
            known[eqn.outvars[0]] = _Known(first.factor, times)
        eqns.append(eqn)
    outvars = [given.get(v, v) if isinstance(v, Var) else v for v in closed.outvars]
    extended = closed.replace(invars=[*closed.invars, *factors.values()], outvars=outvars, eqns=eqns)
    extended = prune(extended, range(len(outvars)))
    read = needed(extended, extended.outvars)
    kept = tuple(k for k, factor in factors.items() if factor in read)
    return extended.replace(invars=[*closed.invars, *(factors[k] for k in kept)]), kept


def _multiple(eqn: JaxprEqn, first: _Known, known: Mapping[Var, _Known]) -> float:
    """What multiple of its factor's product an equation gives from a known matrix; 0 where that is not known."""
    axes = eqn.outvars[0].aval.ndim
    if eqn.primitive is jp.transpose_p:
        return first.times if eqn.params["permutation"] == (*range(axes - 2), axes - 1, axes - 2) else 0.0
    if len(eqn.invars) < 2:
        return 0.0
    second = eqn.invars[1]
    if isinstance(second, Literal):
        if second.aval.shape or eqn.primitive not in (jp.mul_p, jp.div_p):
            return 0.0
        return first.times * float(second.val) if eqn.primitive is jp.mul_p else first.times / float(second.val)
    other = known.get(second)
    if other is None or other.factor is not first.factor or eqn.primitive is not jp.add_p:
        return 0.0
    return first.times + other.times


def _along_leading_axes(eqn: JaxprEqn) -> bool:
    """Whether an equation treats its first operand as an array of matrices and leaves the matrices as they are."""
    before, after = (v.aval.shape for v in (eqn.invars[0], eqn.outvars[0]))
    if before[-2:] != after[-2:]:
        return False
    n, m, params = len(before), len(after), eqn.params
    if eqn.primitive is take_p:
        return n > 2
    if eqn.primitive is jp.slice_p:
        return (params["strides"] or (1,) * n)[-2:] == (1, 1)
    if eqn.primitive is jp.squeeze_p:
        return all(axis < n - 2 for axis in params["dimensions"])
    if eqn.primitive is jp.broadcast_in_dim_p:
        return tuple(params["broadcast_dimensions"])[-2:] == (m - 2, m - 1)
    return eqn.primitive is jp.reshape_p and params["dimensions"] is None
