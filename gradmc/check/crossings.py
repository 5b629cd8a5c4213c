"""The sides that a program takes at a point: all its conditions that depend on parameters, as one row of numbers.

The loop IR is run by its plain meaning with every such condition (of `if`, `where`; of a `while` the number
of turns) as a further result. Where two points give different rows, a boundary lies between them.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.check.activity import INLINED
from gradmc.check.subject import ROWS, Subject
from gradmc.program import ir
from gradmc.program.blame.origin import Origin, origin

type Probe = tuple[int, Any]
"""A line, and the conditions there as an array."""


class Crossings:
    """The compiled function from points to the rows of their conditions."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.sites = subject.activity[0].sites
        density = subject.density
        found: list[tuple[int, int]] = []

        def row(x: Any, arguments: Any) -> Any:
            _, probes = self._run(density.equations, density.operands(x, arguments))
            found[:] = [(line, int(np.prod(np.shape(p)))) for line, p in probes]
            return jnp.concatenate([jnp.ravel(p).astype(jnp.int32) for _, p in probes] or [jnp.zeros(0, jnp.int32)])

        with density.scope():
            shape = jax.ShapeDtypeStruct((ROWS, subject.dim), density.dtype)
            rows = jax.jit(lambda xs, arguments: lax.map(lambda x: row(x, arguments), xs))
            self._compiled = rows.lower(shape, density.arguments).compile()
        self.lines = np.repeat([line for line, _ in found], [size for _, size in found]).astype(int)

    def at(self, x: np.ndarray) -> np.ndarray:
        """One row per point; x has shape (ROWS, dim)."""
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
            env |= zip(eqn.outvars, out, strict=True)
        return [a.val if isinstance(a, Literal) else env[a] for a in body.outvars], probes

    def _equation(self, eqn: JaxprEqn, values: list[Any], at: Origin) -> tuple[Sequence[Any], list[Probe]]:
        line = at.location.line if at.location else 0
        site = eqn in self.sites
        if eqn.primitive is ir.for_p:
            return self._for(eqn, values)
        if eqn.primitive is ir.while_p:
            return self._while(eqn, values, line if site else None)
        if eqn.primitive is ir.if_p:
            sides = [self._run(eqn.params[side], values[1:]) for side in ("then", "otherwise")]
            (yes, first), (no, second) = sides
            out = [jnp.where(values[0], a, b) for a, b in zip(yes, no, strict=True)]
            inner = [(n, jnp.where(values[0], p, 0)) for n, p in first]
            inner += [(n, jnp.where(values[0], 0, p)) for n, p in second]
            return out, [*([(line, values[0])] if site else []), *inner]
        if eqn.primitive is jp.jit_p and eqn.params["name"] in INLINED:
            return self._run(eqn.params["jaxpr"], values, at)
        out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
        found = [(line, values[0])] if site and eqn.primitive.name in ("select_n", "cond") else []
        return out if eqn.primitive.multiple_results else [out], found

    def _for(self, eqn: JaxprEqn, values: list[Any]) -> tuple[Sequence[Any], list[Probe]]:
        body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
        lines: list[int] = []

        def step(carry: Any, i: Any) -> Any:
            out, probes = self._run(body, [i, *values[:n], *carry])
            lines[:] = [line for line, _ in probes]
            return tuple(out[:m]), (tuple(out[m:]), tuple(p for _, p in probes))

        dtype = jnp.int64 if jax.config.jax_enable_x64 else jnp.int32
        indices = jnp.arange(eqn.params["length"], dtype=dtype)
        carry = tuple(jnp.asarray(v) for v in values[n:])
        carry, (ys, probes) = lax.scan(step, carry, indices)
        return [*carry, *ys], list(zip(lines, probes, strict=True))

    def _while(self, eqn: JaxprEqn, values: list[Any], line: int | None) -> tuple[Sequence[Any], list[Probe]]:
        n = eqn.params["n_consts"]
        test, body = jaxpr_as_fun(eqn.params["cond"]), jaxpr_as_fun(eqn.params["body"])

        def turn(state: Any) -> Any:
            count, carry = state
            return count + 1, tuple(body(*values[:n], *carry))

        carry = tuple(jnp.asarray(v) for v in values[n:])
        count, out = lax.while_loop(lambda s: test(*values[:n], *s[1])[0], turn, (jnp.int32(0), carry))
        return list(out), [] if line is None else [(line, count)]
