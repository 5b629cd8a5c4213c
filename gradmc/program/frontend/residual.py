"""What a loop that closes in on a number searches: the equation that its comparisons test, solved for the ends.

The comparison `f(mid, theta) > 0` is cut out of the body as a function of the body's inputs and the ends. A product
or a sign is tested for one factor; a comparison of two values of one function, f(c) < f(d), searches a root of its
slope.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.frontend import control
from gradmc.program.frontend.closing import SEED, Closing, Sought
from gradmc.program.frontend.flows import Flow, every, has_while, inside
from gradmc.program.frontend.values import is_traced

DRAWS = 5
PRECISE, LOOSE = 0.4, 0.3
"""How near to a root, and to a minimum, a search can come: this power of the precision of numbers."""

type Residual = Callable[[Sequence[Any], Sequence[Any]], Any]
"""A function of the fixed inputs of a body (with the steps at their end), and the ends."""


@dataclass(frozen=True, eq=False, slots=True)
class Root:
    """What the ends of a loop enclose.

    Attributes:
        ends: their positions among the carried values.
        steps: positions of the steps by which they move, if they do.
        residual: it is a root of this.
        loose: how much less precise it is than numbers are, as a power of their precision.
    """

    ends: tuple[int, ...]
    steps: tuple[int, ...]
    residual: Residual
    loose: float

    def attached(self, fixed: Sequence[Any], start: Sequence[Any], out: Sequence[Any]) -> list[Any]:
        """The ends after the loop, with their derivatives; NaN if they enclose nothing, and none is where it began."""
        ends = [_still(out[k]) for k in self.ends]
        steps = [_still(out[k]) for k in self.steps]
        fixed = [*fixed, *steps]
        still = [_still(v) for v in fixed]
        value, slope = self.residual(fixed, ends), _along(lambda e: self.residual(still, e), ends)
        slope = _still(slope)
        first = ends[0]
        apart = sum(_size(e - first) for e in ends[1:]) + 2 * sum(map(_size, steps))
        near = 2 * apart + float(jnp.finfo(first.dtype).eps) ** self.loose * (1 + _size(first))
        enclosed = _size(value) <= _size(slope) * near
        began = reduce(jnp.logical_or, (_size(first - start[k]) <= near for k in self.ends))
        stays = jnp.logical_and(began, jnp.logical_not(enclosed))
        safe = jnp.where(enclosed, slope, jnp.where(stays, 1.0, jnp.nan))
        return [jnp.where(stays, out[k], _moving(e, value, safe)) for k, e in zip(self.ends, ends, strict=True)]


@jax.custom_jvp
def _stopped(x: Any) -> Any:
    """`x` without its derivative; not by `stop_gradient`, which `check` takes for the user's."""
    return x * 1


@_stopped.defjvp
def _stopped_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    del tangents
    return _stopped(*primals), jnp.zeros_like(primals[0])


@jax.custom_jvp
def _size(x: Any) -> Any:
    """The absolute value, without derivative."""
    return abs(x)


@_size.defjvp
def _size_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    del tangents
    return _size(*primals), jnp.zeros_like(primals[0])


def _still(value: Any) -> Any:
    """The value without derivative."""
    return _stopped(value) if is_traced(value) and jnp.issubdtype(value.dtype, jnp.inexact) else value


@jax.custom_jvp
def _moving(x: Any, value: Any, slope: Any) -> Any:
    """`x`, which moves so that the residual stays 0."""
    del value, slope
    return x * 1.0


@_moving.defjvp
def _moving_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    x, value, slope = primals
    return _moving(x, value, slope), -tangents[1] / slope


def _along(function: Callable[[Sequence[Any]], Any], ends: Sequence[Any]) -> Any:
    """The derivative as all ends move together."""
    return jax.jvp(lambda *e: function(e), tuple(ends), tuple(jnp.ones_like(e) for e in ends))[1]


def roots_of(eqn: JaxprEqn, found: Closing) -> list[Root]:
    """What a loop searches, if for each number that it closes in on a comparison tells it; else none."""
    if eqn.primitive is jp.scan_p:
        return []
    roots = [_root(_Equation(eqn.params["body"], carried_by(eqn), sought, found.flows)) for sought in found.sought]
    return [] if None in roots else [root for root in roots if root is not None]


def carried_by(eqn: JaxprEqn) -> int:
    """How many values a loop carries."""
    return len(eqn.invars) - eqn.params["n_consts"]


def _root(equation: "_Equation") -> Root | None:
    last = {jp.eq_p, jp.ne_p}
    for test in sorted(equation.sought.tests, key=lambda t: t.primitive in last):
        root = equation.root(test)
        if root is not None:
            return root
    return None


@dataclass(frozen=True, eq=False, slots=True)
class _Equation:
    """Reads off the comparisons of a body what is sought.

    Attributes:
        body: the body of the loop.
        count: how many values it carries.
        sought: their ends, steps and comparisons.
        flows: what the variables of the body are computed from.
    """

    body: Jaxpr
    count: int
    sought: Sought
    flows: dict[Var, Flow]

    @property
    def first(self) -> int:
        """How many inputs come before the carried ones."""
        return len(self.body.invars) - self.count

    def root(self, test: JaxprEqn) -> Root | None:
        """What a comparison says, if it is one of the ends with what depends on parameters, and of nothing else."""
        ends, steps = self.sought.ends, self.sought.steps
        sides = self._sides(test)
        flows = reduce(or_, (self.flows[v] for v in sides if isinstance(v, Var)), Flow())
        one, other = jaxprs = tuple(_slice(self.body, v) for v in sides)
        used = set().union(*(control._inputs(j, j.outvars) for j in jaxprs))
        shapes = [ir.types(self.body.out_avals)[k].shape for k in ends]
        shape = np.broadcast_shapes(*(ir.types(j.out_avals)[0].shape for j in jaxprs))
        if not flows.outside or not flows.data & set(ends) or any(s != shape for s in shapes):
            return None
        if not {k - self.first for k in used if k >= self.first} <= {*ends, *steps}:
            return None

        def difference(fixed: Sequence[Any], values: Sequence[Any]) -> Any:
            return self._at(one, fixed, values) - self._at(other, fixed, values)

        alone = any(isinstance(v, Literal) or not self.flows[v].data for v in sides)
        meets, separate = self._tried(difference, alone=alone)
        if not separate:
            return None
        if not meets:
            return Root(ends, steps, difference, PRECISE)
        return Root(ends, steps, lambda fixed, values: _along(lambda e: self._at(one, fixed, e), values), LOOSE)

    def _sides(self, test: JaxprEqn) -> list[Any]:
        """What is compared: for a sign, or signs that are equal or not, with zero."""
        made = {v: e for e in every(self.body) for v in e.outvars}
        sides = [self._factor(v, made) for v in test.invars]
        aval = self.body.out_avals[self.sought.ends[0]]
        zero = Literal(np.zeros((), aval.dtype), aval.update(shape=()))  # type: ignore[attr-defined]
        if test.primitive is jp.sign_p:
            return [*sides, zero]
        signs = test.primitive in (jp.eq_p, jp.ne_p) and all(
            a is not b for a, b in zip(sides, test.invars, strict=True)
        )
        return [sides[0], zero] if signs else sides

    def _factor(self, atom: Any, made: dict[Var, JaxprEqn]) -> Any:
        """Of a product (`f(lo) * f(mid)`) or a sign, the factor whose sign is tested."""
        own = {*self.sought.ends, *self.sought.steps}
        while isinstance(atom, Var) and atom in made and made[atom].primitive in (jp.mul_p, jp.sign_p):
            flows = [(v, self.flows[v]) for v in made[atom].invars if isinstance(v, Var)]
            tested = [v for v, f in flows if f.outside and f.data and f.data <= own]
            foreign = any(f.data - own for v, f in flows if v not in tested)
            if not tested or not (len(tested) == 2 or foreign or made[atom].primitive is jp.sign_p):
                return atom
            atom = tested[-1]
        return atom

    def _at(self, side: Jaxpr, fixed: Sequence[Any], values: Sequence[Any]) -> Any:
        """One side of a comparison, for these ends (and the steps, which stand behind the fixed inputs)."""
        inputs, steps = fixed[: self.first], fixed[self.first :]
        given = dict(zip((*self.sought.ends, *self.sought.steps), (*values, *steps), strict=True))
        others = ir.types([v.aval for v in self.body.invars[self.first :]])
        carry = [given[k] if k in given else np.zeros(t.shape, t.dtype) for k, t in enumerate(others)]
        return jaxpr_as_fun(side)(*inputs, *carry)[0]

    def _tried(self, difference: Residual, *, alone: bool) -> tuple[bool, bool]:
        """What random numbers show of the difference that is tested.

        Whether it vanishes where the ends meet and the steps are 0: then two values of one function are compared, unless
        one side stands `alone`, which does not depend on the ends. And whether each of its elements depends on one element of the ends
        only.
        """
        inputs = ir.types([v.aval for v in self.body.invars])
        if any(map(has_while, every(self.body))):  # it may not end on random numbers
            return False, alone and not inputs[self.first + self.sought.ends[0]].shape
        rng = np.random.default_rng(SEED)
        steps = [np.zeros(inputs[self.first + k].shape, inputs[self.first + k].dtype) for k in self.sought.steps]
        met: list[bool] = []
        separate = True
        with jax.ensure_compile_time_eval():
            for _ in range(DRAWS):
                fixed = [*(rng.uniform(0.3, 0.9, t.shape).astype(t.dtype) for t in inputs[: self.first]), *steps]
                ends = [inputs[self.first + k] for k in self.sought.ends]
                x = rng.uniform(0.3, 0.9, ends[0].shape)
                same = [x.astype(t.dtype) for t in ends]
                apart = [(x + 0.1 * k).astype(t.dtype) for k, t in enumerate(ends)]
                together, spread = (float(np.max(np.abs(difference(fixed, e)))) for e in (same, apart))
                if np.isfinite(together) and np.isfinite(spread):
                    met.append(together <= 1e-9 * spread)
                separate = separate and (not x.ndim or _is_separate(lambda e, fixed=fixed: difference(fixed, e), same))
        return bool(met) and all(met), separate


def _is_separate(function: Callable[[Sequence[Any]], Any], ends: Sequence[Any]) -> bool:
    """Whether the first element of the ends moves the first element of a function only."""
    unit = np.zeros_like(ends[0])
    unit.flat[0] = 1.0
    moved = np.asarray(jax.jvp(lambda *e: function(e), tuple(ends), tuple(unit for _ in ends))[1])
    return not np.any(np.ravel(moved)[1:])


def _slice(body: Jaxpr, atom: Var | Literal) -> Jaxpr:
    """The part of a body that computes one of its values, which may stand in a branch."""

    def value(*inputs: Any) -> list[Any]:
        if isinstance(atom, Literal):
            return [jnp.asarray(atom.val)]
        env: dict[Var, Any] = {}
        _evaluate(body, inputs, env)
        return [env[atom]]

    whole = jax.make_jaxpr(value)(*ir.types(body.in_avals))
    return control._prune(whole, whole.outvars)


def _evaluate(jaxpr: Jaxpr, inputs: Sequence[Any], env: dict[Var, Any]) -> list[Any]:
    """Evaluate a jaxpr and all sides of its branches, and keep every value."""
    env |= zip(jaxpr.constvars, jaxpr.consts, strict=True)
    env |= zip(jaxpr.invars, inputs, strict=True)
    for eqn in jaxpr.eqns:
        values = [v.val if isinstance(v, Literal) else env[v] for v in eqn.invars]
        if eqn.primitive is jp.jit_p:
            out = _evaluate(eqn.params["jaxpr"], values, env)
        else:
            out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
            out = out if eqn.primitive.multiple_results else [out]
        if eqn.primitive is ir.if_p:
            for side in inside(eqn):
                _evaluate(side, values[1:], env)
        env |= zip(eqn.outvars, out, strict=True)
    return [v.val if isinstance(v, Literal) else env[v] for v in jaxpr.outvars]
