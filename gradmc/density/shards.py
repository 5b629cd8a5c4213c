"""A density by shards: the rows of the data along a declared dimension, shared out among devices.

The log density of k m independent rows is the mean, over k shards of m rows, of their estimates
(`gradmc.density.batches`), in which observed terms count k times and everything else once. So each device evaluates
value and gradient for its own rows, and one sum over the devices, an all-reduce of dim + 1 numbers, gives all of them
both. Rows that fill no shard are terms of their own, one each on the first devices.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from gradmc.density.base import Density
from gradmc.density.batches import Batches, observed_terms
from gradmc.errors import UsageError
from gradmc.program.binding import argument_names, as_argument

AXIS = "shards"
"""Of the mesh of devices."""

OWN, COMMON = PartitionSpec(AXIS), PartitionSpec()
"""How arrays lie on the devices: by their first axis, each its own, or the same on all."""


def devices() -> Mesh:
    """All devices, those of other processes (`jax.distributed`) included."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,))


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """A density by shards.

    Args:
        batches: of as many rows as a shard has.
        observed: the names of the terms along the dimension.
        count: how many shards.
    """

    batches: Batches
    observed: tuple[str, ...]
    count: int

    @classmethod
    def of(cls, density: Density, dimension: str, count: int) -> "Shards":
        """A density by so many shards along a dimension.

        Raises:
            UsageError: there is one device alone; there are fewer rows than devices, or no such dimension; the density
                is not known to be a sum over the rows.
            ProgramError: the program needs to know rows while it is compiled.
        """
        if count < 2:
            raise UsageError(
                "shard: there is one device, so there is nothing to share the data out among; start several processes "
                "(`gradmc sample --distributed`), or make several devices of this processor's cores by the environment "
                "variable JAX_NUM_CPU_DEVICES"
            )
        few = Batches.of(density, dimension, 1, asked="shard")
        if few.rows < count:
            raise UsageError(f"shard: {dimension!r} has {few.rows} rows for {count} devices; use fewer devices")
        return cls(few.of_size(few.rows // count), observed_terms(density, few), count)

    @property
    def left(self) -> int:
        """Rows that fill no shard."""
        return self.batches.rows % self.count

    def arguments(self, mesh: Mesh) -> tuple[Any, Any]:
        """The data as arguments of `logdensity`, on the devices: what is each one's own, and what all have.

        A process puts on its devices their own rows alone.
        """
        batches, rows = self.batches, range(self.count)
        size, last = batches.size, batches.rows - 1
        shards = [range(k * size, (k + 1) * size) for k in rows]
        own: dict[str, Any] = {"shard": self._placed(shards, mesh)}
        if self.left:
            singles = [range(row, row + 1) for row in (min(self.count * size + k, last) for k in rows)]
            counts = np.arange(self.count) < self.left
            own |= {"single": self._placed(singles, mesh), "counts": _put(counts, mesh, OWN)}
        shared = [name for name in argument_names(batches.bound) if name not in batches.axes]
        common = {name: _put(self._argument(name), mesh, COMMON) for name in shared}
        return own, common

    def _argument(self, name: str) -> np.ndarray:
        return as_argument(self.batches.bound.data[name], self.batches.dtype)

    def _placed(self, parts: list[range], mesh: Mesh) -> dict[str, Array]:
        """Rows of each array along the dimension, (devices, ...)."""
        sharding, placed = NamedSharding(mesh, OWN), {}
        for name, axis in self.batches.axes.items():
            array = self._argument(name)
            shape = list(array.shape)
            shape[axis] = len(parts[0])

            def of_device(index: Any, array: np.ndarray = array, axis: int = axis) -> np.ndarray:
                part = parts[index[0].start or 0]
                return np.take(array, np.arange(part.start, part.stop), axis=axis)[None]

            placed[name] = jax.make_array_from_callback((self.count, *shape), sharding, of_device)
        return placed

    def logdensity(self, x: Float[Array, "dim"], arguments: tuple[Any, Any]) -> Float[Array, ""]:
        """The log density at x, from the rows of all devices; pure, to be traced on each within the density's scope.

        Args:
            x: unconstrained coordinates.
            arguments: of this device, of `arguments`, with leading axes of length 1.
        """
        batches = self.batches
        estimate = batches.estimate(self.observed, self.count * batches.size)
        single = batches.of_size(1).marked() if self.left else None

        def here(x: Any, arguments: Any) -> Any:
            own, common = arguments
            data = jax.tree.map(lambda leaf: lax.squeeze(leaf, (0,)), own)
            value = estimate.given(x, {**common, **data["shard"]}, jacobian=True)
            if single is None:
                return value
            _, observed = single.terms_given(x, {**common, **data["single"]})
            term = sum(jnp.sum(observed[name]) for name in self.observed)
            return value + jnp.where(data["counts"], self.count * term, 0.0)

        return _mean_over_devices(here)(x, arguments)


def _mean_over_devices(here: Any) -> Any:
    """The mean of a function over the devices, whose value and gradient come in one all-reduce."""

    def both(x: Any, arguments: Any) -> tuple[Any, Any]:
        value, gradient = jax.value_and_grad(here)(x, arguments)
        told = lax.pmean(jnp.concatenate([value[None], gradient]), AXIS)
        return told[0], told[1:]

    @jax.custom_vjp
    def mean(x: Any, arguments: Any) -> Any:
        return both(x, arguments)[0]

    mean.defvjp(both, lambda gradient, slope: (slope * gradient, None))
    return mean


def _put(array: np.ndarray, mesh: Mesh, spec: PartitionSpec) -> Array:
    return jax.make_array_from_callback(array.shape, NamedSharding(mesh, spec), lambda index: array[index])
