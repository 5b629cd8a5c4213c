"""Sequential parts of loops: one `scan` over the iterations.

A *group* (a recurrence) runs in a minimal scan: its body holds only what lies between the carried values and
their next values. What it reads from other parts of the loop has been computed for all iterations and arrives
as one slice per step; what others read of it leaves the same way. A recurrence that depends on data alone is
run now. A predicate on data that is the same from some iteration on (`if t == 0`) divides the scan, so that no
step tests it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Var

from gradmc.program.middle.accumulate import Accumulator, combine, identity, spread_back, total
from gradmc.program.middle.cost_model import equation_size
from gradmc.program.middle.emit import Context, NotVectorisable, apply, read
from gradmc.program.middle.folding import uniform
from gradmc.program.middle.named_axes import Axis, Value, move_axis_first, move_axis_out, traced, union
from gradmc.program.middle.plan import Group

# A scan is divided into at most this many stretches with constant predicates.
STRETCHES = 3
# A turn of the machine loop takes up to four steps as long as they are not more than this many equations.
SHORT_STEP = 64


@dataclass(frozen=True, slots=True)
class Sum:
    """An accumulator inside a scan: the variables that hold it before and after a step, and the operation."""

    start: Var
    end: Any
    operation: str


@dataclass(frozen=True, slots=True)
class Scan:
    """A sequential part of a loop.

    steps: the equations of one iteration
    externals: what they read, for all iterations
    carried: variables carried from one step to the next; following: what they become
    exports: what is stacked
    sums: accumulators
    """

    steps: tuple[JaxprEqn, ...]
    externals: dict[Var, Value]
    carried: tuple[Var, ...]
    following: tuple[Any, ...]
    exports: tuple[Any, ...]
    sums: tuple[Sum, ...]
    axis: Axis
    context: Context

    def run(self, init: Sequence[Value]) -> tuple[list[Value], list[Value], list[Value]]:
        """Final carried values, accumulated values, and the exports with the loop's axis."""
        values = [*self.externals.values(), *init]
        if not all(isinstance(v, Value) for v in values):
            raise NotVectorisable
        axes = tuple(a for a in union(values) if a is not self.axis)
        if all(v.known for v in values) and not self.sums:
            with jax.ensure_compile_time_eval():
                carry, stacked = self._scanned(init, axes)
            carry, stacked = [np.asarray(c) for c in carry], [np.asarray(s) for s in stacked]
        else:
            carry, stacked = self._scanned(init, axes)
        final = [Value(c, axes) for c in carry]
        n = len(self.carried)
        return final[:n], final[n:], [self._for_all(s, axes) for s in stacked]

    def _for_all(self, stacked: Any, axes: tuple[Axis, ...]) -> Value:
        move = np.moveaxis if isinstance(stacked, np.ndarray) else jnp.moveaxis
        return move_axis_out(Value(move(stacked, 0, len(axes)), axes), self.axis)

    def _scanned(self, init: Sequence[Value], axes: tuple[Axis, ...]) -> tuple[Sequence[Any], list[Any]]:
        start = [
            Value(np.broadcast_to(identity(s.operation, s.start.aval.dtype), s.start.aval.shape)) for s in self.sums
        ]
        carry: Sequence[Any] = [traced(self.context.widen(v, axes)) for v in (*init, *start)]
        parts: list[list[Any]] = []
        for low, high in self._stretches():
            carry, ys = self._stretch(low, high, carry, axes)
            parts.append(ys)
        return carry, [jnp.concatenate(p) if len(p) > 1 else p[0] for p in map(list, zip(*parts, strict=True))]

    def _stretches(self) -> list[tuple[int, int]]:
        """Ranges of iterations in each of which every known predicate is constant."""
        turns: set[int] = set()
        for value in self.externals.values():
            if value.known and value.dtype == np.bool_ and value.axes == (self.axis,) and not value.element:
                turns |= {int(k) + 1 for k in np.flatnonzero(np.diff(value.array))}
        if len(turns) >= STRETCHES:
            turns = set()
        cuts = [0, *sorted(turns), self.axis.size]
        return list(itertools.pairwise(cuts))

    def _stretch(self, low: int, high: int, carry: Sequence[Any], axes: tuple[Axis, ...]) -> tuple[Any, list[Any]]:
        fixed: dict[Var, Value] = {}
        moving: dict[Var, Value] = {}
        for var, value in self.externals.items():
            value = _cut(value, self.axis, low, high)
            (moving if self.axis in value.axes else fixed)[var] = value
        rows = {v: move_axis_first(value, self.axis) for v, value in moving.items()}
        bounds = {v: _bounds(value) for v, value in moving.items()}
        xs = [traced(r) for r in rows.values()]

        def step(carry: Sequence[Any], xs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            env: dict[Var, Any] = dict(fixed)
            for (var, row), x in zip(rows.items(), xs, strict=True):
                env[var] = Value(x, row.axes, bounds[var])
            return self._step(env, carry, axes)

        if high - low == 1:
            carry, ys = step(carry, [x[0] for x in xs])
            return carry, [y[None] for y in ys]
        return lax.scan(step, list(carry), xs, length=high - low, unroll=self._unroll(high - low))

    def _step(self, env: dict[Var, Any], carry: Sequence[Any], axes: tuple[Axis, ...]) -> tuple[list[Any], list[Any]]:
        inner = self.context.inside()
        n = len(self.carried)
        env |= {v: Value(c, axes) for v, c in zip(self.carried, carry, strict=False)}
        env |= {s.start: Accumulator(object(), s.operation, s.start.aval) for s in self.sums}
        for eqn in self.steps:
            env |= zip(eqn.outvars, apply(eqn, [read(env, a) for a in eqn.invars], inner), strict=True)
        out = [self._array(read(env, a), axes, inner) for a in self.following]
        for s, c in zip(self.sums, carry[n:], strict=True):
            gathered = total(spread_back(read(env, s.end), inner), None, inner)
            out.append(self._array(combine(s.operation, Value(c, axes), gathered, inner), axes, inner))
        return out, [self._array(read(env, a), axes, inner) for a in self.exports]

    def _array(self, value: Any, axes: tuple[Axis, ...], context: Context) -> Any:
        if not isinstance(value, Value):
            raise NotVectorisable
        return traced(context.widen(value, axes))

    def _unroll(self, length: int) -> int:
        """Steps per turn: as many as are short, preferably a divisor of the length (what is left is code too)."""
        steps = sum(map(equation_size, self.steps))
        most = max(1, min(self.context.options.unroll, length, SHORT_STEP // max(steps, 1)))
        return min(range(most, 0, -1), key=lambda k: (length % k > 1, -k))


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
    scan = Scan(
        group.steps,
        {v: env[v] for v in group.externals},
        tuple(carried[k] for k in group.members),
        tuple(body.outvars[k] for k in group.members),
        group.exports,
        (),
        axis,
        context,
    )
    last, _, stacked = scan.run(init)
    return last, dict(zip(group.exports, stacked, strict=True))


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
