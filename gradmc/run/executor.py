"""How chains share calls of the compiled functions: each in its own, on several cores, or all in one.

Implementing an executor: say which chains make up a *lane*, that is, advance in one call, and turn the functions of one
chain into functions of a lane, whose arguments and results have a leading axis of chains, even for a single one.  So
everything else handles lanes in arrays with that axis, and never asks which executor runs.  The draws of a chain do not
depend, but for rounding, on the chains beside it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

type Expand = Callable[[jax.Array, Any], dict[str, dict[str, jax.Array]]]
"""Named values at a position, by group."""


class Executor(Protocol):
    """Groups chains into lanes."""

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """The chains of each lane; lanes have equal sizes."""
        ...

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """`Machine.advance` for a lane: states, draws and points of several chains, the rest in common."""
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
    """All chains in one lane: for accelerators."""

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """A single one."""
        return [tuple(range(chains))]

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """Vectorised over chains."""
        return jax.vmap(one, in_axes=(0, None, None, 0, None, None, 0))

    def expand(self, one: Expand) -> Callable[..., Any]:
        """Row after row, all chains at once; rows beyond a chain's own count hold values of no meaning."""

        def expand(positions: Float[Array, "chains capacity dim"], counts: Int[Array, "chains"], arguments: Any) -> Any:
            every = jax.vmap(lambda x: one(x, arguments))
            rows = _over_rows(every, jnp.swapaxes(positions, 0, 1), jnp.max(counts))
            return jax.tree.map(lambda r: jnp.swapaxes(r, 0, 1), rows)

        return expand


def suited() -> Executor:
    """The executor that suits JAX's backend."""
    return Threads() if jax.default_backend() == "cpu" else Batch()


def stacked[T](own: Sequence[T]) -> T:
    """What chains have of their own, as arrays of their lane."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *own)


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
