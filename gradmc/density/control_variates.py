"""A density from a few rows of the data at a time, with control variates at a reference point.

The estimate of `gradmc.density.batches` is unbiased, but its gradient is noisy: each row counts n / b times.  Near a
point r at which the density of all data is known, most of the noise is that of the same rows at r.  So what the rows
say there is taken off, and what all rows say there is put in its place (Baker, Fearnhead, Fox & Nemeth 2019, 'Control
variates for stochastic gradient MCMC'): with l the log density and m its estimate from a batch,

    m(x) - m(r) - m'(r) (x - r) + l(r) + l'(r) (x - r),

whose gradient m'(x) - m'(r) + l'(r) has the mean l'(x), and a noise that falls with the distance from r.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from gradmc.density.base import Density
from gradmc.density.batches import Batches, Estimate, observed_terms
from gradmc.program.binding import argument_names, as_argument
from gradmc.records import of_numpy, record


@record
class Reference:
    """What is known of all data at the reference point."""

    position: Float[Array, "dim"]
    log_density: Float[Array, ""]
    gradient: Float[Array, "dim"]


@record
class Arguments:
    """What the estimate needs: data along the dimension, the other data, by name, and the reference point.

    The rows are those of all data, or of a batch.
    """

    rows: Any
    common: Any
    reference: Reference


@dataclass(frozen=True, slots=True, eq=False)
class ControlVariates:
    """A density by batches with control variates.

    Args:
        density: of all data.
        batches: of how many rows along which dimension.
        observed: the names of the terms along the dimension.
    """

    density: Density
    batches: Batches
    observed: tuple[str, ...]

    @classmethod
    def of(cls, density: Density, dimension: str, size: int) -> "ControlVariates":
        """The estimates of a density from so many rows along a dimension.

        Raises:
            UsageError: there is no such dimension; the density is not known to be a sum over the rows.
            ProgramError: the program needs to know rows while it is compiled.
        """
        batches = Batches.of(density, dimension, size)
        return cls(density, batches, observed_terms(density, batches))

    def arguments(self, position: np.ndarray, log_density: float, gradient: np.ndarray) -> Arguments:
        """The arguments of `chosen`: all data, and what they say at a reference point."""
        bound, dtype, axes = self.batches.bound, self.batches.dtype, self.batches.axes
        shared = [name for name in argument_names(bound) if name not in axes]
        return Arguments(
            rows={name: as_argument(bound.data[name], dtype) for name in axes},
            common={name: as_argument(bound.data[name], dtype) for name in shared},
            reference=of_numpy(
                Reference,
                position=np.asarray(position, dtype),
                log_density=np.asarray(log_density, dtype),
                gradient=np.asarray(gradient, dtype),
            ),
        )

    def chosen(self, arguments: Arguments, rows: UInt32[Array, "size"]) -> Arguments:
        """The arguments of `logdensity` for rows of these numbers; pure."""
        taken = {name: jnp.take(arguments.rows[name], rows, axis=axis) for name, axis in self.batches.axes.items()}
        return Arguments(rows=taken, common=arguments.common, reference=arguments.reference)

    def logdensity(self, x: Float[Array, "dim"], arguments: Arguments) -> Float[Array, ""]:
        """The estimate of the log density at x; pure, to be traced within the density's scope."""
        estimate: Estimate = self.batches.estimate(self.observed, self.batches.rows)
        data, known = {**arguments.common, **arguments.rows}, arguments.reference

        def value(position: Any) -> Any:
            return estimate.given(position, data, jacobian=True)

        there, slope = jax.value_and_grad(value)(known.position)
        away = x - known.position
        return value(x) - there + known.log_density + jnp.sum((known.gradient - slope) * away)
