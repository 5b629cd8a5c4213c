"""Linear recurrences as prefix products, for machines on which a step of a `scan` costs a kernel launch.

A recurrence h' = A(t) h + b(t) with few values is a product of affine maps, and products of neighbours can be
formed in any order: `associative_scan` needs log T rounds in place of T steps (Blelloch 1990). On a CPU it
does more work than the scan, and compiles longer; the cost model uses it on accelerators.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program.middle.depends import operands
from gradmc.program.middle.emit import Context, apply, read
from gradmc.program.middle.named_axes import Axis, Value, traced, union
from gradmc.program.middle.plan import Group

# Members of the largest recurrence, and the fewest iterations, that are worth it.
MEMBERS = 3
LENGTH = 64


def wanted(group: Group, length: int, context: Context) -> bool:
    """Whether a recurrence is linear and the machine an accelerator (or the option is set)."""
    choice = context.options.associative
    if choice is None:
        choice = jax.default_backend() != "cpu"
    return choice and length >= LENGTH and len(group.members) <= MEMBERS and _affine(group)


def _affine(group: Group) -> bool:
    """Whether every step is affine in the carried values."""
    inside = {v for e in group.steps for v in e.outvars}
    external = set(group.externals)
    return all(_affine_step(e, external, inside) for e in group.steps)


def _affine_step(eqn: JaxprEqn, external: set[Var], inside: set[Var]) -> bool:
    if len(eqn.outvars) != 1 or eqn.outvars[0].aval.shape or not np.issubdtype(eqn.outvars[0].aval.dtype, np.floating):
        return False
    varying = [k for k, a in enumerate(operands(eqn, 0)) if not isinstance(a, Literal) and a not in external]
    if eqn.primitive in (jp.add_p, jp.sub_p, jp.neg_p):
        return True
    if eqn.primitive is jp.mul_p:
        return len(varying) == 1
    if eqn.primitive is jp.div_p:
        return varying == [0]
    return eqn.primitive is jp.select_n_p and 0 not in varying


def run_linear(
    group: Group,
    body: Jaxpr,
    carried: list[Var],
    init: Sequence[Value],
    env: dict[Var, Any],
    axis: Axis,
    context: Context,
) -> tuple[list[Value], dict[Var, Value]]:
    """The final carried values of a group, and what it exports, for all iterations."""
    names = [carried[k] for k in group.members]
    externals = {v: env[v] for v in group.externals}
    axes = union([*externals.values(), *init, Value(np.zeros(axis.size), (axis,))])

    def steps(values: Sequence[Value]) -> dict[Var, Any]:
        here = dict(externals) | dict(zip(names, values, strict=True))
        for eqn in group.steps:
            here |= zip(eqn.outvars, apply(eqn, [read(here, a) for a in eqn.invars], context), strict=True)
        return here

    def after(values: Sequence[Value]) -> list[Any]:
        here = steps(values)
        return [traced(context.widen(read(here, body.outvars[k]), axes)) for k in group.members]

    n, dtype = len(names), names[0].aval.dtype
    constant = after([Value(np.zeros((), dtype))] * n)
    columns = [after([Value(np.asarray(float(k == m), dtype)) for m in range(n)]) for k in range(n)]
    matrix = jnp.stack([jnp.stack([c - b for c, b in zip(col, constant, strict=True)], -1) for col in columns], -1)
    vector = jnp.stack(constant, -1)
    along = axes.index(axis)
    products, sums = lax.associative_scan(_then, (matrix, vector), axis=along)
    outer = tuple(a for a in axes if a is not axis)
    start = jnp.stack([traced(context.widen(v, outer)) for v in init], -1)
    start = jnp.expand_dims(start, along)
    states = jnp.sum(products * start[..., None, :], -1) + sums
    shifted = jnp.concatenate([start, lax.slice_in_dim(states, 0, axis.size - 1, axis=along)], along)
    last = lax.index_in_dim(states, axis.size - 1, along, keepdims=False)
    here = steps([Value(shifted[..., m], axes) for m in range(n)])
    return [Value(last[..., m], outer) for m in range(n)], {v: here[v] for v in group.exports}


def _then(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Any, Any]:
    """The affine map that is `first` followed by `second`."""
    a, b = first
    c, d = second
    return jnp.sum(c[..., :, :, None] * a[..., None, :, :], -2), jnp.sum(c * b[..., None, :], -1) + d
