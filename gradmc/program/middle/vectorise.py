"""Loops: prelude | minimal scan | rest | reductions, each on all iterations at once where nothing forbids it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn, Literal, Var

from gradmc.program import ir
from gradmc.program.middle.accumulate import Accumulator, Addend, combine, total
from gradmc.program.middle.chunks import chunk_length, prepared, run_in_chunks
from gradmc.program.middle.cost_model import equation_size, is_float, size, weigh
from gradmc.program.middle.deferred_stores import Stores, assemble
from gradmc.program.middle.depends import operands, restrict, spread_from
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, apply, read, run
from gradmc.program.middle.linear import run_linear, wanted
from gradmc.program.middle.named_axes import Axis, Value, move_axis_in, move_axis_out, traced, union
from gradmc.program.middle.notes import Note
from gradmc.program.middle.plan import LoopPlan, plan
from gradmc.program.middle.recurrence import Scan, Sum, run_group
from gradmc.program.middle.sequential import sequential


def _for_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    if eqn.params["length"] == 0:
        return _untouched(eqn, args)
    if not context.options.vectorise:
        context.notes.append(Note(eqn, "sequential", "vectorising is switched off"))
        return sequential(eqn, args, context)
    first = _Loop(eqn, args, context, plan(eqn, frozenset()))
    if first.written_out():
        context.notes.append(Note(eqn, "written out", "it is short"))
        return first.write_out()
    symbols = {kind: frozenset(k for k, r in enumerate(first.plan.roles) if r.kind == kind) for kind in _SYMBOLS}
    attempts = [frozenset(), symbols["stores"], symbols["stores"] | symbols["accumulator"]]
    for demoted in dict.fromkeys(attempts):
        mark = len(context.notes)
        try:
            return _Loop(eqn, args, context, plan(eqn, demoted)).vectorised()
        except NotVectorisable:
            del context.notes[mark:]
    context.notes.append(Note(eqn, "sequential", "its stores could not be put in order while compiling"))
    return sequential(eqn, args, context)


# What a value that crosses between a scan and the vectorised code around it costs, in nanoseconds per
# iteration (measured: ARMA and GARCH on a CPU, value and gradient).
CROSSING = 3.0
_SYMBOLS = ("stores", "accumulator")
RULES[ir.for_p] = _for_rule


def _untouched(eqn: JaxprEqn, args: list[Any]) -> list[Any]:
    """A loop of no iterations."""
    init = args[eqn.params["n_consts"] :]
    ys = eqn.outvars[eqn.params["n_carry"] :]
    return [*init, *(Value(np.zeros(v.aval.shape, v.aval.dtype)) for v in ys)]


@dataclass(frozen=True, slots=True)
class _Loop:
    eqn: JaxprEqn
    args: list[Any]
    context: Context
    plan: LoopPlan

    @property
    def length(self) -> int:
        return self.eqn.params["length"]

    @property
    def body(self) -> Any:
        return self.eqn.params["body"]

    @property
    def consts(self) -> list[Any]:
        return self.args[: self.eqn.params["n_consts"]]

    @property
    def init(self) -> list[Any]:
        return self.args[self.eqn.params["n_consts"] :]

    # --- written out --------------------------------------------------------------------------

    def written_out(self) -> bool:
        """Whether the loop is short enough to be repeated in the code."""
        if self.length == 1:
            return True
        limit = self.context.options.unroll_limit
        return bool(self.plan.groups) and self.length * size(self.body) <= limit

    def write_out(self) -> list[Any]:
        carry, stacked = list(self.init), []
        index = self.body.invars[0].aval.dtype
        for i in range(self.length):
            out = run(self.body, [Value(np.asarray(i, index)), *self.consts, *carry], self.context)
            carry, ys = out[: len(carry)], out[len(carry) :]
            stacked.append(ys)
        return [*carry, *(self._stack(ys) for ys in zip(*stacked, strict=True))]

    def _stack(self, ys: Sequence[Value]) -> Value:
        axes = union(ys)
        wide = [self.context.widen(y, axes) for y in ys]
        if all(y.known for y in wide):
            return Value(np.stack([y.array for y in wide], len(axes)), axes)
        return Value(jnp.stack([traced(y) for y in wide], len(axes)), axes)

    def _note(self) -> Note:
        names = self.eqn.params["names"]
        loops = [names[k] or "a value" for g in self.plan.groups for k in g.members]
        if not loops:
            return Note(self.eqn, "vectorised", "no iteration needs the result of another")
        inside = sum(map(equation_size, (e for g in self.plan.groups for e in g.steps)))
        whole = size(self.body)
        verdict = "sequential" if inside >= whole else "divided"
        told = ", ".join(dict.fromkeys(loops))
        return Note(self.eqn, verdict, f"{told}: each iteration needs the one before; {inside} of {whole} operations")

    # --- vectorised ---------------------------------------------------------------------------

    def vectorised(self) -> list[Any]:
        axis = Axis(self.length, self.context.level)
        inner = replace(self.context, level=self.context.level + 1, loops=(*self.context.loops, axis))
        env = self._start(axis)
        self.context.notes.append(self._note())
        chunk = self._chunk()
        if chunk < self.length:
            why = f"its values would not fit into memory at once; {chunk} iterations at a time"
            self.context.notes.append(Note(self.eqn, "chunked", why))
            return self._in_chunks(env, axis, chunk, inner)
        if self._better_together():
            return self._together(env, axis, inner)
        finals: dict[int, Value] = {}
        self._vector_equations(env, inner)
        groups, delays = list(self.plan.groups), list(self.plan.delays)
        while groups or delays:
            if not self._advance(env, groups, delays, finals, axis, inner):
                raise NotVectorisable
            self._vector_equations(env, inner)
        return self._results(env, finals, axis)

    def _chunk(self) -> int:
        """Iterations to run at once; loops that only accumulate and stack can be cut into chunks."""
        kinds = {r.kind for r in self.plan.roles}
        if self.plan.groups or self.plan.delays or not kinds <= {"accumulator", "invariant"}:
            return self.length
        around = union(a for a in self.args if isinstance(a, Value))
        return chunk_length(self.body, self.length, around, self.context.options.memory_limit)

    def _in_chunks(self, env: dict[Var, Any], axis: Axis, size: int, context: Context) -> list[Any]:
        m = len(self.init)
        sums = [k for k in range(m) if self.plan.roles[k].kind == "accumulator"]
        ends = [self.body.outvars[k] for k in sums]
        gathered, ys = run_in_chunks(
            self.body, self._vector_equations, env, axis, size, context, ends, self.body.outvars[m:]
        )
        results = list(self.init)
        for k, value in zip(sums, gathered, strict=True):
            results[k] = self._accumulated(k, value)
        return [*results, *ys]

    def _better_together(self) -> bool:
        """Whether all of the loop had better stay in one scan: dividing it saves less than it costs.

        A divided loop writes and reads an array for each value that crosses into or out of the scan, in both
        directions of differentiation; what it gains is the vector unit for the work outside of the scan.
        """
        kinds = {r.kind for r in self.plan.roles}
        if not self.plan.groups or "stores" in kinds:
            return False
        if any(wanted(g, self.length, self.context) for g in self.plan.groups):
            return False
        moving = spread_from(self.body, {self.body.invars[0], *self._carried})
        outside = [e for e in self.body.eqns if any(v in self.plan.vectorised and v in moving for v in e.outvars)]
        loaded = {v for e in self.body.eqns if e.primitive is ir.load_p for v in e.outvars}
        arrays = {v for g in self.plan.groups for v in (*g.externals, *g.exports)}
        crossing = [v for v in arrays if v in moving and v not in loaded and is_float(v)]
        gain = sum(weigh(e) for e in outside if any(map(is_float, e.outvars)))
        return gain < CROSSING * len(crossing)

    def _together(self, env: dict[Var, Any], axis: Axis, context: Context) -> list[Any]:
        """The whole loop in one scan; loads and what does not depend on the iteration stay outside."""
        m = len(self.init)
        env = prepared(self.body, env, axis, context)
        steps = tuple(e for e in self.body.eqns if not all(v in env for v in e.outvars))
        kinds = [r.kind for r in self.plan.roles]
        ordinary = [k for k in range(m) if kinds[k] == "ordinary"]
        summed = [k for k in range(m) if kinds[k] == "accumulator"]
        outs = self.body.outvars
        sums = tuple(Sum(self._carried[k], outs[k], self.plan.roles[k].operation) for k in summed)
        following = tuple(outs[k] for k in ordinary)
        ys = tuple(outs[m:])
        used = [*(a for e in steps for a in e.invars), *following, *ys]
        externals = {a: env[a] for a in used if isinstance(a, Var) and isinstance(env.get(a), Value)}
        carried = tuple(self._carried[k] for k in ordinary)
        scan = Scan(steps, externals, carried, following, ys, sums, axis, context)
        last, gathered, stacked = scan.run([self.init[k] for k in ordinary])
        results = list(self.init)
        for k, value in (*zip(ordinary, last, strict=True), *zip(summed, gathered, strict=True)):
            results[k] = value if kinds[k] == "ordinary" else self._accumulated(k, value)
        return [*results, *(move_axis_in(y, axis) for y in stacked)]

    def _accumulated(self, k: int, value: Value) -> Any:
        """What an accumulator ends as, given what the loop adds to it."""
        init, operation = self.init[k], self.plan.roles[k].operation
        return (
            init.plus(Addend(value)) if isinstance(init, Accumulator) else combine(operation, init, value, self.context)
        )

    def _start(self, axis: Axis) -> dict[Var, Any]:
        index = Value(np.arange(self.length, dtype=self.body.invars[0].aval.dtype), (axis,))
        env: dict[Var, Any] = dict(zip(self.body.invars, [index, *self.consts], strict=False))
        for k, var in enumerate(self._carried):
            role, init = self.plan.roles[k], self.init[k]
            if role.kind == "invariant":
                env[var] = init
            elif role.kind == "accumulator":
                env[var] = Accumulator(object(), role.operation, var.aval)
            elif role.kind == "stores":
                env[var] = Stores(object(), init if isinstance(init, Value) else init.base)
            elif not isinstance(init, Value):
                raise NotVectorisable
        return env

    @property
    def _carried(self) -> list[Var]:
        return self.body.invars[1 + len(self.consts) :]

    def _vector_equations(self, env: dict[Var, Any], context: Context) -> None:
        """Emit, for all iterations, every equation whose operands are there."""
        for eqn in self.body.eqns:
            outs = [k for k, v in enumerate(eqn.outvars) if v in self.plan.vectorised and v not in env]
            ready = [k for k in outs if all(isinstance(a, Literal) or a in env for a in operands(eqn, k))]
            if ready:
                part = restrict(eqn, ready)
                results = apply(part, [read(env, a) for a in part.invars], context)
                env |= {v: r for v, r in zip(part.outvars, results, strict=True) if v not in env}

    def _advance(self, env: dict, groups: list, delays: list, finals: dict, axis: Axis, context: Context) -> bool:
        """Emit one delay or one recurrence whose inputs are there."""
        for k in delays:
            out = self.body.outvars[k]
            if isinstance(out, Literal) or out in env:
                env[self._carried[k]], finals[k] = _delayed(read(env, out), self.init[k], axis, context)
                delays.remove(k)
                return True
        for group in groups:
            if all(v in env for v in group.externals):
                init = [self.init[k] for k in group.members]
                run_it = run_linear if wanted(group, self.length, context) else run_group
                last, exported = run_it(group, self.body, self._carried, init, env, axis, context)
                finals |= zip(group.members, last, strict=True)
                env |= exported
                groups.remove(group)
                return True
        return False

    def _results(self, env: dict[Var, Any], finals: dict[int, Value], axis: Axis) -> list[Any]:
        m = len(self.init)
        carry = [finals[k] if k in finals else self._final(k, env, axis) for k in range(m)]
        ys = []
        for atom in self.body.outvars[m:]:
            value = read(env, atom)
            axes = tuple(sorted({*value.axes, axis}, key=lambda a: a.level))
            ys.append(move_axis_in(self.context.widen(value, axes), axis))
        return [*carry, *ys]

    def _final(self, k: int, env: dict[Var, Any], axis: Axis) -> Any:
        role, init = self.plan.roles[k], self.init[k]
        if role.kind == "invariant":
            return init
        done = read(env, self.body.outvars[k]).closed(axis)
        if role.kind == "accumulator":
            if isinstance(init, Accumulator):
                return init.plus(*done.terms)
            return total(done, init, self.context)
        if isinstance(init, Stores):
            return replace(init, entries=(*init.entries, *done.entries))
        return assemble(done, self.context)


def _delayed(value: Value, init: Value, axis: Axis, context: Context) -> tuple[Value, Value]:
    """What the iteration before computed (`init` in the first), and what the last one computed."""
    if not isinstance(value, Value):
        raise NotVectorisable
    axes = tuple(sorted({*value.axes, *init.axes, axis}, key=lambda a: a.level))
    outer = tuple(a for a in axes if a is not axis)
    rows = move_axis_in(context.widen(value, axes), axis)
    first = context.widen(init, outer)
    k = len(outer)
    if rows.known and first.known:
        stacked = np.concatenate([np.expand_dims(first.array, k), rows.array.take(range(axis.size - 1), k)], k)
        return move_axis_out(Value(stacked, outer), axis), Value(rows.array.take(-1, k), outer)
    array = traced(rows)
    cut = (slice(None),) * k
    stacked = jnp.concatenate([jnp.expand_dims(traced(first), k), array[(*cut, slice(0, -1))]], k)
    return move_axis_out(Value(stacked, outer), axis), Value(array[(*cut, -1)], outer)
