"""The supports by name, as they annotate parameters; `gradmc.program.support` holds their maps."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradmc.errors import DeclarationError
from gradmc.program.matrices import CorrelationFactor, CorrelationMatrix, CovarianceMatrix, MatrixSupport
from gradmc.program.support import Angle, Between, Bijective, Bound, HalfLine, Sphere, Support


def Interval(lower: Bound, upper: Bound) -> Between:  # noqa: N802 - stands where a class would
    """The open interval (lower, upper).

    Args:
        lower: a number or array, the name of a datum or of an earlier parameter, or a callable whose
            arguments are named like data and earlier parameters (`lambda alpha: 1 - alpha`); None or -inf, also in
            some entries of an array, for no end.
        upper: likewise; None or inf for no end.

    Raises:
        DeclarationError: an end is of another type, or both are numbers and lower >= upper.
    """
    low = _end(lower, "lower", -math.inf)
    high = _end(upper, "upper", math.inf)
    label = f"Interval({_shown(low)}, {_shown(high)})"
    if isinstance(low, (float, np.ndarray)) and isinstance(high, (float, np.ndarray)):
        try:
            empty = np.any(low >= high)
        except ValueError as error:
            raise DeclarationError(f"{label}: the ends do not broadcast: {error}") from None
        if empty:
            raise DeclarationError(f"{label}: expected lower < upper, got an empty interval")
    return Between(label=label, lower=low, upper=high)


def _end(bound: Any, side: str, absent: float) -> float | np.ndarray | str | Callable[..., Any]:
    if bound is None:
        return absent
    if isinstance(bound, str) or (callable(bound) and not isinstance(bound, np.ndarray | Support)):
        return bound
    if isinstance(bound, (bool, np.bool_)):
        raise DeclarationError(f"Interval: the {side} end must be a number, got {bound!r}")
    try:
        array = np.asarray(bound, dtype=float)
    except (TypeError, ValueError):
        raise DeclarationError(
            f"Interval: the {side} end must be a number, an array, a name or a callable, got {bound!r} "
            f"of type {type(bound).__name__}"
        ) from None
    if np.any(np.isnan(array)):
        raise DeclarationError(f"Interval: the {side} end must be a number, got nan")
    return float(array) if array.ndim == 0 else array


def _shown(bound: Any) -> str:
    if isinstance(bound, float):
        return f"{bound:g}"
    if isinstance(bound, str):
        return repr(bound)
    if isinstance(bound, np.ndarray):
        return f"array of shape {bound.shape}"
    return getattr(bound, "__name__", "callable").replace("<lambda>", "lambda")


Real = Bijective("Real")
"""All real numbers."""
Positive = HalfLine("Positive")
"""Numbers > 0."""
Negative = Between("Negative", upper=0.0)
"""Numbers < 0."""
UnitInterval = Between("UnitInterval", lower=0.0, upper=1.0)
"""Numbers in (0, 1)."""
Simplex = Bijective("Simplex", constraint="simplex", axes=1)
"""Vectors of positive numbers that sum to 1; the last size is the number of entries."""
Ordered = Bijective("Ordered", constraint="ordered_vector", axes=1)
"""Increasing vectors; the last size is the number of entries."""
PositiveOrdered = Bijective("PositiveOrdered", constraint="positive_ordered_vector", axes=1)
"""Increasing vectors of positive numbers; the last size is the number of entries."""
ZeroSum = Bijective("ZeroSum", constraint="zero_sum", axes=1)
"""Vectors that sum to 0; the last size is the number of entries."""
CholeskyCorr = CorrelationFactor("CholeskyCorr")
"""Cholesky factors (lower triangular) of correlation matrices; the last size K gives a K x K matrix."""
Correlation = CorrelationMatrix("Correlation")
"""Correlation matrices; the last size K gives a K x K matrix."""
CholeskyCov = MatrixSupport("CholeskyCov", constraint="lower_cholesky")
"""Cholesky factors (lower triangular, positive diagonal) of covariance matrices; the last size K gives K x
K."""
Covariance = CovarianceMatrix("Covariance")
"""Symmetric positive definite matrices; the last size K gives a K x K matrix."""
UnitVector = Sphere("UnitVector")
"""Vectors of length 1; the last size is the number of entries. Densities are with respect to area on the
sphere."""
Circular = Angle("Circular")
"""Angles in radians, in [-pi, pi], without a seam at the ends. Densities are with respect to the angle."""
