"""Integrals of functions: adaptive Gauss-Kronrod quadrature (Piessens et al. 1983, QUADPACK).

The interval with the largest error is halved until the errors together are small. Infinite intervals are mapped to
(0, 1]. How the intervals are halved is not differentiated; the integrand and the ends are.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jax import lax

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.frontend import user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.breaks import breaks
from gradmc.program.frontend.libraries.forward import forward
from gradmc.program.frontend.libraries.functions import Function, compiled
from gradmc.program.frontend.values import any_traced

MOST = 60
"""Intervals; QUADPACK's default is 50."""
TOLERANCE = 1e-10
"""Relative to the integral, and absolute beside it: tighter than scipy's 1.5e-8, which its errors rarely reach."""

KRONROD = np.array([
    0.995657163025808080735527280689003, 0.973906528517171720077964012084452, 0.930157491355708226001207180059508,
    0.865063366688984510732096688423493, 0.780817726586416897063717578345042, 0.679409568299024406234327365114874,
    0.562757134668604683339000099272694, 0.433395394129247190799265943165784, 0.294392862701460198131126603103866,
    0.14887433898163121088482600112972, 0.0,
])  # fmt: skip
WEIGHTS = np.array([
    0.011694638867371874278064396062192, 0.03255816230796472747881897245939, 0.05475589657435199603138130024458,
    0.07503967481091995276704314091619, 0.093125454583697605535065465083366, 0.109387158802297641899210590325805,
    0.123491976262065851077958109585166, 0.134709217311473325928054001771707, 0.142775938577060080797094273138717,
    0.147739104901338491374841515972068, 0.149445554002916905664936468389821,
])  # fmt: skip
GAUSS = np.polynomial.legendre.leggauss(10)

NODES = np.concatenate([-KRONROD[:-1], KRONROD[::-1]])
FINE = np.concatenate([WEIGHTS[:-1], WEIGHTS[::-1]])
COARSE = np.zeros(21)
COARSE[1::2] = GAUSS[1]


def _panel(f: Callable[[Any], Any], a: Any, b: Any) -> tuple[Any, Any]:
    """The integral from a to b, an array, and its estimated error."""
    half, middle = 0.5 * (b - a), 0.5 * (a + b)
    y = jax.vmap(f)(middle + half * NODES)
    fine = half * jnp.tensordot(FINE, y, 1)
    coarse = half * jnp.tensordot(COARSE, y, 1)
    spread = jnp.abs(half) * jnp.tensordot(FINE, jnp.abs(y - fine / (2.0 * jnp.where(half == 0, 1.0, half))), 1)
    gap = lax.stop_gradient(jnp.max(jnp.abs(fine - coarse)))
    spread = lax.stop_gradient(jnp.max(spread))
    ratio = 200.0 * gap / jnp.where(spread > 0, spread, 1.0)
    return fine, jnp.where(spread > 0, spread * jnp.minimum(1.0, ratio**1.5), gap)


def _adaptive(f: Callable[[Any], Any], ends: Sequence[Any], tolerance: float) -> tuple[Any, Any]:
    """The integral over the intervals between neighbouring ends, and its estimated error."""
    n = len(ends) - 1
    first = [_panel(f, a, b) for a, b in itertools.pairwise(ends)]
    shape = first[0][0].shape
    low, high, part, error = (jnp.zeros((MOST + n, *s)) for s in ((), (), shape, ()))
    low, high = low.at[:n].set(jnp.stack(ends[:-1])), high.at[:n].set(jnp.stack(ends[1:]))
    part, error = part.at[:n].set(jnp.stack([p for p, _ in first])), error.at[:n].set(jnp.stack([e for _, e in first]))

    def again(state: tuple) -> Any:
        count, _, _, part, error = state
        size = jnp.max(jnp.abs(jnp.sum(part, axis=0)))
        return (count < MOST + n) & (jnp.sum(error) > tolerance * jnp.maximum(size, 1e-3))

    def halve(state: tuple) -> tuple:
        count, low, high, part, error = state
        k = jnp.argmax(error)
        a, b = low[k], high[k]
        middle = 0.5 * (a + b)
        (left, left_error), (right, right_error) = _panel(f, a, middle), _panel(f, middle, b)
        return (
            count + 1,
            low.at[count].set(middle),
            high.at[count].set(b).at[k].set(middle),
            part.at[count].set(right).at[k].set(left),
            error.at[count].set(right_error).at[k].set(left_error),
        )

    _, _, _, part, error = lax.while_loop(again, halve, (jnp.asarray(n), low, high, part, error))
    return jnp.sum(part, axis=0), jnp.sum(error)


def _mapped(f: Callable[[Any], Any], a: Any, b: Any) -> tuple[Callable[[Any], Any], Any, Any, Callable[[Any], Any]]:
    """The integrand on a finite interval, its ends, and where a place x of the given interval lies on it.

    QUADPACK's map of an infinite interval is x = end + (1 - u) / u.
    """

    def infinite(x: Any, sign: int) -> bool:
        return not any_traced(x) and float(x) == sign * np.inf

    def tail(end: Any, sign: float) -> Callable[[Any], Any]:
        return lambda u: f(end + sign * (1.0 - u) / u) / (u * u)

    def share(end: Any) -> Callable[[Any], Any]:
        return lambda x: 1.0 / (1.0 + jnp.abs(x - end))

    zero, one = jnp.zeros(()), jnp.ones(())
    if infinite(a, -1) and infinite(b, 1):
        right, left = tail(0.0, 1.0), tail(0.0, -1.0)
        return (lambda u: right(u) + left(u)), zero, one, share(0.0)
    if infinite(b, 1):
        return tail(a, 1.0), zero, one, share(a)
    if infinite(a, -1):
        return tail(b, -1.0), zero, one, share(b)
    if infinite(a, 1) or infinite(b, -1):
        found, low, high, place = _mapped(f, b, a)
        return (lambda u: -found(u)), low, high, place
    return f, real(a), real(b), lambda x: x


def _between(places: Any, start: Any, end: Any) -> Any:
    """Places in their order from start to end; those outside at the start."""
    direction = jnp.where(end >= start, 1.0, -1.0)
    ahead = direction * (places - start)
    inside = (ahead > 0) & (ahead < direction * (end - start))
    return start + direction * jnp.sort(jnp.where(inside, ahead, 0.0))


def integral(function: Function, a: Any, b: Any, points: Any = None) -> tuple[Any, Any]:
    """The integral of a compiled function of one number, which may be an array, and its estimated error."""
    moving = [k for k, o in enumerate(function.operands) if jnp.issubdtype(jnp.result_type(o), jnp.inexact)]
    endless = [not any_traced(x) and not np.isfinite(x) for x in (a, b)]
    told = [] if points is None else sorted(map(float, points))
    jumps = breaks(function, "the integrand", kinks=True)

    def values(a_: Any, b_: Any, *operands: Any) -> Any:
        given = list(function.operands)
        for k, value in zip(moving, operands, strict=True):
            given[k] = value
        low, high = (x if out else y for x, y, out in zip((a, b), (a_, b_), endless, strict=True))
        f, start, end, place = _mapped(lambda x: function.at(given, x), low, high)
        between = [] if jumps is None else list(place(jumps.times(given)))
        if between:
            inside = jnp.stack([*between, *map(jnp.asarray, told)])
            between = list(_between(inside, start, end))
        return _adaptive(f, [start, *(between or map(jnp.asarray, told)), end], TOLERANCE)

    ends = [jnp.zeros(()) if out else real(x) for x, out in zip((a, b), endless, strict=True)]
    return ir.as_one(forward(values), *ends, *(real(function.operands[k]) for k in moving))


def quad(ev: Evaluation,
    func: Any, a: Any, b: Any, args: Any = (), full_output: Any = 0, epsabs: Any = 1.49e-8, epsrel: Any = 1.49e-8,
    limit: int = 50, points: Any = None, weight: Any = None, wvar: Any = None, wopts: Any = None,
    maxp1: int = 50, limlst: int = 50, complex_func: bool = False,
) -> Any:  # fmt: skip
    """`scipy.integrate.quad`."""
    more = args if isinstance(args, tuple) else (args,)
    function = compiled(ev, lambda x: jnp.reshape(real(ev.present(ev.call(func, x, *more))), ()), 0.0)
    if not function.traced and not any_traced((a, b)):
        return scipy.integrate.quad(func, a, b, args, full_output, epsabs, epsrel, limit, points, weight, wvar, wopts)
    if weight is not None or complex_func or full_output:
        raise ProgramError(
            "quad(..., weight=..., complex_func=... or full_output=...) is not compiled",
            location=user_line.here(),
            remedy="Write the weight into the integrand, and take real and imaginary part by themselves.",
        )
    return integral(function, a, b, points)


def quad_vec(ev: Evaluation, f: Any, a: Any, b: Any, *_: Any, args: Any = (), points: Any = None, **__: Any) -> Any:
    """`scipy.integrate.quad_vec`."""
    return integral(compiled(ev, lambda x: ev.call(f, x, *args), 0.0), a, b, points)


def fixed_quad(ev: Evaluation, func: Any, a: Any, b: Any, args: Any = (), n: int = 5) -> tuple[Any, None]:
    """`scipy.integrate.fixed_quad`: Gauss and Legendre's rule, the integrand called with all nodes at once."""
    nodes, weights = np.polynomial.legendre.leggauss(int(n))
    y = (b - a) * (nodes + 1) / 2.0 + a
    return (b - a) / 2.0 * jnp.sum(weights * real(ev.present(ev.call(func, y, *args))), axis=-1), None


def _bound(ev: Evaluation, bound: Any, *args: Any) -> Any:
    return ev.call(bound, *args) if callable(bound) else bound


def dblquad(ev: Evaluation, func: Any, a: Any, b: Any, gfun: Any, hfun: Any, args: Any = (), **_: Any) -> Any:
    """`scipy.integrate.dblquad`."""

    def inner(x: Any) -> Any:
        return quad(ev, lambda y: ev.call(func, y, x, *args), _bound(ev, gfun, x), _bound(ev, hfun, x))[0]

    return quad(ev, inner, a, b)


def tplquad(
    ev: Evaluation, func: Any, a: Any, b: Any, gfun: Any, hfun: Any, qfun: Any, rfun: Any, args: Any = (), **_: Any
) -> Any:
    """`scipy.integrate.tplquad`."""

    def inner(y: Any, x: Any) -> Any:
        return quad(ev, lambda z: ev.call(func, z, y, x, *args), _bound(ev, qfun, x, y), _bound(ev, rfun, x, y))[0]

    return dblquad(ev, inner, a, b, gfun, hfun)


GIVEN: dict[Any, Callable[..., Any]] = {
    scipy.integrate.quad: quad,
    scipy.integrate.quad_vec: quad_vec,
    scipy.integrate.fixed_quad: fixed_quad,
    scipy.integrate.dblquad: dblquad,
    scipy.integrate.tplquad: tplquad,
}
