"""One chain on several devices, each of which has its share of the data (`gradmc.density.shards`).

Every device runs the whole loop of a chain, and all run the same: what differs from one to another is only their share
of the density, which is summed before anything depends on it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gradmc.density.shards import COMMON, OWN, devices
from gradmc.errors import UsageError
from gradmc.run.executor import Batch, Executor, Expand


@dataclasses.dataclass(frozen=True, slots=True)
class Sharded:
    """Another executor, on all devices at once.

    Args:
        inner: groups chains.
        dimension: along which the data are shared out.
        count: of devices.
    """

    inner: Executor
    dimension: str
    count: int

    def lanes(self, chains: int) -> list[tuple[int, ...]]:
        """Those of the other executor."""
        return self.inner.lanes(chains)

    def block(self, chains: int) -> int:
        """That of the other executor."""
        return self.inner.block(chains)

    def advance(self, one: Callable[..., Any]) -> Callable[..., Any]:
        """On each device, with its own data."""
        moved = self.inner.advance(one)

        def advance(
            states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, capacity: int, points: Any
        ) -> Any:
            def here(states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, points: Any) -> Any:
                return moved(states, schedule, arguments, draws, ticks, capacity, points)

            given = (COMMON, COMMON, (OWN, COMMON), COMMON, COMMON, COMMON)
            call = jax.shard_map(here, mesh=devices(), in_specs=given, out_specs=COMMON, check_vma=False)
            return call(states, schedule, arguments, draws, ticks, points)

        return advance

    def expand(self, one: Expand) -> Callable[..., Any]:
        """On one device, which needs all data for it, but once a draw only."""
        return self.inner.expand(one)


def sharded(inner: Executor, dimension: str) -> Sharded:
    """An executor whose chains run on all devices.

    Raises:
        UsageError: it shares the chains out among devices itself.
    """
    if isinstance(inner, Batch):
        if inner.devices is not None:
            raise UsageError(f"shard={dimension!r} takes all devices for the data of each chain: leave out {inner!r}")
        inner = dataclasses.replace(inner, devices=1)
    return Sharded(inner, dimension, jax.device_count())


def gathered(advance: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, whose results are the same on all devices, with results in this process's memory."""

    def call(*arguments: Any) -> Any:
        return jax.tree.map(np.asarray, advance(*arguments))

    return call
