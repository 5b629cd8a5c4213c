"""Progress in a terminal: a table that is drawn in place."""

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradmc.run.progress import Board, ChainStatus, Display, duration

COLORS = {"warmup": "yellow", "sampling": "cyan", "done": "green"}
TITLES = ("chain", "phase", "", "draws", "divergences", "step size", "leapfrogs", "left")
LEFT_OUT = ("", "leapfrogs", "step size")
"""Columns that a narrow terminal does without, in this order; the one without a title holds the bars."""

BAR = 24
SHORTEST_BAR = 6
GAP = 2


class Terminal(Console):
    """A console that leaves everything as it was, however the process ends."""

    def show_cursor(self, show: bool = True) -> bool:
        """Let the cursor be: a killed process could not bring it back."""
        del show
        return False

    def on_broken_pipe(self) -> None:
        """Show nothing any more, rather than end the process."""
        self.quiet = True


class RichProgress(Display):
    """Draws a table of the chains, at most four times a second.

    Args:
        stream: the terminal.
    """

    interval = 0.25

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Terminal(file=stream)
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
            self._live.update(table(self.board, self._console.width), refresh=True)
        if final:
            self._live.stop()
            self._live = None

    def write(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(Text(text, style="dim"))


def table(board: Board, width: int) -> Table:
    """The board as a table that fits a terminal of a width."""
    caption = f"{duration(board.elapsed())} elapsed"
    if board.ess is not None:
        caption += f", ESS {board.ess:.0f} so far"
    result = Table(box=None, pad_edge=False, caption=caption, caption_justify="left", caption_style="dim")
    rows = [_row(status, board) for status in board.ordered()]
    widths = {
        title: max(len(title), *(len(str(row[title])) for row in rows)) if title else SHORTEST_BAR for title in TITLES
    }
    bar = min(BAR, SHORTEST_BAR + max(0, width - _total(widths)))
    for title in LEFT_OUT:
        if _total(widths) > width:
            del widths[title]
    for title in widths:
        side = "left" if title in ("phase", "") else "right"
        result.add_column(title, justify=side, header_style="dim", no_wrap=True, width=None if title else bar)
    for row in rows:
        result.add_row(*(row[title] for title in widths))
    return result


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _row(status: ChainStatus, board: Board) -> dict[str, Text | ProgressBar]:
    color = COLORS[status.phase]
    return {
        "chain": Text(status.name),
        "phase": Text(status.phase, style=color),
        "": ProgressBar(total=status.total, completed=status.done, complete_style=color, finished_style=color),
        "draws": Text(f"{status.done}/{status.total}"),
        "divergences": Text(str(status.divergences), style="bold red" if status.divergences else ""),
        "step size": Text(f"{status.step_size:.3g}"),
        "leapfrogs": Text(f"{status.n_leapfrog:,}"),
        "left": Text("" if status.phase == "done" else duration(board.seconds_left(status.chain))),
    }
