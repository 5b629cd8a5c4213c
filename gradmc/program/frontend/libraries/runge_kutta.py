"""scipy's explicit Runge-Kutta methods, step for step: RK23, RK45 and DOP853.

They give the values that `scipy.integrate.solve_ivp` gives, whatever its tolerance: the same coefficients (taken from
scipy's classes), first step, error norm, control of the step size and dense output (Hairer, Nørsett & Wanner 1993,
sections II.4 to II.6; Dormand & Prince 1980; Bogacki & Shampine 1989).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jax import lax

SAFETY, MIN_FACTOR, MAX_FACTOR = 0.9, 0.2, 10.0
STIFF_STEPS, STIFF_REGION = 15, 6.1
"""A problem is stiff for DOP853 if its step times the largest eigenvalue has reached the edge of the region of
stability in so many steps (Hairer, Nørsett & Wanner 1993, section IV.2, and their code)."""

Rhs = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Control:
    """How steps are chosen.

    Attributes:
        rtol: relative tolerance, a number or one per component.
        atol: absolute tolerance.
        max_step: longest step.
        first_step: length of the first one; None: chosen.
        most: attempts after which the solution counts as failed.
        until_stiff: whether to stop where the problem turns out to be stiff.
        frozen: whether the derivative takes the steps as they are. That is the derivative of the solution, to the
            tolerance. The derivative of what the steps give, with their lengths, is not if the right-hand side jumps
            at a time: the error of the step across it, large as it may be, moves with the step.
    """

    rtol: Any
    atol: Any
    max_step: float = np.inf
    first_step: Any = None
    most: int = 1_000_000
    until_stiff: bool = False
    frozen: bool = False


def _combined(weights: Any, stages: Any) -> Any:
    """A linear combination of stages (k, n); one for each row of weights (m, k)."""
    weights = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, len(stages) - weights.shape[-1])])
    return jnp.sum(weights[..., None] * stages, axis=-2)


def _norm(x: Any) -> Any:
    square = jnp.sum(x * x) / x.size
    return jnp.where(square == 0, 0.0, jnp.sqrt(jnp.where(square == 0, 1.0, square)))


class Method:
    """A pair of Runge-Kutta formulas with dense output: RK23 or RK45.

    The stages are one loop, which costs less time to compile: those of the step, the new state's, and those that only
    the dense output needs.
    """

    def __init__(self, solver: Any) -> None:
        self.solver = solver
        self.order = solver.error_estimator_order
        n = solver.n_stages
        extra = getattr(solver, "A_EXTRA", np.zeros((0, 0)))
        self.a = np.zeros((n + 1 + len(extra),) * 2)
        self.a[:n, : solver.A.shape[1]] = solver.A[:n]
        self.a[n, :n] = solver.B
        self.a[n + 1 :, : extra.shape[1]] = extra
        self.c = np.concatenate([solver.C[:n], [1.0], getattr(solver, "C_EXTRA", [])])

    def stages(self, rhs: Rhs, t: Any, y: Any, f: Any, h: Any) -> tuple[Any, Any]:
        """The new state, and the derivatives at all stages."""

        def stage(s: Any, k: Any) -> Any:
            row = lax.dynamic_index_in_dim(jnp.asarray(self.a), s, keepdims=False)
            time = t + lax.dynamic_index_in_dim(jnp.asarray(self.c), s, keepdims=False) * h
            found = rhs(time, y + h * jnp.sum(row[:, None] * k, axis=0))
            return lax.dynamic_update_index_in_dim(k, found, s, 0)

        k = jnp.zeros((len(self.a), y.size), y.dtype).at[0].set(f)
        k = lax.fori_loop(1, len(self.a), stage, k)
        return y + h * _combined(self.solver.B, k), k

    def error(self, k: Any, h: Any, scale: Any) -> Any:
        """The estimated error relative to its tolerance."""
        return _norm(_combined(self.solver.E, k) * h / scale)

    def dense(self, y: Any, new: Any, h: Any, k: Any) -> Callable[[Any], Any]:
        """The solution within the step, at shares of it between 0 and 1."""
        powers = _combined(self.solver.P.T, k)

        def at(x: Any) -> Any:
            total = jnp.zeros_like(y)
            for q in reversed(list(powers)):
                total = (total + q) * x[:, None]
            return y + h * total

        return at


class Dop853(Method):
    """Dormand and Prince's method of order 8."""

    def error(self, k: Any, h: Any, scale: Any) -> Any:
        """See `Method`."""
        fifth, third = (jnp.sum((_combined(e, k) / scale) ** 2) for e in (self.solver.E5, self.solver.E3))
        whole = fifth + 0.01 * third
        safe = jnp.where(whole == 0, 1.0, whole)
        return jnp.where(whole == 0, 0.0, jnp.abs(h) * fifth / jnp.sqrt(safe * scale.size))

    def dense(self, y: Any, new: Any, h: Any, k: Any) -> Callable[[Any], Any]:
        """See `Method`."""
        change, f, f_new = new - y, k[0], k[self.solver.n_stages]
        higher = h * _combined(self.solver.D, k)
        powers = [change, h * f - change, 2.0 * change - h * (f_new + f), *higher]

        def at(x: Any) -> Any:
            total = jnp.zeros_like(y)
            for i, q in enumerate(reversed(powers)):
                total = (total + q) * (x if i % 2 == 0 else 1.0 - x)[:, None]
            return y + total

        return at


METHODS: dict[str, Method] = {
    "RK23": Method(scipy.integrate.RK23),
    "RK45": Method(scipy.integrate.RK45),
    "DOP853": Dop853(scipy.integrate.DOP853),
}


def solve(method: Method, rhs: Rhs, t0: Any, t1: Any, y0: Any, times: Any, control: Control) -> tuple[Any, Any, Any]:
    """Solve y' = rhs(t, y) from t0 to t1.

    Args:
        method: the formulas.
        rhs: from a number and an array (n,) to an array (n,).
        t0: where y is y0.
        t1: the end.
        y0: initial state (n,).
        times: where the solution is wanted (m,), between t0 and t1.
        control: of the steps.

    Returns:
        The solution at the times (m, n), at the end (n,), and 1.0 if all went well, else 0.0.
    """
    direction = jnp.where(t1 >= t0, 1.0, -1.0)
    f0 = rhs(t0, y0)
    first = _first_step(method, rhs, t0, t1, y0, f0, direction, control)
    start = {
        "t": t0,
        "y": y0,
        "f": f0,
        "h": first,
        "out": jnp.broadcast_to(y0, (*times.shape, *y0.shape)),
        "rejected": False,
    }
    start |= {"attempts": 0, "stiff": 0, "lenient": 0, "stuck": False}

    def again(s: dict[str, Any]) -> Any:
        more = (direction * (t1 - s["t"]) > 0) & (s["attempts"] < control.most) & ~s["stuck"]
        return more & (s["stiff"] < STIFF_STEPS) if control.until_stiff else more

    def attempt(s: dict[str, Any]) -> dict[str, Any]:
        t, y, f = s["t"], s["y"], s["f"]
        shortest = 10.0 * jnp.abs(jnp.nextafter(lax.stop_gradient(t), direction * np.inf) - t)
        fresh = jnp.clip(s["h"], shortest, control.max_step)
        length = jnp.where(s["rejected"], s["h"], fresh)
        if control.frozen:
            length = lax.stop_gradient(length)
        stuck = length < shortest
        new_t = t + length * direction
        new_t = jnp.where(direction * (new_t - t1) > 0, t1, new_t)
        h = new_t - t
        length = jnp.abs(h)
        new, k = method.stages(rhs, t, y, f, h)
        scale = control.atol + jnp.maximum(jnp.abs(y), jnp.abs(new)) * control.rtol
        error = method.error(k, h, scale)
        good = error < 1.0
        factor = SAFETY * jnp.where(error == 0, 1.0, error) ** (-1.0 / (method.order + 1))
        larger = jnp.where(error == 0, MAX_FACTOR, jnp.minimum(MAX_FACTOR, factor))
        larger = jnp.where(s["rejected"], jnp.minimum(1.0, larger), larger)
        smaller = jnp.where(jnp.isfinite(error), jnp.maximum(MIN_FACTOR, factor), MIN_FACTOR)
        inside = good & (direction * (times - t) > 0) & (direction * (times - new_t) <= 0)
        inside = inside | (good & (times == t0) & (t == t0))
        dense = method.dense(y, new, h, k)
        out = jnp.where(inside[:, None], dense((times - t) / h), s["out"]) if times.size else s["out"]
        made = {"t": new_t, "y": new, "f": k[method.solver.n_stages]}
        kept = {name: jnp.where(good, value, s[name]) for name, value in made.items()}
        stiff, lenient = _stiffness(s, y, new, h, k, good) if control.until_stiff else (s["stiff"], s["lenient"])
        return kept | {
            "out": out,
            "h": length * jnp.where(good, larger, smaller),
            "rejected": ~good,
            "attempts": s["attempts"] + 1,
            "stiff": stiff,
            "lenient": lenient,
            "stuck": stuck,
        }

    end = lax.while_loop(again, attempt, jnp_tree(start))
    done = direction * (t1 - end["t"]) <= 0
    return end["out"], end["y"], jnp.where(done, 1.0, 0.0)


def jnp_tree(state: dict[str, Any]) -> dict[str, Any]:
    """A state of arrays of definite types."""
    return {k: lax.convert_element_type(v, jnp.result_type(v)) for k, v in state.items()}


def _stiffness(s: dict[str, Any], y: Any, new: Any, h: Any, k: list[Any], good: Any) -> tuple[Any, Any]:
    """How many steps were at the edge of the region of stability, six others in a row starting anew."""
    solver = METHODS["DOP853"].solver
    last = y + h * _combined(solver.A[-1], k)
    between, change = jnp.sum((new - last) ** 2), jnp.sum((k[solver.n_stages] - k[solver.n_stages - 1]) ** 2)
    at_edge = (between > 0) & (h * h * change > STIFF_REGION**2 * between)
    lenient = jnp.where(at_edge, 0, s["lenient"] + 1)
    stiff = jnp.where(at_edge, s["stiff"] + 1, jnp.where(lenient >= 6, 0, s["stiff"]))
    return jnp.where(good, stiff, s["stiff"]), jnp.where(good, lenient, s["lenient"])


def _first_step(method: Method, rhs: Rhs, t0: Any, t1: Any, y0: Any, f0: Any, direction: Any, control: Control) -> Any:
    """The length of the first step (Hairer, Nørsett & Wanner 1993, section II.4)."""
    if control.first_step is not None:
        return jnp.asarray(control.first_step, y0.dtype)
    interval = jnp.abs(t1 - t0)
    scale = control.atol + jnp.abs(y0) * control.rtol
    d0, d1 = _norm(y0 / scale), _norm(f0 / scale)
    small = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = jnp.minimum(jnp.where(small, 1e-6, 0.01 * d0 / jnp.where(small, 1.0, d1)), interval)
    f1 = rhs(t0 + h0 * direction, y0 + h0 * direction * f0)
    d2 = _norm((f1 - f0) / scale) / jnp.where(h0 > 0, h0, 1.0)
    flat = (d1 <= 1e-15) & (d2 <= 1e-15)
    steep = jnp.where(flat, 1.0, jnp.maximum(d1, d2))
    h1 = jnp.where(flat, jnp.maximum(1e-6, h0 * 1e-3), (0.01 / steep) ** (1.0 / (method.order + 1)))
    return jnp.minimum(jnp.minimum(100.0 * h0, h1), jnp.minimum(interval, control.max_step))
