"""Supports: where a parameter lives, and its map from unconstrained coordinates.

A *support* annotates a parameter, bare (`mu: Real`) or with its shape (`theta: Real["school"]`). `constrain`
maps unconstrained coordinates x to the value and gives the log absolute determinant of the map's Jacobian,
which the density adds. The maps are numpyro's (`biject_to` of `numpyro.distributions.constraints`); of the
interval only the log-determinant is written anew, because numpyro's takes three times the equations. Supports
of matrices stand in `gradmc.program.matrices`.

Two supports have no bijection onto a flat space and use one coordinate more than they have degrees of
freedom: a direction is a normal vector over its length (Marsaglia 1972; Stan's unit_vector), and an angle is
the direction of a normal vector in the plane, so that it has no seam at +-pi. Their "log-determinant" is the
log density of the standard normal, up to a constant: the length is then an independent nuisance variable that
integrates out, and the density that the user writes is with respect to the uniform measure on the sphere (the
circle).
"""

import abc
import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Self, override

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc._numpyro import distributions
from gradmc.errors import DeclarationError
from gradmc.program.dims import Size, parse_shape

START_RADIUS = 2.0
"""Starting points are uniform on (-2, 2) on the unconstrained scale (Stan's rule)."""

ROUNDING = 1e-5
"""How far values may miss their support, relatively, where single precision (7 digits) has rounded them."""

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
    def is_identity(self) -> bool:
        """Whether unconstrained coordinates are the value itself."""
        return False

    @property
    def subscripts(self) -> int:
        """Least number of sizes that the subscript must give."""
        return min(self.event, 1)

    def __getitem__(self, subscript: object) -> Self:
        if self.shape:
            raise DeclarationError(f"{self!r} already has a shape; write all sizes in one pair of brackets")
        return dataclasses.replace(self, shape=parse_shape(subscript, self.label))

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Say that a shape stands in brackets."""
        raise DeclarationError(f"{self!r} takes nothing in parentheses; a shape stands in brackets: {self.label}[8]")

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

    has_factor = False
    """Whether the value is a matrix built from its Cholesky factor."""

    def factorised(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        """Return what `constrain` does and, between the two, the Cholesky factor that the value is built from, or
        None.
        """
        value, log_det = self.constrain(x, bounds)
        return value, None, log_det

    def start_radius(self, shape: tuple[int, ...]) -> float:
        """Return the largest modulus of an unconstrained coordinate at random starts, given the value's shape."""
        return START_RADIUS

    @abc.abstractmethod
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        """Return unconstrained coordinates of a value inside the support."""

    def rounded(self, value: np.ndarray) -> np.ndarray:
        """Return the value in the support next to a known value that rounding (`ROUNDING`) may have put outside."""
        return value

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

    @property
    @override
    def is_identity(self) -> bool:
        return self.constraint == "real"

    def _transform(self) -> Any:
        return distributions().biject_to(self._constraint())

    def _constraint(self) -> Any:
        found = getattr(distributions().constraints, self.constraint)
        return found(1) if self.constraint == "zero_sum" else found

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self._transform().inverse_shape(shape)) if self.axes else shape

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        if self.is_identity:
            return x, None
        transform = self._transform()
        value = transform(x)
        log_det = transform.log_abs_det_jacobian(x, value)
        return value, log_det if jnp.ndim(log_det) == 0 else jnp.sum(log_det)

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return self._transform()._inverse(value)

    @override
    def rounded(self, value: np.ndarray) -> np.ndarray:
        if self.constraint not in ("simplex", "zero_sum"):
            return value
        total, size = (np.sum(v, axis=-1, keepdims=True) for v in (value, np.abs(value)))
        if self.constraint == "simplex":
            return value / total if np.all(np.abs(total - 1.0) <= ROUNDING) else value
        return value - total / value.shape[-1] if np.all(np.abs(total) <= ROUNDING * size) else value

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.isfinite(value)) and np.all(self._constraint()(value)))


@dataclass(frozen=True, eq=False, repr=False)
class HalfLine(Support):
    """Positive numbers, by exp as in numpyro, which so common a support need not import: that takes longer than a short
    run of a program that was compiled before.
    """

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        return jnp.exp(x), x if jnp.ndim(x) == 0 else jnp.sum(x)

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return jnp.log(value)

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.isfinite(value)) and np.all(value > 0))


@dataclass(frozen=True, eq=False, repr=False)
class Between(Support):
    """The interval from `lower` to `upper`; an infinite end is no end."""

    lower: Bound = -math.inf
    upper: Bound = math.inf

    @property
    @override
    def bounds(self) -> tuple[Bound, ...]:
        return (self.lower, self.upper)

    @property
    @override
    def is_identity(self) -> bool:
        return is_infinite(self.lower) and is_infinite(self.upper)

    @override
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        value, log_det = self._mapped(x, *bounds)
        return _inside(value, *bounds), log_det

    def _mapped(self, x: Any, lower: Any, upper: Any) -> tuple[Any, Any]:
        if is_infinite(lower) and is_infinite(upper):
            return x, None
        if is_infinite(upper):
            return _shifted(lower, jnp.exp(x)), jnp.sum(x)
        if is_infinite(lower):
            return _shifted(upper, -jnp.exp(x)), jnp.sum(x)
        if _partly_infinite(lower) or _partly_infinite(upper):
            return _entry_by_entry(x, lower, upper)
        share = distributions().transforms.SigmoidTransform()(x)
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
        if _partly_infinite(lower) or _partly_infinite(upper):
            return _from_entries(value, lower, upper)
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
    def rounded(self, value: np.ndarray) -> np.ndarray:
        near = np.all(np.abs(value) <= math.pi * (1.0 + ROUNDING))
        return np.clip(value, -math.pi, math.pi) if near else value

    @override
    def contains(self, value: np.ndarray, bounds: tuple[Any, ...]) -> bool:
        return bool(np.all(np.abs(value) <= math.pi))


def bound_names(bound: Any, where: str = "a bound") -> tuple[str, ...]:
    """Return the names that a bound depends on."""
    if isinstance(bound, str):
        return (bound,)
    if not callable(bound):
        return ()
    try:
        arguments = inspect.signature(bound).parameters.values()
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{where}: the arguments of the callable bound cannot be read: {error}") from None
    names = []
    for argument in arguments:
        if argument.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise DeclarationError(f"{where}: a callable bound must name its arguments, got *{argument.name}")
        if argument.default is inspect.Parameter.empty:
            names.append(argument.name)
    return tuple(names)


def is_known(bound: Any) -> bool:
    """Whether an end is a number or numpy array, not a traced value."""
    return isinstance(bound, (int, float, np.ndarray, np.generic))


def is_infinite(bound: Any) -> bool:
    """Whether an end is known to be no end at all."""
    return is_known(bound) and bool(np.all(np.isinf(bound))) and np.size(bound) > 0


def _partly_infinite(bound: Any) -> bool:
    """Whether an end is known to be none in some entries."""
    return is_known(bound) and bool(np.any(np.isinf(bound)))


def _kinds(lower: Any, upper: Any) -> tuple[Any, Any, Any, Any]:
    """Whether entries have a lower end and an upper one, and the ends, 0 and 1 where there is none."""
    below, above = (np.isfinite(bound) if is_known(bound) else np.bool_(True) for bound in (lower, upper))
    both = below & above
    safe_lower = jnp.where(below, lower, 0.0)
    return below, above, safe_lower, jnp.where(both, upper, jnp.where(above, upper, safe_lower + 1.0))


def _entry_by_entry(x: Any, lower: Any, upper: Any) -> tuple[Any, Any]:
    """`Between.constrain` where some entries have an end that others do not have."""
    below, above, low, high = _kinds(lower, upper)
    both, one = below & above, below ^ above
    far = jnp.abs(x)
    width = jnp.where(both, high - low, 1.0)
    distance = jnp.exp(jnp.where(one, x, 0.0))
    inside = low + width * distributions().transforms.SigmoidTransform()(x)
    value = jnp.where(both, inside, jnp.where(below, low + distance, jnp.where(above, high - distance, x)))
    log_slope = -far - 2.0 * jnp.log1p(jnp.exp(-far)) + jnp.log(width)
    return value.astype(x.dtype), jnp.sum(jnp.where(both, log_slope, jnp.where(one, x, 0.0)), dtype=x.dtype)


def _from_entries(value: Any, lower: Any, upper: Any) -> Any:
    """`Between.unconstrain` where some entries have an end that others do not have."""
    below, above, low, high = _kinds(lower, upper)
    from_low = jnp.log(jnp.where(below, value - low, 1.0))
    from_high = jnp.log(jnp.where(above, high - value, 1.0))
    both = below & above
    return jnp.where(both, from_low - from_high, jnp.where(below, from_low, jnp.where(above, from_high, value)))


def _inside(value: Any, lower: Any, upper: Any) -> Any:
    """The number next to an end where rounding has put one on it: -10 + 1e-20, say, where a program asks for x > -10.

    Beside 0 there is room enough, and in the unit interval numpyro sees to it.
    """
    if is_known(lower) and is_known(upper) and np.all(lower == 0) and np.all(upper == 1):
        return value
    if not (is_infinite(lower) or (is_known(lower) and np.all(lower == 0))):
        value = jnp.maximum(value, _neighbour(lower, math.inf, value.dtype))
    if not (is_infinite(upper) or (is_known(upper) and np.all(upper == 0))):
        value = jnp.minimum(value, _neighbour(upper, -math.inf, value.dtype))
    return value


def _neighbour(end: Any, towards: float, dtype: Any) -> Any:
    """The number next to an end."""
    if is_known(end):
        return np.nextafter(np.asarray(end, dtype), np.asarray(towards, dtype))
    return lax.nextafter(*jnp.broadcast_arrays(lax.stop_gradient(end.astype(dtype)), jnp.asarray(towards, dtype)))


def _shifted(origin: Any, value: Any) -> Any:
    if is_known(origin):
        return value if np.all(origin == 0) else np.asarray(origin, value.dtype) + value
    return origin + value
