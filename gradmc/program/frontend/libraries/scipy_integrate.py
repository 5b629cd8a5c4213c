"""scipy.integrate on traced values: differential equations, integrals, and rules for samples."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jax import lax

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries import quadrature, rules, runge_kutta, stiff
from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.breaks import Breaks, breaks, jumps_in_time
from gradmc.program.frontend.libraries.forward import forward
from gradmc.program.frontend.libraries.functions import Function, compiled
from gradmc.program.frontend.libraries.unsupported import refuse
from gradmc.program.frontend.values import any_traced

TIGHT_RTOL, TIGHT_ATOL = 1e-11, 1e-13
"""Tolerances of what stands in for LSODA, which the compiled program does not follow step for step."""
ATTEMPTS = 5_000


class Result:
    """The result of `solve_ivp`, and of the solvers of scipy.optimize: its fields are attributes and items."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]


class Ends:
    """The values at the steps of a solver, whose number is not known while compiling: the first and the last.

    Args:
        first: the value at the beginning.
        last: the value at the end.
    """

    def __init__(self, first: Any, last: Any) -> None:
        self.first, self.last = first, last

    def __getitem__(self, index: Any) -> Any:
        *parts, at = index if isinstance(index, tuple) else (index,)
        if not isinstance(index, tuple) and jnp.ndim(self.last):
            return Ends(self.first[index], self.last[index])
        if not isinstance(at, int) or at not in (0, -1):
            raise self._complaint()
        value = self.last if at else self.first
        return value[tuple(parts)] if parts else value

    def _complaint(self) -> ProgramError:
        return refuse(
            "how many steps a solver takes depends on the parameters: its solution at all of them",
            "Say where you want it: solve_ivp(..., t_eval=times). The ends alone, [..., 0] and [..., -1], can be had.",
        )

    def __getattr__(self, name: str) -> Any:
        raise self._complaint()

    def __len__(self) -> int:
        raise self._complaint()

    def __iter__(self) -> Any:
        raise self._complaint()

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._complaint()


def _smooth(method: str, f: Any, t0: Any, t1: Any, y0: Any, times: Any, control: Any) -> tuple[Any, Any, Any]:
    """The solution where the right-hand side has no break."""
    if method in runge_kutta.METHODS:
        return runge_kutta.solve(runge_kutta.METHODS[method], f, t0, t1, y0, times, control)
    if method in ("BDF", "Radau"):
        return stiff.solve(f, t0, t1, y0, times)
    explicit = runge_kutta.solve(runge_kutta.METHODS["DOP853"], f, t0, t1, y0, times, TIGHT)
    done = explicit[-1] > 0
    implicit = stiff.solve(f, t0, jnp.where(done, t0, t1), y0, times)  # no steps where the explicit one is done
    return tuple(jnp.where(done, a, b) for a, b in zip(explicit, implicit, strict=True))  # type: ignore[return-value]


def _piecewise(
    method: str, jumps: Breaks, operands: Any, t0: Any, t1: Any, y0: Any, times: Any, control: Any
) -> tuple[Any, Any, Any]:
    """The solution from one break to the next."""
    direction = jnp.where(t1 >= t0, 1.0, -1.0)
    ahead = jnp.clip(direction * (jumps.times(operands) - t0), 0.0, direction * (t1 - t0))
    ends = t0 + direction * jnp.sort(jnp.where(jnp.isnan(ahead), 0.0, ahead))
    ends = jnp.concatenate([jnp.reshape(t0, 1), ends, jnp.reshape(t1, 1)])

    def piece(state: tuple[Any, Any, Any], span: tuple[Any, Any]) -> tuple[tuple[Any, Any, Any], None]:
        (out, y, good), (a, b) = state, span
        sides = jumps.sides(operands, 0.5 * (a + b))
        found, y, fine = _smooth(method, lambda t, y: jumps.within(operands, sides, t, y), a, b, y, times, control)
        here = (direction * (times - a) >= 0) & (direction * (b - a) > 0)
        return (jnp.where(here[:, None], found, out), y, good * fine), None

    start = (jnp.broadcast_to(y0, (*times.shape, *y0.shape)), y0, jnp.ones(()))
    return lax.scan(piece, start, (ends[:-1], ends[1:]))[0]


def _solution(
    method: str, rhs: Function, t0: Any, t1: Any, y0: Any, times: Any, control: Any, jumps: Breaks | None
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The solution at the times and at the end, and 1.0 if all went well."""
    operands = [i for i, o in enumerate(rhs.operands) if jnp.issubdtype(jnp.result_type(o), jnp.inexact)]

    def values(t0: Any, t1: Any, y0: Any, times: Any, *moving: Any) -> Any:
        given = list(rhs.operands)
        for i, value in zip(operands, moving, strict=True):
            given[i] = value
        if jumps is not None:
            return _piecewise(method, jumps, given, t0, t1, y0, times, control)
        return _smooth(method, lambda t, y: rhs.at(given, t, y), t0, t1, y0, times, control)

    moving = [real(rhs.operands[i]) for i in operands]
    given = [real(t0), real(t1), real(y0), real(times), *moving]
    out, last, good = ir.as_one(forward(values), *given)
    failed = good == 0
    return jnp.where(failed, jnp.nan, out), jnp.where(failed, jnp.nan, last), good


TIGHT = runge_kutta.Control(TIGHT_RTOL, TIGHT_ATOL, most=ATTEMPTS, until_stiff=True, frozen=True)


def solve_ivp(
    ev: Evaluation,
    fun: Any,
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """`scipy.integrate.solve_ivp`; RK23, RK45 and DOP853 step for step, the implicit methods to a tight tolerance."""
    name = method if isinstance(method, str) else getattr(method, "__name__", "")
    (t0, t1), y0 = t_span, real(y0)
    more = tuple(args) if args is not None else ()
    rhs = compiled(ev, lambda t, y: ev.call(fun, t, y, *more), 0.0, y0)
    if not rhs.traced and not any_traced((t0, t1, y0, t_eval, list(options.values()))):
        return _plainly(scipy.integrate.solve_ivp, fun, t_span, np.asarray(y0), method, t_eval, dense_output, events,
                        vectorized, args, **options)  # fmt: skip
    if events is not None:
        raise refuse("solve_ivp(..., events=...)", "Solve to a known time, and look for the event by a root finder.")
    if name not in (*runge_kutta.METHODS, "Radau", "BDF", "LSODA"):
        raise refuse(f"solve_ivp(..., method={method!r})", "Use RK45, RK23, DOP853, Radau, BDF or LSODA.")
    control = runge_kutta.Control(
        options.get("rtol", 1e-3),
        options.get("atol", 1e-6),
        options.get("max_step", np.inf),
        options.get("first_step"),
        frozen=jumps_in_time(rhs),
    )
    times = jnp.zeros(0) if t_eval is None else real(t_eval)
    jumps = breaks(rhs, "the right-hand side")
    out, last, good = _solution(name, rhs, t0, t1, y0, times, control, jumps)
    if name not in runge_kutta.METHODS or jumps is not None:
        out, last = (within_tolerance(ev, v, control.rtol, control.atol) for v in (out, last))
    success = good > 0

    def dense(t: Any) -> Any:
        found = _solution(name, rhs, t0, t1, y0, jnp.atleast_1d(real(t)), control, jumps)[0]
        return found.T if jnp.ndim(t) else found[0]

    ends = t_eval is None
    return Result(
        t=Ends(t0, t1) if ends else times,
        y=Ends(y0, last) if ends else out.T,
        sol=dense if dense_output else None,
        t_events=None,
        y_events=None,
        status=jnp.where(success, 0, -1),
        message="The solver successfully reached the end of the integration interval.",
        success=success,
    )


def odeint(ev: Evaluation,
    func: Any, y0: Any, t: Any, args: Any = (), Dfun: Any = None, col_deriv: Any = 0, full_output: Any = 0,
    ml: Any = None, mu: Any = None, rtol: Any = None, atol: Any = None, tcrit: Any = None, h0: Any = 0.0,
    hmax: Any = 0.0, hmin: Any = 0.0, ixpr: Any = 0, mxstep: Any = 0, mxhnil: Any = 0, mxordn: Any = 12,
    mxords: Any = 5, printmessg: Any = 0, tfirst: bool = False,
) -> Any:  # fmt: skip
    """`scipy.integrate.odeint`, to a tight tolerance."""
    more = args if isinstance(args, tuple) else (args,)
    start, times = jnp.atleast_1d(real(y0)), real(t)

    def rate(t: Any, y: Any) -> Any:
        return ev.call(func, t, y, *more) if tfirst else ev.call(func, y, t, *more)

    rhs = compiled(ev, rate, 0.0, start)
    if not rhs.traced and not any_traced((y0, t)):
        return _plainly(scipy.integrate.odeint, func, y0, t, args, full_output=full_output, rtol=rtol, atol=atol,
                        tcrit=tcrit, h0=h0, hmax=hmax, hmin=hmin, mxstep=mxstep, tfirst=tfirst)  # fmt: skip
    out, _, _ = _solution("LSODA", rhs, times[0], times[-1], start, times, TIGHT, breaks(rhs, "the right-hand side"))
    out = within_tolerance(ev, out, 1.49e-8 if rtol is None else rtol, 1.49e-8 if atol is None else atol)
    return (out, {"message": "Integration successful."}) if full_output else out


def within_tolerance(ev: Evaluation, solution: Any, rtol: Any, atol: Any) -> Any:
    """A solution that plain Python has to a tolerance only; moved by it where the program is traced for the effect."""
    noted = ev.wavering
    if noted is None:
        return solution
    noted.append(float(np.max(rtol)))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], np.shape(solution))
    return solution + signs * (atol + rtol * jnp.abs(solution))


def _plainly(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The library's own result, where nothing depends on parameters."""
    return function(*args, **options)


GIVEN: dict[Any, Callable[..., Any]] = {
    scipy.integrate.solve_ivp: solve_ivp,
    scipy.integrate.odeint: odeint,
    **quadrature.GIVEN,
}
TABLE: dict[Any, Callable[..., Any]] = rules.TABLE
