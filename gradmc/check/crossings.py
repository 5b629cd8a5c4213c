"""The sides that a program takes at a point: its conditions and steps that depend on parameters, as a row of numbers.

The loop IR is run by its plain meaning with every such condition (of `if`, `where`; of a `while` the number
of turns), and every result of a function with steps (floor, argmax, a comparison that is used as a number), as a
further result. Where two points give different rows, a boundary lies between them. What is on a side that is not taken
is NaN.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.check.activity import INLINED, REMAINDERS
from gradmc.check.subject import ROWS, Subject
from gradmc.program import ir
from gradmc.program.blame.origin import Origin, origin

type Label = Hashable
"""What a number in the row belongs to: the line of a condition, or the equation that makes a step."""

type Probe = tuple[Label, Any]
"""A label, and the numbers there as an array."""


class Crossings:
    """The compiled function from points to their rows; `labels` says what each column belongs to."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        activity, _ = subject.activity
        self.branches = activity.sites
        self.steps = frozenset().union(*activity.suspects.values())
        self._holding: dict[int, bool] = {}
        density = subject.density
        found: list[tuple[Label, int]] = []

        def row(x: Any, arguments: Any) -> Any:
            _, probes = self._run(density.equations, density.operands(x, arguments))
            found[:] = [(label, int(np.prod(np.shape(p)))) for label, p in probes]
            return jnp.concatenate([jnp.ravel(p) for _, p in probes] or [jnp.zeros(0, density.dtype)])

        with density.scope():
            shape = jax.ShapeDtypeStruct((ROWS, subject.dim), density.dtype)
            rows = jax.jit(lambda xs, arguments: lax.map(lambda x: row(x, arguments), xs))
            self._compiled = rows.lower(shape, density.arguments).compile()
        self.labels: list[Label] = [label for label, size in found for _ in range(size)]

    def at(self, x: np.ndarray) -> np.ndarray:
        """One row per point; x has shape (ROWS, dim)."""
        self.subject.clock.check()
        with self.subject.density.scope():
            return np.asarray(self._compiled(x, self.subject.density.arguments))

    def _run(self, body: Jaxpr, inputs: Sequence[Any], outer: Origin | None = None) -> tuple[list[Any], list[Probe]]:
        env: dict[Var, Any] = dict(zip(body.constvars, body.consts, strict=True))
        env |= zip(body.invars, inputs, strict=True)
        probes: list[Probe] = []
        for eqn in body.eqns:
            values = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
            out, more = self._equation(eqn, values, outer or origin(eqn))
            probes += more
            if eqn in self.steps:
                probes.append((eqn, self._real(_step(eqn, values, out))))
            env |= zip(eqn.outvars, out, strict=True)
        return [a.val if isinstance(a, Literal) else env[a] for a in body.outvars], probes

    def _equation(self, eqn: JaxprEqn, values: list[Any], at: Origin) -> tuple[Sequence[Any], list[Probe]]:
        line = at.location.line if at.location else 0
        site = eqn in self.branches
        if eqn.primitive is ir.for_p:
            return self._for(eqn, values)
        if eqn.primitive is ir.while_p:
            return self._while(eqn, values, line if site else None)
        if eqn.primitive is ir.if_p:
            sides = [self._run(eqn.params[side], values[1:]) for side in ("then", "otherwise")]
            (yes, first), (no, second) = sides
            out = [jnp.where(values[0], a, b) for a, b in zip(yes, no, strict=True)]
            inner = [(label, jnp.where(values[0], p, jnp.nan)) for label, p in first]
            inner += [(label, jnp.where(values[0], jnp.nan, p)) for label, p in second]
            return out, [*([(line, self._real(values[0]))] if site else []), *inner]
        if eqn.primitive is jp.jit_p and eqn not in self.steps and self._holds(eqn.params["jaxpr"]):
            return self._run(eqn.params["jaxpr"], values, at if eqn.params["name"] in INLINED else None)
        out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
        outs = out if eqn.primitive.multiple_results else [out]
        if not site or eqn.primitive.name not in ("select_n", "cond"):
            return outs, []
        return outs, [(line, self._real(values[0]))]

    def _holds(self, body: Jaxpr) -> bool:
        """Whether a condition or step stands in the body of a `jit`."""
        if id(body) not in self._holding:
            self._holding[id(body)] = any(
                eqn in self.branches
                or eqn in self.steps
                or (eqn.primitive is jp.jit_p and self._holds(eqn.params["jaxpr"]))
                for eqn in body.eqns
            )
        return self._holding[id(body)]

    def _real(self, value: Any) -> Any:
        return jnp.asarray(value, self.subject.density.dtype)

    def _for(self, eqn: JaxprEqn, values: list[Any]) -> tuple[Sequence[Any], list[Probe]]:
        body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
        labels: list[Label] = []

        def step(carry: Any, i: Any) -> Any:
            out, probes = self._run(body, [i, *values[:n], *carry])
            labels[:] = [label for label, _ in probes]
            return tuple(out[:m]), (tuple(out[m:]), tuple(p for _, p in probes))

        dtype = jnp.int64 if jax.config.jax_enable_x64 else jnp.int32
        indices = jnp.arange(eqn.params["length"], dtype=dtype)
        carry = tuple(jnp.asarray(v) for v in values[n:])
        carry, (ys, probes) = lax.scan(step, carry, indices)
        return [*carry, *ys], list(zip(labels, probes, strict=True))

    def _while(self, eqn: JaxprEqn, values: list[Any], line: int | None) -> tuple[Sequence[Any], list[Probe]]:
        n = eqn.params["n_consts"]
        test, body = jaxpr_as_fun(eqn.params["cond"]), jaxpr_as_fun(eqn.params["body"])

        def turn(state: Any) -> Any:
            count, carry = state
            return count + 1, tuple(body(*values[:n], *carry))

        carry = tuple(jnp.asarray(v) for v in values[n:])
        most = eqn.params["max_steps"] or np.iinfo(np.int32).max
        count, out = lax.while_loop(lambda s: test(*values[:n], *s[1])[0] & (s[0] < most), turn, (jnp.int32(0), carry))
        return list(out), [] if line is None else [(line, self._real(count))]


def _step(eqn: JaxprEqn, values: list[Any], out: Sequence[Any]) -> Any:
    """On which step a function is: its results, whole numbers if there are any; of a remainder the quotient."""
    name = eqn.params["name"] if eqn.primitive is jp.jit_p else eqn.primitive.name
    if name in REMAINDERS:
        return jnp.round((values[0] - out[-1]) / values[1])
    whole = [o for o in out if not jnp.issubdtype(jnp.result_type(o), jnp.inexact)]
    return jnp.concatenate([jnp.ravel(o).astype(float) for o in whole or out])
