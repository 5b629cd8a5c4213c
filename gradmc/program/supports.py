"""Supports: where a parameter lives, and its map from unconstrained coordinates.

A *support* annotates a parameter, bare (`mu: Real`) or with its shape (`theta: Real["school"]`). `constrain`
maps unconstrained coordinates x to the value and gives the log absolute determinant of the map's Jacobian,
which the density adds. The maps are numpyro's (`biject_to` of `numpyro.distributions.constraints`); of the
interval only the log-determinant is written anew, because numpyro's takes three times the equations.

Two supports have no bijection onto a flat space and use one coordinate more than they have degrees of
freedom: a direction is a normal vector over its length (Marsaglia 1972; Stan's unit_vector), and an angle is
the direction of a normal vector in the plane, so that it has no seam at +-pi. Their "log-determinant" is the
log density of the standard normal, up to a constant: the length is then an independent nuisance variable that
integrates out, and the density that the user writes is with respect to the uniform measure on the sphere (the
circle).
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, override

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc.errors import DeclarationError
from gradmc.program.dims import Size, parse_shape

type Bound = float | np.ndarray | str | Callable[..., Any] | None


@dataclass(frozen=True, eq=False)
class Support(abc.ABC):
    """Where a parameter lives. Subscript it with the shape: names, integers, sums and differences of them."""

    label: str
    shape: tuple[Size, ...] = ()

    event = 0
    """Number of axes of one value: 0 for scalars, 1 for vectors, 2 for square matrices."""

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Ends of the support, in the order that `constrain` takes them."""
        return ()

    @property
    def subscripts(self) -> int:
        """Least number of sizes that the subscript must give."""
        return min(self.event, 1)

    def __getitem__(self, subscript: object) -> Self:
        if self.shape:
            raise DeclarationError(f"{self!r} already has a shape; write all sizes in one pair of brackets")
        return dataclasses.replace(self, shape=parse_shape(subscript, self.label))

    def __repr__(self) -> str:
        inner = ", ".join(size.text if not size.terms else repr(size.text) for size in self.shape)
        return f"{self.label}[{inner}]" if inner else self.label

    def value_shape(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the value, given the sizes of the subscript."""
        return (*sizes, sizes[-1]) if self.event == 2 else sizes

    @abc.abstractmethod
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the unconstrained coordinates, given that of the value."""

    @abc.abstractmethod
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the value and the log-determinant (a scalar; None where it is 0) at unconstrained
        coordinates.
        """

    @abc.abstractmethod
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        """Return unconstrained coordinates of a value inside the support."""

    @abc.abstractmethod
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        """Whether a known value lies in the support (up to rounding)."""


@dataclass(frozen=True, eq=False, repr=False)
class Bijective(Support):
    """A support that numpyro maps, named by its constraint."""

    constraint: str = "real"
    axes: int = 0

    @property
    @override
    def event(self) -> int:  # type: ignore[override]
        return self.axes

    def _transform(self) -> Any:
        from numpyro.distributions import biject_to

        return biject_to(self._constraint())

    def _constraint(self) -> Any:
        from numpyro.distributions import constraints

        found = getattr(constraints, self.constraint)
        return found(1) if self.constraint == "zero_sum" else found

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self._transform().inverse_shape(shape))

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        if self.constraint == "real":
            return x, None
        transform = self._transform()
        value = transform(x)
        log_det = transform.log_abs_det_jacobian(x, value)
        return value, log_det if jnp.ndim(log_det) == 0 else jnp.sum(log_det)

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return self._transform()._inverse(value)

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.isfinite(value)) and np.all(self._constraint()(value)))


@dataclass(frozen=True, eq=False, repr=False)
class Between(Support):
    """The interval from `lower` to `upper`; an infinite end is no end."""

    lower: Bound = -math.inf
    upper: Bound = math.inf

    @property
    @override
    def bounds(self) -> tuple[Bound, ...]:
        return (self.lower, self.upper)

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        from numpyro.distributions import transforms

        lower, upper = bounds
        if is_infinite(lower) and is_infinite(upper):
            return x, None
        if is_infinite(upper):
            return _shifted(lower, jnp.exp(x)), jnp.sum(x)
        if is_infinite(lower):
            return _shifted(upper, -jnp.exp(x)), jnp.sum(x)
        share = transforms.SigmoidTransform()(x)
        # d share / d x = share (1 - share), and log(share) + log(1 - share) = -|x| - 2 log(1 + exp(-|x|))
        far = jnp.abs(x)
        log_slope = -far - 2.0 * jnp.log1p(jnp.exp(-far))
        if is_known(lower) and is_known(upper):
            width = np.asarray(upper) - np.asarray(lower)
            log_width = np.sum(np.broadcast_to(np.log(width), np.shape(x)))
            value = share if np.all(width == 1) else width.astype(x.dtype) * share
        else:
            width = upper - lower
            log_width = jnp.sum(jnp.broadcast_to(jnp.log(width), jnp.shape(x)))
            value = width * share
        log_det = jnp.sum(log_slope)
        if not (is_known(log_width) and log_width == 0.0):
            log_det = log_det + log_width
        return _shifted(lower, value), log_det

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        lower, upper = bounds
        if is_infinite(lower) and is_infinite(upper):
            return value
        if is_infinite(upper):
            return jnp.log(value - lower)
        if is_infinite(lower):
            return jnp.log(upper - value)
        return jnp.log(value - lower) - jnp.log(upper - value)

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        lower, upper = bounds
        return bool(np.all(np.isfinite(value)) and np.all((value > lower) & (value < upper)))


@dataclass(frozen=True, eq=False, repr=False)
class Sphere(Support):
    """Vectors of length 1; x is a normal vector, the value its direction."""

    event = 1

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        square = jnp.sum(x * x, axis=-1, keepdims=True)
        return x * lax.rsqrt(square), -0.5 * jnp.sum(square)

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return value * math.sqrt(max(value.shape[-1] - 1, 1))  # the most probable length

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.isfinite(value)) and np.allclose(np.sum(value**2, -1), 1.0, rtol=0, atol=1e-5))


@dataclass(frozen=True, eq=False, repr=False)
class Angle(Support):
    """Angles in [-pi, pi] without a seam; x is a normal vector in the plane, the value its direction."""

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, 2)

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        cosine, sine = (lax.squeeze(part, (x.ndim - 1,)) for part in lax.split(x, (1, 1), axis=x.ndim - 1))
        return jnp.arctan2(sine, cosine), -0.5 * jnp.sum(x * x)

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return jnp.stack([jnp.cos(value), jnp.sin(value)], axis=-1)

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.abs(value) <= math.pi))


def is_known(bound: Any) -> bool:
    """Whether an end is a number or numpy array, not a traced value."""
    return isinstance(bound, (int, float, np.ndarray, np.generic))


def is_infinite(bound: Any) -> bool:
    """Whether an end is known to be no end at all."""
    return is_known(bound) and bool(np.all(np.isinf(bound))) and np.size(bound) > 0


def _shifted(origin: Any, value: Any) -> Any:
    if is_known(origin):
        return value if np.all(origin == 0) else np.asarray(origin, value.dtype) + value
    return origin + value


def Interval(lower: Bound, upper: Bound) -> Between:  # noqa: N802 - stands where a class would
    """The open interval (lower, upper).

    Args:
        lower: a number or array, the name of a datum or of an earlier parameter, or a callable whose
            arguments are named like data and earlier parameters (`lambda alpha: 1 - alpha`); None or -inf for
            no end.
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
    if isinstance(bound, str) or (callable(bound) and not isinstance(bound, np.ndarray)):
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
    if array.ndim and np.any(np.isinf(array)) and not np.all(np.isinf(array)):
        raise DeclarationError(
            f"Interval: the {side} end must be finite in all entries or in none, got {bound!r}"
        )
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
Positive = Bijective("Positive", constraint="positive")
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
CholeskyCorr = Bijective("CholeskyCorr", constraint="corr_cholesky", axes=2)
"""Cholesky factors (lower triangular) of correlation matrices; the last size K gives a K x K matrix."""
Correlation = Bijective("Correlation", constraint="corr_matrix", axes=2)
"""Correlation matrices; the last size K gives a K x K matrix."""
CholeskyCov = Bijective("CholeskyCov", constraint="lower_cholesky", axes=2)
"""Cholesky factors (lower triangular, positive diagonal) of covariance matrices; the last size K gives K x
K."""
Covariance = Bijective("Covariance", constraint="positive_definite", axes=2)
"""Symmetric positive definite matrices; the last size K gives a K x K matrix."""
UnitVector = Sphere("UnitVector")
"""Vectors of length 1; the last size is the number of entries. Densities are with respect to area on the
sphere."""
Circular = Angle("Circular")
"""Angles in radians, in [-pi, pi], without a seam at the ends. Densities are with respect to the angle."""
