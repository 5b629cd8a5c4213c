"""Progress in a terminal: a table that is drawn in place."""

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradmc.run.progress import Board, ChainStatus, Display, duration

COLORS = {"warmup": "yellow", "sampling": "cyan", "done": "green"}


class RichProgress(Display):
    """Draws a table of the chains, at most four times a second.

    Args:
        stream: the terminal.
    """

    interval = 0.25

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream)
        self._live: Live | None = None

    def start(self, chains: int) -> None:
        """Begin to draw."""
        super().start(chains)
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def draw(self, *, final: bool) -> None:
        """Draw the table in place; the last one stays."""
        if self._live is None:
            return
        if self.board.statuses:
            self._live.update(table(self.board), refresh=True)
        if final:
            self._live.stop()
            self._live = None

    def write(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(Text(text, style="dim"))


def table(board: Board) -> Table:
    """The board as a table."""
    caption = f"{duration(board.elapsed())} elapsed"
    if board.ess is not None:
        caption += f", ESS {board.ess:.0f} so far"
    result = Table(box=None, pad_edge=False, caption=caption, caption_justify="left", caption_style="dim")
    for title in ("chain", "phase", "", "draws", "divergences", "step size", "leapfrogs", "left"):
        result.add_column(title, justify="left" if title in ("phase", "") else "right", header_style="dim")
    for status in board.ordered():
        result.add_row(*_row(status, board))
    return result


def _row(status: ChainStatus, board: Board) -> tuple[Text | ProgressBar, ...]:
    color = COLORS[status.phase]
    return (
        Text(str(status.chain)),
        Text(status.phase, style=color),
        ProgressBar(total=status.total, completed=status.done, width=24, complete_style=color, finished_style=color),
        Text(f"{status.done}/{status.total}"),
        Text(str(status.divergences), style="bold red" if status.divergences else ""),
        Text(f"{status.step_size:.3g}"),
        Text(f"{status.n_leapfrog:,}"),
        Text("" if status.phase == "done" else duration(board.seconds_left(status.chain))),
    )
