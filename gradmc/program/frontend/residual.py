"""The numbers that a loop closes in on, as roots of a residual: their derivatives after the loop.

Where Newton's step -g / (dg/dx) is no longer than the ends are apart, they enclose a root x of the residual
g(x, theta), and move with the parameters by dx/dtheta = -(dg/dtheta) / (dg/dx).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from gradmc.program.frontend.values import is_traced

COARSE = 0.01
"""A search that ends with longer steps, in proportion, has found nothing."""

type Residual = Callable[[Sequence[Any], Sequence[Any]], Any]
"""A function of the fixed inputs of a body (with the steps at their end), and the ends."""


@dataclass(frozen=True, eq=False, slots=True)
class Root:
    """What the ends of a loop enclose.

    Attributes:
        ends: their positions among the carried values.
        steps: positions of the steps by which they move, if they do.
        residual: it is a root of this.
        loose: how much less precise it is than numbers are, as a power of their precision.
        least: positions of the values of a function whose minimum (or maximum) is sought. At the minimum it does not
            change with the ends, so that its derivative is right without theirs.
    """

    ends: tuple[int, ...]
    steps: tuple[int, ...]
    residual: Residual
    loose: float
    least: tuple[int, ...] = ()

    def attached(self, fixed: Sequence[Any], start: Sequence[Any], out: Sequence[Any]) -> list[Any]:
        """The ends after the loop, with their derivatives; NaN if they enclose nothing, and none is where it began."""
        ends = [_still(out[k]) for k in self.ends]
        steps = [_still(out[k]) for k in self.steps]
        fixed = [*fixed, *steps]
        still = [_still(v) for v in fixed]
        value, slope = self.residual(fixed, ends), along(lambda e: self.residual(still, e), ends)
        slope = _still(slope)
        first = ends[0]
        apart = sum(_size(e - first) for e in ends[1:])
        if steps:  # one of them is a length, others may be signs and factors
            apart += jnp.minimum(2 * reduce(jnp.minimum, map(_size, steps)), COARSE * (1 + _size(first)))
        near = 2 * apart + float(jnp.finfo(first.dtype).eps) ** self.loose * (1 + _size(first))
        enclosed = _size(value) <= _size(slope) * near
        began = reduce(jnp.logical_or, (_size(first - start[k]) <= near for k in self.ends))
        stays = jnp.logical_and(began, jnp.logical_not(enclosed))
        safe = jnp.where(enclosed, slope, jnp.where(stays, 1.0, jnp.nan))
        return [jnp.where(stays, out[k], _moving(e, value, safe)) for k, e in zip(self.ends, ends, strict=True)]


@jax.custom_jvp
def _stopped(x: Any) -> Any:
    """`x` without its derivative; not by `stop_gradient`, which `check` takes for the user's."""
    return x * 1


@_stopped.defjvp
def _stopped_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    del tangents
    return _stopped(*primals), jnp.zeros_like(primals[0])


@jax.custom_jvp
def _size(x: Any) -> Any:
    """The absolute value, without derivative."""
    return abs(x)


@_size.defjvp
def _size_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    del tangents
    return _size(*primals), jnp.zeros_like(primals[0])


def _still(value: Any) -> Any:
    """The value without derivative."""
    return _stopped(value) if is_traced(value) and jnp.issubdtype(value.dtype, jnp.inexact) else value


@jax.custom_jvp
def _moving(x: Any, value: Any, slope: Any) -> Any:
    """`x`, which moves so that the residual stays 0."""
    del value, slope
    return x * 1.0


@_moving.defjvp
def _moving_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    x, value, slope = primals
    return _moving(x, value, slope), -tangents[1] / slope


def along(function: Callable[[Sequence[Any]], Any], ends: Sequence[Any]) -> Any:
    """The derivative as all ends move together."""
    return jax.jvp(lambda *e: function(e), tuple(ends), tuple(jnp.ones_like(e) for e in ends))[1]
