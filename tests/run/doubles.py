"""Stand-ins for what surrounds the driver, and runs of small targets to the end."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradmc.run.driver import Driver, Lane
from gradmc.run.preparing import prepare
from gradmc.run.progress import ChainStatus
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from tests.targets import FAMILY, Target


class Sink:
    """Keeps every chunk of draws."""

    def __init__(self) -> None:
        self.chunks: dict[tuple[int, bool], list[Mapping[str, Mapping[str, np.ndarray]]]] = {}
        self._lock = threading.Lock()

    def put(
        self,
        chains: Sequence[int],
        warmup: bool,
        groups: Mapping[str, Mapping[str, np.ndarray]],
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Keep a chunk."""
        with self._lock:
            for i, chain in enumerate(chains):
                rows = slice(int(first[i]), int(last[i]))
                if rows.stop > rows.start:
                    own = {group: {name: v[i, rows] for name, v in of.items()} for group, of in groups.items()}
                    self.chunks.setdefault((chain, warmup), []).append(own)

    def draws(self, chain: int, *, warmup: bool = False, group: str = "posterior", name: str = "x") -> np.ndarray:
        """All draws of a variable."""
        return np.concatenate([chunk[group][name] for chunk in self.chunks[chain, warmup]])

    def length(self, chain: int, *, warmup: bool = False) -> int:
        """How many draws came."""
        return sum(len(c["sample_stats"]["lp"]) for c in self.chunks.get((chain, warmup), []))


class Quiet:
    """A progress display that remembers what it was told."""

    def __init__(self) -> None:
        self.statuses: list[ChainStatus] = []

    def start(self, chains: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def update(self, status: ChainStatus) -> None:
        """Remember."""
        self.statuses.append(status)

    def close(self) -> None:
        """Nothing."""


def run(
    target: Target = FAMILY,
    *,
    initial: Any = None,
    after_chunk: Callable[[Lane], None] | None = None,
    watch: Callable[[Driver], None] | None = None,
    **settings: Any,
) -> tuple[Sink, Sampler]:
    """Prepare and run to the end."""
    defaults: dict[str, Any] = {"seed": 11, "chains": 2, "warmup": 60, "draws": 40, "keep_warmup": True}
    sampler = prepare(target, Settings(**{**defaults, **settings}), initial=initial)
    sink = Sink()
    sampler.run(sink, Quiet(), after_chunk=after_chunk, watch=watch)
    return sink, sampler


def whole(sink: Sink, chain: int) -> np.ndarray:
    """Draws and statistics of a chain, warmup first, as one table."""
    parts = []
    for warmup in (True, False):
        if (chain, warmup) in sink.chunks:
            statistics = [
                sink.draws(chain, warmup=warmup, group="sample_stats", name=name)
                for name in sink.chunks[chain, warmup][0]["sample_stats"]
            ]
            parts.append(np.column_stack([sink.draws(chain, warmup=warmup), *statistics]))
    return np.concatenate(parts)
