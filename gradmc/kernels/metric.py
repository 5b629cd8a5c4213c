"""The metric of the Hamiltonian dynamics: a linear map F with F F' = inverse mass matrix.

All of gradmc integrates in *whitened momentum* w = F' p.  Then w ~ Normal(0, I), the kinetic energy is w'w / 2, and the
equations of motion are dq/dt = F w and dw/dt = F' grad log density(q).  A metric is therefore just the pair of maps
`push` (F) and `pull` (F'); kernels and U-turn checks see a unit metric (the velocity of Betancourt's criterion, p# =
inverse mass times p, paired with a sum of momenta p equals the same pairing of w's).

Products are written as multiply-and-reduce: a `dot` would keep XLA from compiling the sampling loop into one function.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from gradmc.kernels.branching import row_of
from gradmc.records import record


class Metric(Protocol):
    """A linear map F between whitened momenta and velocities."""

    def push(self, momentum: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F w: the velocity of a whitened momentum."""
        ...

    def pull(self, gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F' g: the force on a whitened momentum."""
        ...


@record
class DiagonalMetric:
    """F = diag(scale); the inverse mass matrix is diag(scale**2)."""

    scale: Float[Array, "dim"]

    def push(self, momentum: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F w."""
        return self.scale * momentum

    def pull(self, gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F' g."""
        return self.scale * gradient


@record
class DenseMetric:
    """Any square F; the inverse mass matrix is factor @ factor.T."""

    factor: Float[Array, "dim dim"]

    def push(self, momentum: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F w."""
        return jnp.sum(self.factor * momentum[None, :], axis=1)

    def pull(self, gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F' g."""
        return jnp.sum(self.factor * gradient[:, None], axis=0)


@record
class LowRankMetric:
    """F = diag(scale) (I + V' diag(stretch - 1) V) with the first `used` rows of V, which are orthonormal.

    The products loop over the rows in use, so directions that a posterior does not need cost nothing; where there are
    none, a branch spares the copies that go into a loop.
    """

    scale: Float[Array, "dim"]
    vectors: Float[Array, "rank dim"]
    stretch: Float[Array, "rank"]
    used: Int[Array, ""]

    def _stretched(self, x: Float[Array, "dim"]) -> Float[Array, "dim"]:
        return lax.cond(self.used > 0, self._along_rows, lambda x: x, x)

    def _along_rows(self, x: Float[Array, "dim"]) -> Float[Array, "dim"]:
        def add(k: jax.Array, total: Float[Array, "dim"]) -> Float[Array, "dim"]:
            vector = row_of(self.vectors, k)
            stretch = row_of(self.stretch, k)
            return total + (stretch - 1) * jnp.sum(vector * x) * vector

        return lax.fori_loop(0, self.used, add, x)

    def push(self, momentum: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F w."""
        return self.scale * self._stretched(momentum)

    def pull(self, gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
        """F' g (the inner map is symmetric)."""
        return self._stretched(self.scale * gradient)
