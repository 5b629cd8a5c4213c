"""How the numbers that a loop carries respond to its parameters: the loop is run on numbers, decisions and all.

What depends on parameters gets random values, and moves a little along a random direction. A number that has come to
rest by then, and rests elsewhere for other parameters, further along the further they move, though its derivative does
not say so, *follows* them. A count, a choice among few and the step of an integrator do not: they stay as they are, or
jump; a sum of parameters moves as its derivative says.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.frontend.flows import Body
from gradmc.program.jaxprs import walk

SEED = 20260101
MOST = 200
"""Iterations of a loop within the loop that may not end."""
LEVELS = (0.0, 1e3, -1e3) * 2
"""What is added to real numbers that depend on parameters where the loop starts: the best value so far may be any."""
POINTS, APART = 6, 0.02
"""Points along the direction, and how far parameters move from one to the next."""
SMALL = 1e-3
"""What has come to rest moves so much less than it did."""
ROUNDING = 1e-9
"""A response that is so much smaller than the number is none."""
QUICKLY = {"xla_backend_optimization_level": 0}
"""What runs a few times on a few numbers is compiled without optimisation, in half the time."""
FINE = 0.1
"""How much smaller than the response the last moves must be, and how much of it no derivative tells."""


def following(body: Body, candidates: Iterable[int]) -> set[int]:
    """Those of the carried real numbers that follow parameters, as far as random values show.

    Args:
        body: a loop.
        candidates: positions among what it carries.
    """
    asked = sorted(candidates)
    if not asked or _may_not_end(body.jaxpr):
        return set()
    rng = np.random.default_rng(SEED)
    found: set[int] = set()
    with jax.ensure_compile_time_eval():
        several = jax.vmap(lambda at, along: _paths(body, asked, at, along), in_axes=(0, None))
        paths = jax.jit(several, compiler_options=QUICKLY)
        for level in LEVELS:
            out = paths(*_along_a_direction(body, level, rng))
            found |= {k for k, told in zip(asked, out, strict=True) if _follows(*map(np.asarray, told))}
    return found


def _may_not_end(jaxpr: Jaxpr) -> bool:
    """Whether it holds a loop of JAX's own, to which no bound is given."""
    eqns = walk(jaxpr, lambda eqn: [eqn.params[name] for name in _nested(eqn)])
    return any(eqn.primitive is jp.while_p for eqn in eqns)


def _nested(eqn: JaxprEqn) -> tuple[str, ...]:
    """The parameters of an equation that are jaxprs."""
    return ("jaxpr",) if eqn.primitive in (jp.jit_p, jp.scan_p) else ir.BODIES.get(eqn.primitive, ())


def _bounded(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr with a bound to all loops of the program's within it."""
    eqns = []
    for eqn in jaxpr.eqns:
        params = {**eqn.params, **{name: _bounded(eqn.params[name]) for name in _nested(eqn)}}
        if eqn.primitive is ir.while_p:
            params["max_steps"] = MOST
        eqns.append(eqn.replace(params=params))
    return jaxpr.replace(eqns=eqns)


def _paths(body: Body, asked: Sequence[int], inputs: Sequence[Any], along: Mapping[int, Any]) -> list[tuple[Any, Any]]:
    """The values of some carried numbers before each iteration and after the last, and what the last one's slope is."""

    def run(moving: Mapping[int, Any]) -> list[Any]:
        return _path(body, asked, [moving.get(k, v) for k, v in enumerate(inputs)])

    paths, slopes = jax.jvp(run, ({k: inputs[k] for k in along},), (along,))
    return [(path, slope[-1]) for path, slope in zip(paths, slopes, strict=True)]


def _path(body: Body, asked: Sequence[int], inputs: Sequence[Any]) -> list[Any]:
    """The values of some carried numbers before each iteration and after the last."""
    once = jaxpr_as_fun(_bounded(body.jaxpr))
    first, last = body.first, body.first + body.count
    fixed, start, rest = inputs[:first], inputs[first:last], inputs[last:]

    def step(carry: list[Any], index: Any) -> tuple[list[Any], list[Any]]:
        now = [index.astype(fixed[0].dtype), *fixed[1:]] if body.counts else fixed
        out = once(*now, *carry, *rest)[: body.count]
        if body.test is not None:
            more = jaxpr_as_fun(_bounded(body.test))(*now, *carry)[0]
            out = [jnp.where(more, new, old) for new, old in zip(out, carry, strict=True)]
        return out, [carry[k] for k in asked]

    carry, path = jax.lax.scan(step, list(start), jnp.arange(body.length))
    return [jnp.concatenate([p, carry[k][None]]) for k, p in zip(asked, path, strict=True)]


def _along_a_direction(
    body: Body, level: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    """The inputs of a loop at points along a direction of what depends on parameters, and the direction by input."""
    inputs, along = [], {}
    for k, (variable, touched, value) in enumerate(zip(body.jaxpr.invars, body.touched, body.values, strict=True)):
        aval: Any = variable.aval
        real = jnp.issubdtype(aval.dtype, jnp.floating)
        if value is not None and np.shape(value) == aval.shape:
            base = np.asarray(value)
        elif real:
            base = rng.uniform(0.2, 0.8, aval.shape) + level * (touched and k in body.carried())
        else:
            base = rng.integers(0, 2, aval.shape)
        direction = rng.uniform(0.5, 1.0, aval.shape) * rng.choice([-1.0, 1.0], aval.shape)
        moved = touched and value is None and real
        if moved:
            along[k] = direction.astype(aval.dtype)
        points = [base + APART * j * direction if moved else base for j in range(POINTS)]
        inputs.append(np.stack(points).astype(aval.dtype))
    return inputs, along


def _follows(path: np.ndarray, slope: np.ndarray) -> bool:
    """Whether a number has come to rest, and where it rests moves evenly as no derivative says.

    Args:
        path: its values by point and iteration.
        slope: the derivative of the last one along the direction, by point.
    """
    with np.errstate(all="ignore"):
        moves = np.abs(np.diff(path, axis=1))
        first, last = moves.max((0, 1)), moves[:, -3:].max((0, 1))
        responses = np.diff(path[:, -1], axis=0)
        told = 0.5 * APART * (slope[1:] + slope[:-1])
        untold = responses - told
        sizes = np.abs(untold)
        usual = np.median(sizes, axis=0)
        even = (sizes > usual / 2).all(0) & (sizes < usual * 2).all(0) & (np.ptp(np.sign(untold), axis=0) == 0)
        follows = (sizes > FINE * (np.abs(responses) + np.abs(told))).all(0)
        moved = usual > ROUNDING * np.abs(path[:, -1]).max(0)
        return bool(np.any((last < SMALL * first) & (last < FINE * usual) & even & follows & moved))
