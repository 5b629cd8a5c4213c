"""How a run shows that it goes on.

The driver calls `update` after every chunk of every chain, from that chain's thread. A display keeps the
latest status of each chain on a *board* and draws the board rarely (`interval`), so that showing costs
nothing that matters. Everything goes to standard error: standard output belongs to results.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

type Phase = Literal["warmup", "sampling", "done"]


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """Where a chain stands.

    Args:
        chain: which chain, from 0.
        phase: what it is doing.
        done: transitions finished, those of warmup included.
        total: transitions asked for, those of warmup included.
        divergences: divergent transitions after warmup.
        step_size: present step size.
        n_leapfrog: gradient evaluations so far.
        chains: how many chains this is about, from that one on: the least that one of them has done, the sum of what
            is counted and the middle step size.
    """

    chain: int
    phase: Phase
    done: int
    total: int
    divergences: int = 0
    step_size: float = float("nan")
    n_leapfrog: int = 0
    chains: int = 1

    @property
    def name(self) -> str:
        """Which chain, or chains."""
        return str(self.chain) if self.chains == 1 else f"all {self.chains:,}"


class Progress(Protocol):
    """What the driver tells a display."""

    def start(self, chains: int) -> None:
        """The run begins."""
        ...

    def note(self, text: str) -> None:
        """Say something in words: compiling, stopping, going on from a checkpoint."""
        ...

    def update(self, status: ChainStatus) -> None:
        """A chain has finished a chunk."""
        ...

    def show_ess(self, ess: float) -> None:
        """The smallest bulk effective sample size of all chains together so far."""
        ...

    def close(self) -> None:
        """The run is over, or was interrupted."""
        ...


@dataclass(slots=True)
class Board:
    """The latest status of each chain, when the run began, and when and where each chain came into view."""

    began: float = field(default_factory=time.monotonic)
    statuses: dict[int, ChainStatus] = field(default_factory=dict)
    first: dict[int, tuple[float, int]] = field(default_factory=dict)
    ess: float | None = None

    def put(self, status: ChainStatus) -> bool:
        """Take in a status; tells whether the chain changed its phase."""
        before = self.statuses.get(status.chain)
        self.first.setdefault(status.chain, (time.monotonic(), status.done))
        self.statuses[status.chain] = status
        return before is None or before.phase != status.phase

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    def seconds_left(self, chain: int) -> float | None:
        """Seconds until a chain is done at its speed so far, compiling left out, or None if not known yet."""
        status = self.statuses[chain]
        since, first = self.first[chain]
        if status.done <= first:
            return None
        return (time.monotonic() - since) * (status.total - status.done) / (status.done - first)

    def fraction(self) -> float:
        """How much of the whole run is done."""
        total = sum(status.total for status in self.statuses.values())
        return sum(status.done for status in self.statuses.values()) / max(1, total)

    def ordered(self) -> list[ChainStatus]:
        """The statuses in the order of the chains."""
        return [self.statuses[chain] for chain in sorted(self.statuses)]


class Display:
    """Base of the displays: keeps the board and decides when it is drawn.

    Subclasses say how: `draw(final)` shows the board, `write(text)` shows a sentence. What cannot be shown (a closed
    terminal or pipe, a full disk under a log) is not shown; the run goes on.
    """

    interval = 0.25

    def __init__(self) -> None:
        self.board = Board()
        self.chains = 0
        self._last = 0.0
        self._lock = threading.Lock()

    def start(self, chains: int) -> None:
        """The run begins."""
        self.board = Board()
        self.chains = chains
        self._last = time.monotonic()

    def note(self, text: str) -> None:
        """Say something in words."""
        with self._lock, suppress(OSError):
            self.write(text)

    def update(self, status: ChainStatus) -> None:
        """A chain has finished a chunk; the board is drawn if it is time."""
        with self._lock:
            self.board.put(status)
            if time.monotonic() - self._last >= self.interval:
                with suppress(OSError):
                    self.draw(final=False)
                self._last = time.monotonic()

    def show_ess(self, ess: float) -> None:
        """The smallest bulk effective sample size so far; shown when the board is drawn next."""
        with self._lock:
            self.board.ess = ess

    def close(self) -> None:
        """Draw the board for the last time."""
        with self._lock, suppress(OSError):
            self.draw(final=True)

    def draw(self, *, final: bool) -> None:
        """Show the board."""

    def write(self, text: str) -> None:
        """Show a sentence."""


class NoProgress(Display):
    """Shows nothing."""


def duration(seconds: float | None) -> str:
    """A time span for people: `4 s`, `3:07`, `1:02:33`."""
    if seconds is None:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
