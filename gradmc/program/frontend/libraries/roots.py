"""Roots and minima of compiled functions, with derivatives by the implicit function theorem.

Where F(x, theta) = 0, dx = -(dF/dx)^-1 dF/dtheta dtheta: the search itself is not differentiated, and where it starts
does not count. A search that finds no root gives NaN.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc.program import ir
from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.functions import Function

STEPS = 200
HALVINGS = 30
EPS = float(np.finfo(float).eps)
GOLDEN = 0.5 * (3.0 - 5.0**0.5)

type Equation = Callable[[Any], Any]
"""The function whose root is sought, of x alone."""


def implicit(
    function: Function,
    search: Callable[..., Any],
    starts: Sequence[Any],
    residual: Callable[[Equation], Equation],
    *,
    bounded: bool = False,
) -> Any:
    """What a search finds, a root of `residual(function)`, with its derivative.

    Args:
        function: a compiled function of one number or array.
        search: from the function of x alone and the starts to x.
        starts: where the search begins: numbers or arrays.
        residual: from the function to the equation that x solves: the function itself, or its slope.
        bounded: whether x may be one of the starts instead; it then moves with it.
    """
    places = [k for k, o in enumerate(function.operands) if jnp.issubdtype(jnp.result_type(o), jnp.inexact)]

    def with_operands(operands: Sequence[Any]) -> Equation:
        given = list(function.operands)
        for k, value in zip(places, operands, strict=True):
            given[k] = value
        return lambda x: function.at(given, x)

    @jax.custom_jvp
    def call(starts: Sequence[Any], operands: Sequence[Any]) -> Any:
        return search(with_operands(operands), *starts)

    @call.defjvp
    def jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (starts, operands), (start_dots, dots) = primals, tangents
        x = call(starts, operands)
        _, drift = jax.jvp(lambda *o: residual(with_operands(o))(x), tuple(operands), tuple(dots))
        equation = residual(with_operands(operands))
        if jnp.ndim(x) == 0:
            slope = jax.jvp(equation, (x,), (jnp.ones_like(x),))[1]
            # A flat equation does not say how its root moves: NaN times what moves, since 0 / 0 alone, of what does not
            # depend on it, would count as a derivative of 0.
            ends = [bounded & (x == start) for start in starts]
            unknown = jnp.where((slope == 0) & ~functools.reduce(jnp.logical_or, ends, jnp.bool_(False)), jnp.nan, 0.0)
            moved = -drift / slope + unknown * sum(jnp.sum(dot) for dot in dots)
            for end, dot in zip(ends, start_dots, strict=True):
                moved = jnp.where(end, dot, moved)
            return x, moved
        return x, -jnp.linalg.solve(jax.jacfwd(equation)(x), drift)

    moving = [real(function.operands[k]) for k in places]
    if not moving:
        return ir.as_one(lambda *s: call(s, []), *map(real, starts))
    return ir.as_one(lambda s, o: call(s, o), tuple(map(real, starts)), tuple(moving))


def itself(f: Equation) -> Equation:
    """The equation f(x) = 0."""
    return f


def slope(f: Equation) -> Equation:
    """The equation f'(x) = 0."""
    return jax.grad(f)


def forward_slope(f: Equation) -> Equation:
    """The equation f'(x) = 0 of a function of one number."""
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def bracketed(f: Equation, a: Any, b: Any) -> Any:
    """A root between a and b, where f has different signs: Newton's steps, halves where they leave the interval."""
    fa, fb = f(a), f(b)
    derivative = forward_slope(f)

    def again(state: tuple) -> Any:
        low, high, _x, fx, _, count = state
        close = jnp.abs(high - low) <= 4 * EPS * jnp.maximum(jnp.abs(low), jnp.abs(high))
        return (fx != 0) & ~close & (count < STEPS)

    def step(state: tuple) -> tuple:
        low, high, x, fx, before, count = state
        newton = x - fx / derivative(x)
        inside = (newton > jnp.minimum(low, high)) & (newton < jnp.maximum(low, high))
        fast = jnp.abs(newton - x) < 0.5 * before
        new = jnp.where(inside & fast, newton, 0.5 * (low + high))
        value = f(new)
        same = jnp.sign(value) == jnp.sign(fa)
        low, high = jnp.where(same, new, low), jnp.where(same, high, new)
        moved = jnp.abs(new - x)
        done = moved <= 2 * EPS * jnp.abs(new)  # Newton's method has come to rest
        return low, high, new, jnp.where(done, 0.0, value), moved, count + 1

    middle = 0.5 * (a + b)
    start = (a, b, middle, f(middle), jnp.abs(b - a), jnp.asarray(0))
    same = jnp.sign(start[3]) == jnp.sign(fa)
    start = (jnp.where(same, middle, a), jnp.where(same, b, middle), *start[2:])
    x = lax.while_loop(again, step, start)[2]
    x = jnp.where(fa == 0, a, jnp.where(fb == 0, b, x))
    return jnp.where(jnp.sign(fa) * jnp.sign(fb) <= 0, x, jnp.nan)


def newton(f: Equation, x: Any) -> Any:
    """A root near x, of each entry by itself if x is an array."""
    derivative = forward_slope(f)

    def again(state: tuple) -> Any:
        x, move, count = state
        return jnp.any(jnp.abs(move) > 4 * EPS * jnp.maximum(jnp.abs(x), EPS)) & (count < STEPS)

    def step(state: tuple) -> tuple:
        x, _, count = state
        value, s = f(x), derivative(x)
        move = jnp.where(value == 0, 0.0, value / jnp.where(value == 0, 1.0, s))
        return x - move, move, count + 1

    x, move, _ = lax.while_loop(again, step, (x, jnp.full_like(x, np.inf), jnp.asarray(0)))
    return jnp.where(jnp.abs(move) <= 1e-6 * jnp.maximum(jnp.abs(x), 1.0), x, jnp.nan)


def system(f: Equation, x: Any) -> Any:
    """A root near x of as many equations as unknowns: Newton's steps, halved until the residuals shrink."""
    jacobian = jax.jacfwd(f)

    def again(state: tuple) -> Any:
        x, value, move, count = state
        return jnp.any(jnp.abs(move) > 8 * EPS * jnp.maximum(jnp.abs(x), EPS)) & jnp.any(value != 0) & (count < STEPS)

    def step(state: tuple) -> tuple:
        x, value, _, count = state
        move = jnp.linalg.solve(jacobian(x), value)
        size = jnp.sum(value * value)

        def too_long(s: tuple) -> Any:
            share, halvings = s
            new = f(x - share * move)
            return ~(jnp.sum(new * new) < size) & (halvings < HALVINGS)

        share, halvings = lax.while_loop(too_long, lambda s: (0.5 * s[0], s[1] + 1), (1.0, 0))
        move = jnp.where(halvings < HALVINGS, share, 0.0) * move
        return x - move, f(x - move), move, count + 1

    x, value, _, _ = lax.while_loop(again, step, (x, f(x), jnp.full_like(x, np.inf), jnp.asarray(0)))
    jump = jnp.linalg.solve(jacobian(x), value)
    return jnp.where(jnp.max(jnp.abs(jump)) <= 1e-6 * jnp.maximum(jnp.max(jnp.abs(x)), 1.0), x, jnp.nan)


def within(f: Equation, low: Any, high: Any) -> Any:
    """A minimum between two ends: golden section, then Newton's steps on the slope."""

    def again(state: tuple) -> Any:
        a, b, count = state
        return (jnp.abs(b - a) > 1e-7 * jnp.maximum(jnp.abs(a) + jnp.abs(b), EPS)) & (count < STEPS)

    def step(state: tuple) -> tuple:
        a, b, count = state
        left, right = a + GOLDEN * (b - a), b - GOLDEN * (b - a)
        lower = f(left) < f(right)
        return jnp.where(lower, a, left), jnp.where(lower, right, b), count + 1

    a, b, _ = lax.while_loop(again, step, (low, high, jnp.asarray(0)))
    return polished(f, 0.5 * (a + b), low, high)


def polished(f: Equation, x: Any, low: Any, high: Any) -> Any:
    """A minimum near x; the end that x is at, if the slope has no root there."""
    first = forward_slope(f)
    second = forward_slope(first)
    width = jnp.abs(high - low)

    def step(_: Any, x: Any) -> Any:
        move = first(x) / second(x)
        return jnp.where((jnp.abs(move) < 1e-3 * width) & jnp.isfinite(move), x - move, x)

    x = jnp.clip(lax.fori_loop(0, 6, step, x), jnp.minimum(low, high), jnp.maximum(low, high))
    for end in (low, high):
        x = jnp.where((jnp.abs(x - end) < 1e-6 * width) & (f(end) <= f(x)), end, x)
    return x


def downhill(f: Equation, a: Any, b: Any) -> Any:
    """A minimum that is found by going downhill from a and b, in steps that grow, until the function rises."""
    swap = f(b) > f(a)
    a, b = jnp.where(swap, b, a), jnp.where(swap, a, b)

    def again(state: tuple) -> Any:
        _, b, c, count = state
        return (f(c) < f(b)) & (count < STEPS)

    def step(state: tuple) -> tuple:
        _, b, c, count = state
        return b, c, c + 1.618034 * (c - b), count + 1

    a, _, c, _ = lax.while_loop(again, step, (a, b, b + 1.618034 * (b - a), jnp.asarray(0)))
    return within(f, jnp.minimum(a, c), jnp.maximum(a, c))


def minimum(f: Equation, x: Any) -> Any:
    """A minimum of a function of an array near x: BFGS, then Newton's steps."""
    from jax.scipy.optimize import minimize

    found = minimize(f, x, method="BFGS", tol=1e-8).x
    gradient, hessian = jax.grad(f), jax.hessian(f)

    def step(_: Any, x: Any) -> Any:
        before = gradient(x)
        new = x - jnp.linalg.solve(hessian(x), before)
        better = jnp.sum(gradient(new) ** 2) < jnp.sum(before**2)
        return jnp.where(better, new, x)

    x = lax.fori_loop(0, 6, step, found)
    return jnp.where(jnp.max(jnp.abs(gradient(x))) < 1e-4 * (1.0 + jnp.abs(f(x))), x, jnp.nan)
