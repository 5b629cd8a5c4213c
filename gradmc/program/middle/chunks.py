"""Vectorised loops whose values would not fit into memory, run in chunks.

Loads from arrays outside the loop are slices of them and are made for all iterations; what is computed from them
is computed for one chunk of iterations at a time, in a `scan` whose step is recomputed in the reverse pass.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Literal, Var

from gradmc.program import ir
from gradmc.program.middle.accumulate import Accumulator, combine, total
from gradmc.program.middle.cost_model import footprint
from gradmc.program.middle.emit import Context, apply, read
from gradmc.program.middle.named_axes import Axis, Value, move_axis_first, move_axis_in, move_axis_out, traced, union

Equations = Callable[[dict[Var, Any], Context], None]
BYTES = 8


def chunk_length(body: Jaxpr, length: int, around: Sequence[Axis], limit: int) -> int:
    """Iterations whose values fit into `limit` bytes; `length` if all do."""
    each = BYTES * footprint(body) * int(np.prod([a.size for a in around], dtype=np.int64))
    return length if length * each <= limit else max(1, limit // max(each, 1))


def run_in_chunks(
    body: Jaxpr,
    equations: Equations,
    env: dict[Var, Any],
    axis: Axis,
    size: int,
    context: Context,
    sums: Sequence[Var],
    ys: Sequence[Any],
) -> tuple[list[Value], list[Value]]:
    """Emit a loop `size` iterations at a time.

    Args:
        body: the loop's body.
        equations: emits the body's equations into an environment.
        env: inputs of the body; accumulators are empty.
        axis: the loop.
        size: iterations of one chunk.
        context: of the body.
        sums: variables that hold the accumulators at the end of the body.
        ys: results of the body that are stacked.

    Returns:
        What each accumulator gathers, and the stacked results.
    """
    env = prepared(body, env, axis, context)
    values = {v: x for v, x in env.items() if isinstance(x, Value)}
    axes = tuple(a for a in union(values.values()) if a is not axis)
    moving = {v: move_axis_first(x, axis) for v, x in values.items() if axis in x.axes}
    fixed = {v: x for v, x in env.items() if v not in moving}

    def chunk(rows: dict[Var, Any], inner: Context) -> tuple[list[tuple[str, Value]], list[Any]]:
        count = next(iter(rows.values())).shape[0]
        part = Axis(count, axis.level)
        here = fixed | {v: move_axis_out(Value(r, moving[v].axes), part) for v, r in rows.items()}
        equations(here, inner)
        ends: list[Accumulator] = [here[v].closed(part) for v in sums]
        stacked = [_stacked(read(here, a), part, axes, inner) for a in ys]
        gathered = [inner.widen(total(e, None, inner), axes) for e in ends]
        return [(e.operation, g) for e, g in zip(ends, gathered, strict=True)], stacked

    done = axis.size % size or size
    first, stacked = chunk({v: m.array[:done] for v, m in moving.items()}, context)
    gathered = [g for _, g in first]
    many = (axis.size - done) // size
    if many:
        rows = {v: traced(m)[done:].reshape(many, size, *m.array.shape[1:]) for v, m in moving.items()}

        def step(carry: Sequence[Any], rows: dict[Var, Any]) -> tuple[list[Any], list[Any]]:
            inner = context.inside()
            more, ys_now = chunk(rows, inner)
            pairs = zip(carry, more, strict=True)
            return [traced(combine(op, Value(c, axes), g, inner)) for c, (op, g) in pairs], ys_now

        names = list(rows)
        carry, rest = lax.scan(
            jax.checkpoint(lambda c, r: step(c, dict(zip(names, r, strict=True))), prevent_cse=False),
            [traced(g) for g in gathered],
            [rows[v] for v in names],
        )
        gathered = [Value(c, axes) for c in carry]
        stacked = [_joined(a, b, len(axes)) for a, b in zip(stacked, rest, strict=True)]
    return gathered, [Value(s, axes) for s in stacked]


def prepared(body: Jaxpr, env: dict[Var, Any], axis: Axis, context: Context) -> dict[Var, Any]:
    """The environment with what is no work per iteration: loads from outside for all iterations, arithmetic on
    their indices, and whatever does not depend on the iteration.
    """
    env = dict(env)
    for eqn in body.eqns:
        if eqn.primitive in (ir.for_p, ir.while_p, ir.if_p):
            continue
        if not all(isinstance(a, Literal) or isinstance(env.get(a), Value) for a in eqn.invars):
            continue
        args = [read(env, a) for a in eqn.invars]
        whole = all(np.issubdtype(v.aval.dtype, np.integer) or v.aval.dtype == np.bool_ for v in eqn.outvars)
        if eqn.primitive is ir.load_p or whole or not any(axis in a.axes for a in args):
            env |= zip(eqn.outvars, apply(eqn, args, context), strict=True)
    return env


def _stacked(value: Value, part: Axis, axes: tuple[Axis, ...], context: Context) -> Any:
    wide = tuple(sorted((*axes, part), key=lambda a: a.level))
    return traced(move_axis_in(context.widen(value, wide), part))


def _joined(first: Any, rest: Any, k: int) -> Any:
    """The results of the first chunk and those of the others, stacked by `scan`, along dimension k."""
    rest = jnp.moveaxis(rest, 0, k)
    rest = rest.reshape(*rest.shape[:k], rest.shape[k] * rest.shape[k + 1], *rest.shape[k + 2 :])
    return jnp.concatenate([first, rest], k)
