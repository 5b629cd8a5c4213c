"""Where functions and operators of libraries raise in plain Python, for values that are not known while compiling.

It is asked only in the body of a `try` that catches such an exception (`trying`): the condition is noted as a failure
of the body. What raises under conditions that are not known here is refused there.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import failing, pythons, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries.unsupported import told
from gradmc.program.frontend.partial import is_elementwise
from gradmc.program.frontend.values import is_traced

type Risk = tuple[Any, type[BaseException]]

SINGULAR = np.linalg.LinAlgError
REMEDY = "Test what it is given by an if, or call it outside of the try."


def _domain(outside: Callable[..., Any]) -> Callable[..., list[Risk]]:
    return lambda result, *args: [(outside(*args), ValueError)]


def _overflow(result: Any, *args: Any) -> list[Risk]:
    """A result beyond all floats, of arguments that are not."""
    finite = jnp.isfinite(jnp.asarray(args[0]))
    for other in args[1:]:
        finite &= jnp.isfinite(jnp.asarray(other))
    return [(jnp.isinf(result) & finite, OverflowError)]


def _log(result: Any, x: Any, base: Any = None) -> list[Risk]:
    found: list[Risk] = [(jnp.asarray(x) <= 0, ValueError)]
    if base is not None:
        found += [(jnp.asarray(base) <= 0, ValueError), (jnp.asarray(base) == 1, ZeroDivisionError)]
    return found


def _is_whole(x: Any) -> Any:
    return jnp.floor(jnp.asarray(x)) == x


def _gamma(result: Any, x: Any) -> list[Risk]:
    poles = (jnp.asarray(x) <= 0) & _is_whole(x)
    return [(poles, ValueError), (jnp.isinf(result) & jnp.isfinite(jnp.asarray(x)) & ~poles, OverflowError)]


def _power(result: Any, x: Any, y: Any) -> list[Risk]:
    x, y = jnp.asarray(x), jnp.asarray(y)
    wrong = ((x == 0) & (y < 0)) | ((x < 0) & ~_is_whole(y) & jnp.isfinite(x) & jnp.isfinite(y))
    return [(wrong, ValueError), (jnp.isinf(result) & jnp.isfinite(x) & jnp.isfinite(y) & ~wrong, OverflowError)]


def _count(result: Any, *numbers: Any) -> list[Risk]:
    negative = jnp.asarray(numbers[0]) < 0
    for other in numbers[1:]:
        negative |= jnp.asarray(other) < 0
    return [(negative, ValueError)]


_turns = _domain(lambda x: jnp.isinf(jnp.asarray(x)))
OF_MATH: dict[Any, Callable[..., list[Risk]]] = {
    math.log: _log,
    math.log2: _domain(lambda x: jnp.asarray(x) <= 0),
    math.log10: _domain(lambda x: jnp.asarray(x) <= 0),
    math.log1p: _domain(lambda x: jnp.asarray(x) <= -1),
    math.sqrt: _domain(lambda x: jnp.asarray(x) < 0),
    math.asin: _domain(lambda x: jnp.abs(x) > 1),
    math.acos: _domain(lambda x: jnp.abs(x) > 1),
    math.acosh: _domain(lambda x: jnp.asarray(x) < 1),
    math.atanh: _domain(lambda x: jnp.abs(x) >= 1),
    math.exp: _overflow,
    math.exp2: _overflow,
    math.expm1: _overflow,
    math.cosh: _overflow,
    math.sinh: _overflow,
    math.gamma: _gamma,
    math.lgamma: _gamma,
    math.pow: _power,
    math.fmod: _domain(lambda x, y: (jnp.asarray(y) == 0) | jnp.isinf(jnp.asarray(x))),
    math.factorial: _count,
    math.comb: _count,
    **dict.fromkeys([math.sin, math.cos, math.tan], _turns),
}
SAFE = frozenset(
    [
        *(math.fabs, math.erf, math.erfc, math.atan, math.atan2, math.asinh, math.tanh, math.hypot, math.dist),
        *(math.degrees, math.radians, math.copysign, math.isnan, math.isinf, math.isfinite, math.isclose, math.cbrt),
        *(math.floor, math.ceil, math.trunc, math.fsum, math.prod, math.gcd, math.lcm, math.modf),
    ]
)
"""Functions of math that raise nothing, or where it is noted elsewhere (`failing.whole`)."""


def _finite(*arrays: Any) -> Any:
    result: Any = True
    for array in arrays:
        result &= jnp.all(jnp.isfinite(jnp.asarray(array)))
    return result


def _leaves(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _factor(result: Any, a: Any, *rest: Any) -> list[Risk]:
    """A Cholesky factor: NaN where the matrix is not positive definite."""
    return [(jnp.any(jnp.isnan(_leaves(result)[0])), SINGULAR)]


def _solution(result: Any, *args: Any) -> list[Risk]:
    """The solution of linear equations: not finite where the matrix is singular."""
    arrays = [a for a in args if np.ndim(a)]
    wrong = [jnp.any(~jnp.isfinite(v)) for v in _leaves(result)]
    return [(jnp.any(jnp.stack(wrong)) & _finite(*arrays), SINGULAR)]


def _convergence(result: Any, a: Any, *rest: Any) -> list[Risk]:
    """Eigenvalues and singular values: the iteration does not converge on what is not finite."""
    return [(~_finite(a), SINGULAR)]


def _checked(risk: Callable[..., list[Risk]] | None) -> Callable[..., list[Risk]]:
    """The same function of scipy, which refuses numbers that are not finite."""

    def risks(result: Any, *args: Any) -> list[Risk]:
        given = [v for a in args for v in _leaves(a) if np.ndim(v)]
        wrong = ~_finite(*given)
        more = [] if risk is None else [(condition & ~wrong, kind) for condition, kind in risk(result, *args)]
        return [(wrong, ValueError), *more]

    return risks


OF_LINALG: dict[str, Callable[..., list[Risk]] | None] = {
    "cholesky": _factor,
    **dict.fromkeys(["inv", "solve", "tensorsolve", "tensorinv"], _solution),
    **dict.fromkeys(
        ["eigh", "eigvalsh", "eig", "eigvals", "svd", "svdvals", "pinv", "lstsq", "matrix_rank"], _convergence
    ),
    "cond": None,
    **dict.fromkeys(["det", "slogdet", "norm", "qr", "multi_dot", "matmul", "outer", "cross", "trace", "vecdot"], None),
    **dict.fromkeys(["diagonal", "matrix_transpose", "tensordot", "vector_norm", "matrix_norm"], None),
}
"""Functions of numpy.linalg."""
OF_SCIPY: dict[str, Callable[..., list[Risk]] | None] = {
    **dict.fromkeys(["cholesky", "cho_factor"], _factor),
    **dict.fromkeys(["inv", "solve", "solve_triangular"], _solution),
    **dict.fromkeys(["det", "lu", "lu_factor", "qr", "expm", "cho_solve", "eigh", "svd", "lu_solve", "norm"], None),
}
"""Functions of scipy.linalg, which refuse numbers that are not finite."""


def _of_normal(result: Any, *args: Any) -> list[Risk]:
    return [(jnp.any(jnp.isnan(result)) & _finite(*args), ValueError)]


def note(ev: Evaluation, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
    """Note where a function raises.

    Raises:
        ProgramError: that is not known.
    """
    risk = _risk(ev, function)
    if risk is None:
        return
    for condition, kind in risk(result, *args):
        if failing.waits_for(ev, kind):
            failing.note(ev, jnp.any(condition), kind)


def _risk(ev: Evaluation, function: Any) -> Callable[..., list[Risk]] | None:
    """The conditions under which a function raises; None if it never does."""
    place = getattr(function, "__module__", None) or type(getattr(function, "__self__", function)).__module__ or ""
    name, root = getattr(function, "__name__", ""), place.split(".")[0]
    if root == "math":
        if function in OF_MATH or function in SAFE:
            return OF_MATH.get(function)
    elif getattr(np.linalg, name, None) is function:
        if name in OF_LINALG:
            return OF_LINALG[name]
    elif getattr(sys.modules.get("scipy.linalg"), name, None) is function:
        if name in OF_SCIPY:
            return _checked(OF_SCIPY[name])
    elif isinstance(function, np.ufunc) or root in HARMLESS or is_elementwise(function):
        return None
    elif type(getattr(function, "__self__", None)).__name__ == "multivariate_normal_gen" and name in ("logpdf", "pdf"):
        return _of_normal
    elif (root == "scipy" and place.startswith(("scipy.special", "scipy.fft", "scipy.signal"))) or root != "scipy":
        return None
    _refuse(ev, told(function))
    return None


HARMLESS = frozenset(["numpy", "jax", "jaxlib", "numpyro", "gradmc", "statistics", "builtins", "operator"])
"""Packages whose functions do not raise because of the values that they are given (apart from numpy.linalg)."""


def _refuse(ev: Evaluation, what: str) -> None:
    attempts = ev.attempts
    caught = {kind.__name__ for attempt in attempts for kind in attempt.kinds if issubclass(kind, Exception)}
    if any(failing.waits_for(ev, kind) for kind in (ValueError, ArithmeticError, RuntimeError, SINGULAR)):
        raise ProgramError(
            f"a try waits for {', '.join(sorted(caught)) or 'any exception'}, and where {what} raises is not known "
            "while compiling",
            location=user_line.here(),
            remedy=REMEDY,
        )


DIVIDING = ("Div", "FloorDiv", "Mod")


def operator(ev: Evaluation, op: str, a: Any, b: Any, result: Any) -> None:
    """Note where an operator on numbers raises."""
    if op not in (*DIVIDING, "Pow") or np.ndim(a) or np.ndim(b) or not (is_traced(a) or is_traced(b)):
        return
    by_zero, beyond = failing.waits_for(ev, ZeroDivisionError), failing.waits_for(ev, OverflowError) and op == "Pow"
    if not (by_zero or beyond) or (op in DIVIDING and not is_traced(b) and b != 0):
        return
    whose = [pythons.of(ev, a), pythons.of(ev, b)]
    if False in whose:
        return
    if None in whose:
        raise ProgramError(
            "a try waits for a ZeroDivisionError or OverflowError here, and it is not known while compiling whether "
            "these are numbers of Python's, which raise it, or of numpy's, which do not",
            location=user_line.here(),
            remedy="Make one of Python's: float(x); or test the divisor by an if.",
        )
    if op in DIVIDING:
        failing.note(ev, jnp.asarray(b) == 0, ZeroDivisionError)
        return
    x, y = jnp.asarray(a), jnp.asarray(b)
    if by_zero:
        failing.note(ev, (x == 0) & (y < 0), ZeroDivisionError)
    if beyond:
        failing.note(ev, jnp.isinf(result) & jnp.isfinite(x) & jnp.isfinite(y) & (x != 0), OverflowError)
