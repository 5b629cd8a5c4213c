"""Functions whose code is long: quantiles and incomplete integrals, each a hundred operations or more.

XLA copies what a fused computation reads into each of its readers. Where the result of one long function goes into
another the copies multiply, and the time to compile grows exponentially with the length of the chain. A barrier between
them keeps it linear.
"""

import sys
from typing import Any

from jax import lax

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced

LONG = frozenset(["ndtri", "erfinv", "ndtr", "log_ndtr", "betainc", "gammainc", "gammaincc"])


def is_long(function: Any) -> bool:
    """Whether a function is one of these, of scipy.special."""
    name = getattr(function, "__name__", "")
    return name in LONG and getattr(sys.modules.get("scipy.special"), name, None) is function


def apart(ev: Evaluation, function: Any, args: tuple) -> tuple:
    """The arguments of a function, kept apart from another long one that they are computed from, if it is one."""
    if not is_long(function):
        return args
    return tuple(lax.optimization_barrier(a) if _follows(ev, a) else a for a in args)


def note(ev: Evaluation, result: Any, *operands: Any) -> Any:
    """Note that a number is computed from the result of a long function, if an operand is."""
    if is_traced(result) and not result.ndim and any(_follows(ev, o) for o in operands):
        mark(ev, result)
    return result


def mark(ev: Evaluation, result: Any) -> Any:
    """Note that a number is the result of a long function."""
    ev.heavy[id(result)] = result
    return result


def _follows(ev: Evaluation, value: Any) -> bool:
    return is_traced(value) and ev.heavy.get(id(value)) is value
