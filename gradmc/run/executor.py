"""How chains share calls of the compiled functions: each in its own, on several cores, or many in one.

Implementing an executor: say which chains make up a *lane*, whose draws are handed over together, how many of a lane
advance in one call, its *block*, and turn the functions of one chain into functions of a block, whose arguments and
results have a leading axis of chains, even for a single one.  So everything else handles lanes in arrays with that
axis, and never asks which executor runs.  Draws of a chain do not depend on the chains beside it, but for rounding.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float, Int

from gradmc.arguments import check_whole

MANY = 64
"""From so many chains on they share a lane, unless threads are asked for."""

LARGEST_BLOCK = 64
"""Chains that a core moves, one after the other, in a call (which costs a millisecond)."""

BLOCKS = 8
"""Calls at least, so that cores have about as much to do."""

type Expand = Callable[[jax.Array, Any], dict[str, dict[str, jax.Array]]]
"""Named values at a position, by group."""


class Executor(Protocol):
    """Groups chains into lanes."""

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """The chains of each lane; lanes have equal sizes."""
        ...

    def block(self, chains: int) -> int:
        """How many chains of a lane of so many one call moves; several calls run at the same time, in threads."""
        ...

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """`Machine.advance` for a block: states, draws and points of several chains, the rest in common."""
        ...

    def expand(self, one: Expand) -> Callable[..., Any]:
        """`expand(positions (chains, capacity, dim), counts (chains,), arguments)`: values at the first rows."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Threads:
    """A chain has a lane of its own, and threads advance lanes: for processors."""

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """One chain each."""
        return [(chain,) for chain in range(chains)]

    def block(self, chains: int) -> int:
        """The whole lane."""
        return chains

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """The axis of chains has length 1."""

        def advance(
            states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, capacity: int, points: Any
        ) -> Any:
            return _added(one(_dropped(states), schedule, arguments, draws[0], ticks, capacity, _dropped(points)))

        return advance

    def expand(self, one: Expand) -> Callable[..., Any]:
        """Row after row."""

        def expand(positions: Float[Array, "1 capacity dim"], counts: Int[Array, "1"], arguments: Any) -> Any:
            return _added(_over_rows(lambda x: one(x, arguments), _dropped(positions), counts[0]))

        return expand


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """All chains in one lane, for hundreds of them.

    On an accelerator all chains take each step together, vectorised.  A core is better off moving one chain after the
    other, each by one native function (measured: docs/performance.md), and the cores share the chains out.  Several
    devices share the vectorised chains out too; none waits for another, and nothing is gathered on one of them.

    Args:
        vectorised: one or the other; None takes what suits JAX's backend.
        devices: how many devices of this machine vectorised chains are shared out among; None takes all.
    """

    vectorised: bool | None = None
    devices: int | None = None

    def __post_init__(self) -> None:
        if self.devices is not None:
            check_whole("devices", self.devices, 1, jax.local_device_count())

    @property
    def together(self) -> bool:
        """Whether all chains take each step together."""
        return jax.default_backend() != "cpu" if self.vectorised is None else self.vectorised

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """A single one."""
        return [tuple(range(chains))]

    def block(self, chains: int) -> int:
        """The whole lane, or what a core moves in a call."""
        if self.together:
            return -(-chains // self._count) * self._count
        return int(np.clip(chains // BLOCKS, 1, LARGEST_BLOCK))

    @property
    def _count(self) -> int:
        return self.devices or jax.local_device_count()

    def _shared_out(self, function: Callable[..., Any], own: Sequence[bool]) -> Callable[..., Any]:
        """A function of chains on several devices; `own` says which arguments have an axis of chains."""
        if self._count == 1:
            return function
        mesh = jax.make_mesh(
            (self._count,), ("chains",), axis_types=(AxisType.Auto,), devices=jax.local_devices()[: self._count]
        )
        chains = PartitionSpec("chains")
        specs = tuple(chains if each else PartitionSpec() for each in own)
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=chains, check_vma=False)

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """Vectorised over chains, or one after the other."""

        def vectorised(
            states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, capacity: int, points: Any
        ) -> Any:
            def of_device(states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, points: Any) -> Any:
                every = jax.vmap(one, in_axes=(0, None, None, 0, None, None, 0))
                return every(states, schedule, arguments, draws, ticks, capacity, points)

            call = self._shared_out(of_device, (True, False, False, True, False, True))
            return call(states, schedule, arguments, draws, ticks, points)

        def advance(
            states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, capacity: int, points: Any
        ) -> Any:
            def of_chain(own: tuple[Any, Any, Any]) -> Any:
                state, limit, table = own
                return one(state, schedule, arguments, limit, ticks, capacity, table)

            return lax.map(of_chain, (states, draws, points))

        return vectorised if self.together else advance

    def expand(self, one: Expand) -> Callable[..., Any]:
        """Row after row; rows beyond a chain's own count hold values of no meaning."""

        def vectorised(positions: Any, counts: Any, arguments: Any) -> Any:
            def of_device(positions: Any, counts: Any, arguments: Any) -> Any:
                every = jax.vmap(lambda x: one(x, arguments))
                rows = _over_rows(every, jnp.swapaxes(positions, 0, 1), jnp.max(counts))
                return jax.tree.map(lambda r: jnp.swapaxes(r, 0, 1), rows)

            return self._shared_out(of_device, (True, True, False))(positions, counts, arguments)

        def expand(positions: Float[Array, "chains capacity dim"], counts: Int[Array, "chains"], arguments: Any) -> Any:
            return lax.map(lambda own: _over_rows(lambda x: one(x, arguments), *own), (positions, counts))

        return vectorised if self.together else expand


def suited(chains: int) -> Executor:
    """The executor that suits so many chains and JAX's backend."""
    return Threads() if chains < MANY and jax.default_backend() == "cpu" else Batch()


def stacked[T](own: Sequence[T]) -> T:
    """What chains have of their own, as arrays of their lane."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *own)


def repeated[T](one: T, chains: int) -> T:
    """What each of so many chains has, as arrays of their lane."""
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], chains, axis=0), one)


def _dropped[T](lane: T) -> T:
    """Without the axis of the only chain."""
    return jax.tree.map(lambda leaf: lax.squeeze(leaf, (0,)), lane)


def _added[T](chain: T) -> T:
    return jax.tree.map(lambda leaf: lax.expand_dims(leaf, (0,)), chain)


def _over_rows(function: Callable[[jax.Array], Any], table: jax.Array, count: jax.Array) -> Any:
    """`function` at the first `count` rows of a table, one after the other; the others are zero."""
    shapes = jax.eval_shape(function, table[0])
    empty = jax.tree.map(lambda s: jnp.zeros((table.shape[0], *s.shape), s.dtype), shapes)

    def fill(i: jax.Array, rows: Any) -> Any:
        values = function(lax.dynamic_index_in_dim(table, i, 0, keepdims=False))
        return jax.tree.map(lambda r, v: lax.dynamic_update_index_in_dim(r, v, i, 0), rows, values)

    return lax.fori_loop(0, count, fill, empty)
