"""scipy.optimize on traced values: roots of one equation or several, and minima."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.optimize

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries import roots
from gradmc.program.frontend.libraries.arrays import array, real
from gradmc.program.frontend.libraries.functions import Function, as_array, compiled
from gradmc.program.frontend.libraries.scipy_integrate import Result
from gradmc.program.frontend.libraries.unsupported import refuse
from gradmc.program.frontend.values import any_traced


def _called(ev: Evaluation, function: Any, *args: Any) -> Any:
    return ev.present(ev.call(function, *args))


def _of_number(ev: Evaluation, function: Any, args: Any, x: Any = 0.0) -> Function:
    """A function of one number (or of each entry of an array), whatever shape it returns it in."""
    more = args if isinstance(args, tuple) else (args,)
    return compiled(ev, lambda x: jnp.reshape(as_array(_called(ev, function, x, *more)), jnp.shape(x)), x)


def bracketing(
    ev: Evaluation, plain: Callable[..., Any], f: Any, a: Any, b: Any, args: Any = (), *rest: Any, **options: Any
) -> Any:
    """brentq and its like: a root between a and b."""
    function = _of_number(ev, f, args)
    if not function.traced and not any_traced((a, b)):
        return plain(f, a, b, args, *rest, **options)
    root = roots.implicit(function, roots.bracketed, (a, b), roots.itself)
    full_output = options.get("full_output", len(rest) > 3 and rest[3])
    return (root, Result(root=root, converged=jnp.isfinite(root))) if full_output else root


def newton(ev: Evaluation,
    func: Any, x0: Any, fprime: Any = None, args: Any = (), tol: Any = 1.48e-8, maxiter: int = 50, fprime2: Any = None,
    x1: Any = None, rtol: Any = 0.0, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """`scipy.optimize.newton`, whatever derivatives it is given."""
    start = array(x0) if isinstance(x0, list | tuple) else x0
    function = _of_number(ev, func, args, start)
    if not function.traced and not any_traced((x0, x1)):
        return scipy.optimize.newton(func, x0, fprime, args, tol, maxiter, fprime2, x1, rtol, full_output, disp)
    if jnp.ndim(start):
        raise refuse("newton(...) on an array", "Call it in a loop, once for each entry.")
    root = roots.implicit(function, roots.newton, (start,), roots.itself)
    return (root, Result(root=root, converged=jnp.isfinite(root))) if full_output else root


def root_scalar(ev: Evaluation,
    f: Any, args: Any = (), method: Any = None, bracket: Any = None, fprime: Any = None, fprime2: Any = None,
    x0: Any = None, x1: Any = None, xtol: Any = None, rtol: Any = None, maxiter: Any = None, options: Any = None,
) -> Any:  # fmt: skip
    """`scipy.optimize.root_scalar`."""
    wrapped = f
    if fprime is True:
        wrapped = lambda *a: _called(ev, f, *a)[0]  # noqa: E731
    function = _of_number(ev, wrapped, args)
    if not function.traced and not any_traced((bracket, x0, x1)):
        return scipy.optimize.root_scalar(f, args, method, bracket, fprime, fprime2, x0, x1, xtol, rtol, maxiter,
                                          options)  # fmt: skip
    if bracket is not None:
        root = roots.implicit(function, roots.bracketed, tuple(bracket), roots.itself)
    else:
        root = roots.implicit(function, roots.newton, (x0,), roots.itself)
    return Result(root=root, converged=jnp.isfinite(root), flag="converged")


def _system(ev: Evaluation, func: Any, x0: Any, args: Any) -> tuple[Function, Any]:
    more = args if isinstance(args, tuple) else (args,)
    start = jnp.atleast_1d(real(x0))
    return compiled(ev, lambda x: jnp.ravel(as_array(_called(ev, func, x, *more))), start), start


def fsolve(
    ev: Evaluation, func: Any, x0: Any, args: Any = (), fprime: Any = None, full_output: Any = 0, *_: Any, **__: Any
) -> Any:
    """`scipy.optimize.fsolve`."""
    function, start = _system(ev, func, x0, args)
    if not function.traced and not any_traced(x0):
        return scipy.optimize.fsolve(func, x0, args, fprime, full_output, *_, **__)
    root = roots.implicit(function, roots.system, (start,), roots.itself)
    if not full_output:
        return root
    return root, {"fvec": function(root)}, jnp.where(jnp.all(jnp.isfinite(root)), 1, 5), ""


def root(
    ev: Evaluation, fun: Any, x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, **options: Any
) -> Any:
    """`scipy.optimize.root`, by whatever method."""
    function, start = _system(ev, (lambda *a: _called(ev, fun, *a)[0]) if jac is True else fun, x0, args)
    if not function.traced and not any_traced(x0):
        return scipy.optimize.root(fun, x0, args, method, jac, **options)
    found = roots.implicit(function, roots.system, (start,), roots.itself)
    success = jnp.all(jnp.isfinite(found))
    return Result(x=found, success=success, fun=function(found), status=jnp.where(success, 1, 5), message="")


def fixed_point(
    ev: Evaluation, func: Any, x0: Any, args: Any = (), xtol: Any = 1e-8, maxiter: int = 500, method: str = "del2"
) -> Any:
    """`scipy.optimize.fixed_point`."""
    more = args if isinstance(args, tuple) else (args,)
    shape = jnp.shape(real(x0))
    start = jnp.ravel(real(x0))

    def excess(x: Any) -> Any:
        at = x.reshape(shape)
        return jnp.ravel(as_array(_called(ev, func, at, *more)) - at)

    function = compiled(ev, excess, start)
    if not function.traced and not any_traced(x0):
        return scipy.optimize.fixed_point(func, x0, args, xtol, maxiter, method)
    return roots.implicit(function, roots.system, (start,), roots.itself).reshape(shape)


def minimize_scalar(ev: Evaluation,
    fun: Any, bracket: Any = None, bounds: Any = None, args: Any = (), method: Any = None, tol: Any = None,
    options: Any = None,
) -> Any:  # fmt: skip
    """`scipy.optimize.minimize_scalar`; a minimum at an end of the bounds moves with it."""
    function = _of_number(ev, fun, args)
    if not function.traced and not any_traced((bracket, bounds)):
        return scipy.optimize.minimize_scalar(fun, bracket, bounds, args, method, tol, options)
    if bounds is not None:
        search, starts = roots.within, tuple(bounds)
    elif bracket is not None and len(bracket) == 3:
        search, starts = roots.within, (bracket[0], bracket[2])
    else:
        search, starts = roots.downhill, (0.0, 1.0) if bracket is None else tuple(bracket)
    x = roots.implicit(function, search, starts, roots.forward_slope, bounded=bounds is not None)
    return Result(x=x, fun=function(x), success=jnp.isfinite(x), message="", nit=0, nfev=0)


def minimize_in_interval(ev: Evaluation, func: Any, x1: Any, x2: Any, args: Any = (), *_: Any, **__: Any) -> Any:
    """`scipy.optimize.fminbound`."""
    function = _of_number(ev, func, args)
    if not function.traced and not any_traced((x1, x2)):
        return scipy.optimize.fminbound(func, x1, x2, args, *_, **__)
    return roots.implicit(function, roots.within, (x1, x2), roots.forward_slope, bounded=True)


def minimize(ev: Evaluation,
    fun: Any, x0: Any, args: Any = (), method: Any = None, jac: Any = None, hess: Any = None, hessp: Any = None,
    bounds: Any = None, constraints: Any = (), tol: Any = None, callback: Any = None, options: Any = None,
) -> Any:  # fmt: skip
    """`scipy.optimize.minimize` without bounds and constraints."""
    more = args if isinstance(args, tuple) else (args,)
    start = jnp.atleast_1d(real(x0))
    value = (lambda *a: _called(ev, fun, *a)[0]) if jac is True else fun
    function = compiled(ev, lambda x: jnp.reshape(as_array(_called(ev, value, x, *more)), ()), start)
    if not function.traced and not any_traced(x0):
        return scipy.optimize.minimize(fun, np.asarray(x0), args, method, jac, hess, hessp, bounds, constraints, tol,
                                       callback, options)  # fmt: skip
    if bounds is not None or constraints != ():
        raise refuse("minimize(..., bounds or constraints)", "Write the unknowns as functions of free numbers.")
    x = roots.implicit(function, roots.minimum, (start,), roots.slope)
    success = jnp.all(jnp.isfinite(x))
    return Result(x=x, fun=function(x), success=success, status=jnp.where(success, 0, 1), message="")


def _bracketing(plain: Callable[..., Any]) -> Callable[..., Any]:
    return lambda ev, *args, **options: bracketing(ev, plain, *args, **options)


GIVEN: dict[Any, Callable[..., Any]] = {
    **{
        f: _bracketing(f)
        for f in (
            scipy.optimize.brentq,
            scipy.optimize.brenth,
            scipy.optimize.ridder,
            scipy.optimize.bisect,
            scipy.optimize.toms748,
        )
    },
    scipy.optimize.newton: newton,
    scipy.optimize.root_scalar: root_scalar,
    scipy.optimize.fsolve: fsolve,
    scipy.optimize.root: root,
    scipy.optimize.fixed_point: fixed_point,
    scipy.optimize.minimize_scalar: minimize_scalar,
    scipy.optimize.fminbound: minimize_in_interval,
    scipy.optimize.minimize: minimize,
}
TABLE: dict[Any, Callable[..., Any]] = {}
