"""Where functions that are given to integrators jump: right-hand sides and integrands with `if t > tau`.

The derivative of an integral over a jump has a term for where the jump is, which no derivative of the integrator's
steps contains (the saltation matrix of differential equations: Hairer, Nørsett & Wanner 1993, section I.14; Leine &
Nijmeijer 2004). If the interval is split at the jump, its ends carry that term.

A comparison of time is a *break* if both of its sides are linear in time: its time is computed, and moves with the
parameters. Other jumps that move with parameters are refused. What a comparison leaves continuous, as a guard
`if y < 0` does, is none: random points on the surface where it changes tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.errors import ProgramError
from gradmc.program.frontend import user_line
from gradmc.program.frontend.libraries.functions import Function
from gradmc.program.frontend.values import is_traced
from gradmc.program.jaxprs import nested, walk

COMPARISONS = (jp.lt_p, jp.le_p, jp.gt_p, jp.ge_p)
STEPS = (jp.floor_p, jp.ceil_p, jp.round_p, jp.sign_p, jp.rem_p)
KINKS = (jp.abs_p, jp.max_p, jp.min_p)
LINEAR = (
    jp.neg_p, jp.broadcast_in_dim_p, jp.reshape_p, jp.squeeze_p, jp.slice_p, jp.concatenate_p, jp.reduce_sum_p,
    jp.copy_p, jp.transpose_p, jp.rev_p, jp.gather_p, jp.dynamic_slice_p,
)  # fmt: skip
"""What is linear in its operands, or picks among them; sums beside them."""
WITH_DERIVATIVES = ("library", "custom_jvp_call", "custom_vjp_call")
NONLINEAR = 2
POINTS, NEWTON = 8, 25
JUMP = 1e-7
SCALES = (-3.0, 0.03, 30.0, 1e3, 1e5)
"""How large the states are at the far ends of the lines on which jumps are looked for."""
STEPS_OF_LINE, HALVINGS = 64, 40
SEED = 20260101


@dataclass(frozen=True, slots=True)
class Seen:
    """What a value of the function depends on.

    Attributes:
        degree: in time; 2 stands for all that is not linear.
        state: whether it depends on the other arguments.
        moving: whether it depends on parameters.
        switched: whether it changes at a break.
    """

    degree: int = 0
    state: bool = False
    moving: bool = False
    switched: bool = False

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(
            max(self.degree, other.degree),
            self.state or other.state,
            self.moving or other.moving,
            self.switched or other.switched,
        )


@dataclass(frozen=True, eq=False, slots=True)
class Breaks:
    """The breaks of a function of time, and perhaps of a state.

    Attributes:
        function: the function.
        tests: the comparisons at which it breaks, and where it has kinks if these are asked for.
    """

    function: Function
    tests: tuple[JaxprEqn, ...]

    def times(self, operands: Sequence[Any]) -> Any:
        """When they come, in no order; NaN for those that never do."""

        def gaps(t: Any) -> Any:
            sides = iter(jaxpr_as_fun(self._until([a for e in self.tests for a in e.invars]))(*operands, *self._at(t)))
            found = [next(sides) if e.primitive is jp.abs_p else next(sides) - next(sides) for e in self.tests]
            return jnp.concatenate(list(map(jnp.ravel, found)))

        start, slope = gaps(0.0), gaps(1.0) - gaps(0.0)
        moves = jnp.abs(slope) > 0
        return jnp.where(moves, -start / jnp.where(moves, slope, 1.0), jnp.nan)

    def sides(self, operands: Sequence[Any], t: Any) -> list[Any]:
        """What the comparisons say at a time."""
        return jaxpr_as_fun(self._until([v for e in self.tests for v in e.outvars]))(*operands, *self._at(t))

    def within(self, operands: Sequence[Any], sides: Sequence[Any], *args: Any) -> Any:
        """The function with these answers of the comparisons."""
        given = [jnp.asarray(a, jnp.result_type(float)) for a in args]
        return jaxpr_as_fun(_answered(self.function.body, self.tests))(*sides, *operands, *given)[0]

    def _until(self, wanted: Sequence[Any]) -> Jaxpr:
        body = self.function.body
        return body.replace(outvars=list(wanted))

    def _at(self, t: Any) -> list[Any]:
        avals = self.function.body.in_avals[len(self.function.operands) :]
        return [jnp.asarray(t, avals[0].dtype), *(jnp.zeros(a.shape, a.dtype) for a in avals[1:])]  # type: ignore[attr-defined]


def _answered(body: Jaxpr, tests: Sequence[JaxprEqn]) -> Jaxpr:
    """The body with the results of some equations as its first inputs."""
    eqns = [e for e in body.eqns if not any(e is t for t in tests)]
    invars = [*(t.outvars[0] for t in tests), *body.invars]
    return body.replace(invars=invars, eqns=eqns)


def breaks(function: Function, what: str, *, kinks: bool = False) -> Breaks | None:
    """The breaks of a function of time whose place depends on parameters; None if there are none.

    Args:
        function: its first argument is time.
        what: what it is, for an error.
        kinks: whether abs, max and min count too.

    Raises:
        ProgramError: it jumps where parameters lead it, in another way.
    """
    body, n = function.body, len(function.operands)
    given = [Seen(moving=is_traced(o) and jnp.issubdtype(jnp.result_type(o), jnp.inexact)) for o in function.operands]
    arguments = [Seen(degree=1), *(Seen(state=True) for _ in body.invars[n + 1 :])]
    env: dict[Var, Seen] = dict.fromkeys(body.constvars, Seen())
    env |= zip(body.invars, [*given, *arguments], strict=True)
    found, doubtful, hidden = [], [], False
    for eqn in body.eqns:
        seen = [Seen() if isinstance(a, Literal) else env[a] for a in eqn.invars]
        whole = reduce(lambda a, b: a | b, seen, Seen())
        if _compares(eqn) and (whole.degree or whole.state):
            if whole.degree < NONLINEAR and not whole.state:
                found.append((eqn, whole))
            else:
                doubtful.append((eqn, whole))
            whole = Seen(0, whole.state, whole.moving, switched=True)
        elif _steps(eqn) and whole.moving and whole.degree and not whole.state:
            raise _refused(what, f"{eqn.primitive.name} of it")
        elif any(_holds_comparison(inner) for inner in _bodies(eqn)) and whole.moving and whole.degree:
            if _compares_time(eqn, seen):
                raise _refused(what, "a comparison of it within a loop")
            hidden |= whole.state
            whole = Seen(NONLINEAR, whole.state, whole.moving, whole.switched)
        else:
            hidden |= whole.state and any(map(_holds_comparison, _bodies(eqn)))
            if kinks and eqn.primitive in KINKS and whole.degree == 1 and not whole.state:
                found.append((eqn, whole))
            whole = _through(eqn, seen, whole)
        env |= dict.fromkeys(eqn.outvars, whole)
    moving = [eqn for eqn, seen in found if seen.moving]
    for eqn, seen in doubtful:
        if (seen.state or seen.moving) and _jumps(function, eqn):
            raise _refused(what, "a comparison of its state" if seen.state else "a comparison that is not linear in it")
    if hidden and _jumps_between(function):
        raise _refused(what, "a comparison of its state within a loop")
    return Breaks(function, tuple(eqn for eqn, _ in found)) if moving else None


def jumps_in_time(function: Function) -> bool:
    """Whether a comparison or step of a function, at any depth, sees the time, which is its first argument."""
    body, n = function.body, len(function.operands)
    return _sees(body, [k == n for k in range(len(body.invars))])


def _sees(body: Jaxpr, seen: Sequence[bool]) -> bool:
    times = {v for v, one in zip(body.invars, seen, strict=True) if one}
    for eqn in body.eqns:
        ours = [isinstance(a, Var) and a in times for a in eqn.invars]
        if not any(ours):
            continue
        if _compares(eqn) or _steps(eqn) or any(_sees(inner, [True] * len(inner.invars)) for inner in _bodies(eqn)):
            return True
        times |= set(eqn.outvars)
    return False


def _refused(what: str, how: str) -> ProgramError:
    return ProgramError(
        f"{what} jumps where parameters lead it ({how}): the derivative of its integral would lack the jump",
        location=user_line.here(),
        remedy="Compare time itself with the time of the jump, `if t > tau`; or integrate up to the jump and from it "
        "on, in two calls; or make the jump a steep slope, 1 / (1 + exp(-(y - level) / width)).",
    )


def _compares(eqn: JaxprEqn) -> bool:
    return eqn.primitive in COMPARISONS and all(jnp.issubdtype(a.aval.dtype, jnp.floating) for a in eqn.invars)  # type: ignore[attr-defined]


def _steps(eqn: JaxprEqn) -> bool:
    if eqn.primitive is jp.convert_element_type_p:
        kinds = [a.aval.dtype for a in (*eqn.invars, *eqn.outvars)]  # type: ignore[attr-defined]
        return bool(jnp.issubdtype(kinds[0], jnp.floating) and jnp.issubdtype(kinds[1], jnp.integer))
    return eqn.primitive in STEPS


def _bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    """The jaxprs that an equation holds; a library's computation, with a derivative of its own, is not looked into."""
    return [] if eqn.primitive.name in WITH_DERIVATIVES else nested(eqn)


def _holds_comparison(body: Jaxpr) -> bool:
    return any(map(_compares, walk(body, _bodies)))


def _compares_time(eqn: JaxprEqn, seen: Sequence[Seen]) -> bool:
    """Whether a loop, branch or call compares what depends on time with what depends on parameters."""
    for body in _bodies(eqn):
        few = len(body.invars) - len(seen)
        inputs = [Seen()] * few + list(seen) if few >= 0 else list(seen[-len(body.invars) :])
        whole = reduce(lambda a, b: a | b, inputs, Seen())
        if any(_compares(e) for e in body.eqns) and whole.degree and whole.moving and not whole.state:
            return True
        if any(_compares_time(e, [whole]) for e in body.eqns):
            return True
    return False


def _through(eqn: JaxprEqn, seen: Sequence[Seen], whole: Seen) -> Seen:
    """What a value depends on that is computed from such ones."""
    degree = NONLINEAR if whole.degree else 0
    match eqn.primitive:
        case primitive if primitive in LINEAR or primitive in (jp.add_p, jp.sub_p):
            degree = whole.degree
        case jp.convert_element_type_p if jnp.issubdtype(eqn.params["new_dtype"], jnp.floating):
            degree = whole.degree
        case jp.mul_p | jp.dot_general_p:
            degree = min(sum(s.degree for s in seen), NONLINEAR)
        case jp.div_p if not seen[1].degree:
            degree = seen[0].degree
        case jp.select_n_p if not seen[0].degree and not seen[0].switched:
            degree = whole.degree
        case _ if eqn.primitive.name == "stack":
            degree = whole.degree
    return Seen(degree, whole.state, whole.moving, whole.switched)


def _jumps(function: Function, test: JaxprEqn) -> bool:
    """Whether the function has two values where a comparison changes, at random points."""
    body = function.body
    rng = np.random.default_rng(SEED)
    gap = body.replace(outvars=list(test.invars))
    answered = _answered(body, [test])
    told = body.replace(outvars=list(test.outvars))
    shape = test.outvars[0].aval.shape  # type: ignore[attr-defined]

    def difference(k: Any, at: Sequence[Any], along: Sequence[Any]) -> Any:
        def moved(s: Any) -> list[Any]:
            return [
                a + s * d if jnp.issubdtype(jnp.result_type(a), jnp.inexact) else a
                for a, d in zip(at, along, strict=True)
            ]

        def height(s: Any) -> Any:
            a, b = jaxpr_as_fun(gap)(*moved(s))
            return jnp.ravel(a - b)[k]

        def newton(_: Any, s: Any) -> Any:
            value, slope = jax.jvp(height, (s,), (1.0,))
            return s - value / slope

        s = jax.lax.fori_loop(0, NEWTON, newton, 0.0)
        sides = jnp.ravel(jaxpr_as_fun(told)(*moved(s))[0])
        yes, no = (jaxpr_as_fun(answered)(sides.at[k].set(side).reshape(shape), *moved(s))[0] for side in (True, False))
        size = 1.0 + jnp.maximum(jnp.max(jnp.abs(yes)), jnp.max(jnp.abs(no)))
        return jnp.where(jnp.abs(height(s)) < JUMP, jnp.max(jnp.abs(yes - no)) / size, jnp.nan)

    with jax.ensure_compile_time_eval():
        given = list(zip(function.operands, body.invars, strict=False))
        fixed = [None if is_traced(o) else jnp.asarray(o) for o, _ in given]
        fixed += [None] * (len(body.invars) - len(fixed))
        count = int(np.prod(shape))
        found = []
        for _ in range(POINTS):
            at = [_random(v.aval, rng) if o is None else o for o, v in zip(fixed, body.invars, strict=True)]
            along = [jnp.asarray(rng.normal(size=jnp.shape(a)) * (o is None)) for o, a in zip(fixed, at, strict=True)]
            found.append((rng.integers(count), at, along))
        stacked = jax.tree.map(lambda *xs: jnp.stack(list(map(jnp.asarray, xs))), *found)
        gaps = np.asarray(jax.jit(jax.vmap(difference))(*stacked))
    known = gaps[np.isfinite(gaps)]
    return not known.size or bool(np.max(known) > JUMP)


def _jumps_between(function: Function) -> bool:
    """Whether the function jumps on lines between random states, time and operands standing still.

    For comparisons that stand in loops, of which no one can be turned alone. What a smooth function changes by over a
    step is what its slopes at both ends say, up to the cube of the step; the place where it changes most otherwise is
    looked for by halving.
    """
    body, n = function.body, len(function.operands)
    rng = np.random.default_rng(SEED)
    first = n + 1

    def largest(at: Sequence[Any], ends: Sequence[Any]) -> Any:
        def along(s: Any) -> tuple[Any, Any]:
            def value(s: Any) -> Any:
                states = [a + s * (b - a) for a, b in zip(at[first:], ends, strict=True)]
                return jaxpr_as_fun(body)(*at[:first], *states)[0]

            return jax.jvp(value, (s,), (jnp.ones_like(s),))

        def odd(a: Any, b: Any) -> Any:
            (low, before), (high, after) = along(a), along(b)
            size = 1.0 + jnp.maximum(jnp.max(jnp.abs(low)), jnp.max(jnp.abs(high)))
            change = jnp.abs(high - low - 0.5 * (b - a) * (before + after))
            return jnp.max(jnp.where(jnp.isfinite(change), change, 0.0)) / size

        def halve(_: Any, step: tuple[Any, Any]) -> tuple[Any, Any]:
            a, b = step
            middle = 0.5 * (a + b)
            left = odd(a, middle) > odd(middle, b)
            return jnp.where(left, a, middle), jnp.where(left, middle, b)

        def within(a: Any) -> Any:
            return odd(*jax.lax.fori_loop(0, HALVINGS, halve, (a, a + 1.0 / STEPS_OF_LINE)))

        return jnp.max(jax.lax.map(within, jnp.arange(STEPS_OF_LINE) / STEPS_OF_LINE))

    with jax.ensure_compile_time_eval():
        given = [None if is_traced(o) else jnp.asarray(o) for o in function.operands]
        given += [None] * (len(body.invars) - n)
        lines = []
        for scale in SCALES:
            at = [_random(v.aval, rng) if o is None else o for o, v in zip(given, body.invars, strict=True)]
            ends = [scale * _random(v.aval, rng) for v in body.invars[first:]]
            lines.append((at, ends))
        stacked = jax.tree.map(lambda *xs: jnp.stack(list(map(jnp.asarray, xs))), *lines)
        found = np.asarray(jax.jit(lambda lines: jax.lax.map(lambda line: largest(*line), lines))(stacked))
    return bool(np.nanmax(found) > JUMP)


def _random(aval: Any, rng: np.random.Generator) -> Any:
    if jnp.issubdtype(aval.dtype, jnp.inexact):
        return jnp.asarray(rng.uniform(0.5, 2.0, aval.shape), aval.dtype)
    return jnp.ones(aval.shape, aval.dtype)
