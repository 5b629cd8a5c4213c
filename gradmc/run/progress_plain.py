"""Progress for logs: one flushed line now and then."""

from typing import TextIO

from gradmc.run.progress import Board, Display, duration

FIRST_SECONDS = 2.0
GROWTH = 0.25
"""A line comes when the run is a quarter older than at the last one, so an hour makes about 35 lines."""


class PlainProgress(Display):
    """Writes lines to a stream.

    Args:
        stream: where to write.
    """

    interval = FIRST_SECONDS

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def draw(self, *, final: bool) -> None:
        """Write one line about all chains."""
        if self.board.statuses:
            self.write(line(self.board))
        self.interval = max(FIRST_SECONDS, GROWTH * self.board.elapsed())

    def write(self, text: str) -> None:
        """Write a line and flush it."""
        print(text, file=self._stream, flush=True)


def line(board: Board) -> str:
    """One line about all chains."""
    statuses = board.ordered()
    phases = {status.phase for status in statuses}
    phase = next(name for name in ("warmup", "sampling", "done") if name in phases)
    parts = [
        f"{duration(board.elapsed()):>8}  {phase:<8} {100 * board.fraction():3.0f}%",
        "draws " + " ".join(f"{status.done}/{status.total}" for status in statuses),
        f"divergences {sum(status.divergences for status in statuses)}",
        "step size " + " ".join(f"{status.step_size:.3g}" for status in statuses),
        f"leapfrogs {sum(status.n_leapfrog for status in statuses)}",
    ]
    if board.ess is not None:
        parts.append(f"ESS {board.ess:.0f}")
    if phase != "done":
        left = [board.seconds_left(status.chain) for status in statuses]
        parts.append(f"left {duration(max((s for s in left if s is not None), default=None))}")
    return "  ".join(parts)
