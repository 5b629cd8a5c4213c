"""Recurrences: the minimal `scan` of one group of carried values.

Its body holds only what lies between the carried values and their next values. Everything it reads from
other parts of the loop has been computed for all iterations and arrives as one slice per step; everything
that others read of it leaves the same way. A recurrence that depends on data alone is run now.
A predicate on data that is the same from some iteration on (`if t == 0`) divides the scan, so that no step tests it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Literal, Var

from gradmc.program.middle.cost import equation_size
from gradmc.program.middle.emit import Context, NotVectorisable, apply, read
from gradmc.program.middle.known import uniform
from gradmc.program.middle.plan import Group
from gradmc.program.middle.values import Axis, Value, move_axis_first, move_axis_out, traced, union

# A scan is divided into at most this many stretches with constant predicates.
STRETCHES = 3
# A step of up to this many equations is unrolled once, half of them twice, and so on.
SHORT_STEP = 64


def run_group(
    group: Group,
    body: Jaxpr,
    carried: list[Var],
    init: Sequence[Any],
    env: dict[Var, Any],
    axis: Axis,
    context: Context,
) -> tuple[list[Value], dict[Var, Value]]:
    """The final carried values of a group, and what it exports, for all iterations."""
    externals = {v: env[v] for v in group.externals}
    if not all(isinstance(v, Value) for v in (*externals.values(), *init)):
        raise NotVectorisable
    axes = tuple(a for a in union((*externals.values(), *init)) if a is not axis)
    scan = _Scan(group, body, [carried[k] for k in group.members], externals, axis, axes, context)
    if all(v.known for v in (*externals.values(), *init)):
        with jax.ensure_compile_time_eval():
            last, stacked = scan.run(init)
        last = [Value(np.asarray(v.array), v.axes) for v in last]
        stacked = [np.asarray(s) for s in stacked]
    else:
        last, stacked = scan.run(init)
    exported = {v: move_axis_out(Value(np.moveaxis(s, 0, len(axes)) if isinstance(s, np.ndarray)
                                       else jnp.moveaxis(s, 0, len(axes)), axes), axis)
                for v, s in zip(group.exports, stacked, strict=True)}
    return last, exported


@dataclass(frozen=True, slots=True)
class _Scan:
    group: Group
    body: Jaxpr
    carried: list[Var]
    externals: dict[Var, Value]
    axis: Axis
    axes: tuple[Axis, ...]
    context: Context

    def run(self, init: Sequence[Value]) -> tuple[list[Value], list[Any]]:
        carry = tuple(traced(self.context.widen(v, self.axes)) for v in init)
        parts = []
        for low, high in self._stretches():
            carry, ys = self._stretch(low, high, carry)
            parts.append(ys)
        stacked = [jnp.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
        return [Value(c, self.axes) for c in carry], stacked

    def _stretches(self) -> list[tuple[int, int]]:
        """Ranges of iterations in each of which every known predicate is constant."""
        turns: set[int] = set()
        for value in self.externals.values():
            if value.known and value.dtype == np.bool_ and value.axes == (self.axis,):
                turns |= {int(k) + 1 for k in np.flatnonzero(np.diff(value.array))}
        if len(turns) >= STRETCHES:
            turns = set()
        cuts = [0, *sorted(turns), self.axis.size]
        return list(zip(cuts, cuts[1:], strict=False))

    def _stretch(self, low: int, high: int, carry: tuple) -> tuple[tuple, list[Any]]:
        fixed: dict[Var, Value] = {}
        moving: dict[Var, Value] = {}
        for var, value in self.externals.items():
            value = _cut(value, self.axis, low, high)
            (moving if self.axis in value.axes else fixed)[var] = value
        rows = {v: move_axis_first(value, self.axis) for v, value in moving.items()}
        bounds = {v: _bounds(value) for v, value in moving.items()}
        xs = [traced(r) for r in rows.values()]

        def step(carry: tuple, xs: list[Any]) -> tuple[tuple, list[Any]]:
            env: dict[Var, Any] = dict(fixed)
            for (var, row), x in zip(rows.items(), xs, strict=True):
                env[var] = Value(x, row.axes, bounds[var])
            env |= {v: Value(c, self.axes) for v, c in zip(self.carried, carry, strict=True)}
            inner = self.context.inside()
            for eqn in self.group.steps:
                env |= zip(eqn.outvars, apply(eqn, [read(env, a) for a in eqn.invars], inner), strict=True)
            out = [self._next(env, k, inner) for k in self.group.members]
            return tuple(out), [traced(inner.widen(env[v], self.axes)) for v in self.group.exports]

        if high - low == 1:
            carry, ys = step(carry, [x[0] for x in xs])
            return carry, [y[None] for y in ys]
        return lax.scan(step, carry, xs, length=high - low, unroll=self._unroll(high - low))

    def _unroll(self, length: int) -> int:
        """Iterations per turn: a short step is dwarfed by the loop around it."""
        limit = self.context.options.unroll
        steps = sum(map(equation_size, self.group.steps))
        return max(1, min(limit, length, SHORT_STEP // max(steps, 1)))

    def _next(self, env: dict[Var, Any], k: int, context: Context) -> Any:
        atom = self.body.outvars[k]
        value = read(env, atom)
        if not isinstance(value, Value):
            raise NotVectorisable
        return traced(context.widen(value, self.axes))


def _cut(value: Value, axis: Axis, low: int, high: int) -> Value:
    """Iterations low .. high - 1 of a value; a known one that is constant there loses the axis."""
    if axis not in value.axes:
        return value
    k = value.axes.index(axis)
    if (low, high) != (0, axis.size):
        if value.known:
            value = Value(value.array.take(range(low, high), k), value.axes)
        else:
            value = Value(lax.slice_in_dim(value.array, low, high, axis=k), value.axes)
    if value.known and value.axes == (axis,) and not value.element and uniform(value.array):
        return Value(np.asarray(value.array[0]))
    return value


def _bounds(value: Value) -> tuple[int, int] | None:
    if not value.known or not np.issubdtype(value.dtype, np.integer) or not value.array.size:
        return None
    return int(value.array.min()), int(value.array.max())
