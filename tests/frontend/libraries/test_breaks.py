"""Right-hand sides and integrands that jump where a parameter says: value and gradient are the exact solution's."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from scipy.integrate import odeint, quad, solve_ivp

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate

POINT = np.array([0.7, 1.3])
TIMES = [0.0, 0.5, 1.7, 3.0]
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def rate(t: float, y: Any, k: Any, tau: Any) -> Any:
    """A decay that is four times as fast from tau on; a guard against a negative state does no harm."""
    fast = 2.0 if t > tau else 0.5
    level = y[0]
    if level < 0:
        level = 0.0
    return [-k * fast * level]


def decay(k: Any, tau: Any) -> Any:
    """Its solution at the times after the first, weighted."""
    found = [jax.numpy.exp(-k * (0.5 * t + 1.5 * jax.numpy.maximum(t - tau, 0.0))) for t in TIMES[1:]]
    return sum(w * y for w, y in zip((1.0, 2.0, 3.0), found, strict=True))


def stepwise(k: Any, tau: Any) -> Any:
    """By `solve_ivp`."""
    y = solve_ivp(rate, (0.0, 3.0), [1.0], t_eval=TIMES, args=(k, tau), **TIGHT).y[0]
    return y[1] + 2.0 * y[2] + 3.0 * y[3]


def backwards(k: Any, tau: Any) -> Any:
    """Back from the end, where the solution is known."""
    last = math.exp(-k * (0.5 * 3.0 + 1.5 * (3.0 - tau)))
    return solve_ivp(rate, (3.0, 0.0), [last], args=(k, tau), **TIGHT).y[0, -1]


def lsoda(k: Any, tau: Any) -> Any:
    """By `odeint`."""
    y = odeint(lambda t, y: rate(t, y, k, tau), 1.0, TIMES, tfirst=True)[:, 0]
    return y[1] + 2.0 * y[2] + 3.0 * y[3]


def infusions(k: Any, tau: Any) -> Any:
    """Three of them, of a length tau, without loss."""

    def given(t: Any, y: Any) -> Any:
        total = 0.0
        for start in (0.0, 1.0, 2.0):
            if k * 0.1 + start <= t < k * 0.1 + start + 0.5 * tau:
                total += 2.0
        return [total]

    return solve_ivp(given, (0.0, 4.0), [0.0], method="DOP853", **TIGHT).y[0, -1] * k


def integrals(k: Any, tau: Any) -> Any:
    """A jump and a kink, on finite and infinite intervals."""
    jump = quad(lambda x: math.exp(-x) if x > tau else k, 0, 2)[0]
    kink = quad(lambda x: math.exp(-abs(x - tau)), -np.inf, np.inf)[0]
    tail = quad(lambda x: math.exp(-x) * (3.0 if k > x else 1.0), 0, np.inf)[0]
    return jump + kink + tail


def areas(k: Any, tau: Any) -> Any:
    """What they are."""
    exp = jax.numpy.exp
    return k * tau + exp(-tau) - exp(-2.0) + 2.0 + 1.0 + 2.0 * (1.0 - exp(-k))


PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "stepwise": (stepwise, decay),
    "backwards": (backwards, lambda k, tau: 1.0 + 0.0 * k),
    "lsoda": (lsoda, decay),
    "infusions": (infusions, lambda k, tau: 3.0 * tau * k),
    "integrals": (integrals, areas),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_jump_at_a_parameter_counts(name: str) -> None:
    program, exact = PROGRAMS[name]
    with jax.enable_x64(True):
        got, slope = jax.jit(jax.value_and_grad(lambda p: evaluate(program, tuple(p), {})[0]))(POINT)
        want, right = jax.value_and_grad(lambda p: exact(*p))(POINT)
        np.testing.assert_allclose(got, want, rtol=1e-7)
        np.testing.assert_allclose(slope, right, rtol=1e-6, atol=1e-8)


def in_the_state(k: Any, tau: Any) -> Any:
    """A thermostat."""
    return solve_ivp(lambda t, y: [1.0 if y[0] < tau else -k], (0.0, 3.0), [0.0], **TIGHT).y[0, -1]


def in_a_period(k: Any, tau: Any) -> Any:
    """On for the share 1 / tau of each unit of time."""
    return solve_ivp(lambda t, y: [k if (t % 1.0) * tau < 1.0 else 0.0], (0.0, 3.0), [0.0], **TIGHT).y[0, -1]


def in_a_square(k: Any, tau: Any) -> Any:
    """Jumps where x**2 is a parameter."""
    return quad(lambda x: k if x * x > tau else 1.0, 0.0, 2.0)[0]


@pytest.mark.parametrize("program", [in_the_state, in_a_period, in_a_square])
def test_another_jump_is_refused(program: Callable[..., Any]) -> None:
    with jax.enable_x64(True), pytest.raises(ProgramError, match="jumps where parameters lead it") as told:
        jax.make_jaxpr(lambda p: evaluate(program, tuple(p), {})[0])(POINT)
    assert told.value.location is not None


def test_a_jump_at_a_fixed_time_is_followed_step_for_step() -> None:
    def program(k: Any, tau: Any) -> Any:
        def f(t: float, y: Any) -> Any:
            return [(1.0 if t % 1.0 < 0.5 else 0.2) - k * y[0]]

        return solve_ivp(f, (0.0, 3.0), [tau]).y[0, -1]

    with jax.enable_x64(True):
        got = jax.jit(lambda p: evaluate(program, tuple(p), {})[0])(POINT)
    np.testing.assert_allclose(got, program(*POINT), rtol=1e-12)


def in_the_state_within_a_loop(k: Any, tau: Any) -> Any:
    """Thermostats, each of which feels those before it."""

    def rate(t: float, y: Any) -> Any:
        rates, felt = [0.0] * 6, 0.0
        for i in range(6):
            felt = math.tanh(felt) + y[i] if felt < tau else -k * felt
            rates[i] = felt
        return rates

    return solve_ivp(rate, (0.0, 3.0), np.zeros(6), **TIGHT).y[0, -1]


def guarded_within_a_loop(k: Any, tau: Any) -> Any:
    """Levels that fall no lower than one half, which is continuous."""

    def rate(t: float, y: Any) -> Any:
        rates, level = [0.0] * 6, 0.0
        for i in range(6):
            level = math.tanh(level) + y[i]
            if level < 0.5:
                level = 0.5
            rates[i] = tau - k * level
        return rates

    return solve_ivp(rate, (0.0, 1.0), np.ones(6), **TIGHT).y[5, -1]


def test_a_jump_in_the_state_within_a_loop_is_refused_and_a_guard_is_not() -> None:
    with jax.enable_x64(True):
        with pytest.raises(ProgramError, match="a comparison of its state within a loop"):
            jax.make_jaxpr(lambda p: evaluate(in_the_state_within_a_loop, tuple(p), {})[0])(POINT)
        got = jax.jit(lambda p: evaluate(guarded_within_a_loop, tuple(p), {})[0])(POINT)
    np.testing.assert_allclose(got, guarded_within_a_loop(*POINT), rtol=1e-9)


@pytest.mark.parametrize("method", ["RK45", "LSODA"])
def test_the_gradient_knows_nothing_of_the_steps_across_a_jump_at_a_fixed_time(method: str) -> None:
    """A rate that falls to the share tau at 1: y = exp(-k (1 + tau)) at 2, times the state before."""

    def program(k: Any, tau: Any) -> Any:
        def rate(t: float, y: Any) -> Any:
            return [-(k if t < 1.0 else k * tau) * y[0], y[0] - 0.3 * y[1]]

        return solve_ivp(rate, (0.0, 2.0), [1.0, 0.0], method=method, rtol=1e-7, atol=1e-9).y[0, -1]

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda p: evaluate(program, tuple(p), {})[0]))(POINT)
    k, tau = POINT
    last = math.exp(-k * (1.0 + tau))
    np.testing.assert_allclose(slope, [-(1.0 + tau) * last, -k * last], rtol=1e-5)
