"""Progress in a notebook: HTML that is updated in place, and stays as a static table when the run is over.

Plain HTML through IPython's display protocol; no widgets, hence nothing that a saved notebook cannot show.
"""

from html import escape

from IPython.display import HTML, DisplayHandle

from gradmc.run.progress import Board, ChainStatus, Display, duration

COLORS = {"warmup": "#b58900", "sampling": "#268bd2", "done": "#2aa198"}
TITLES = ("chain", "phase", "", "draws", "divergences", "step size", "leapfrogs", "left")


class NotebookProgress(Display):
    """Draws a table of the chains, at most twice a second, in one output area."""

    interval = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._handle: DisplayHandle | None = None
        self._note = ""

    def start(self, chains: int) -> None:
        """Begin to draw in the present cell."""
        super().start(chains)
        self._handle = DisplayHandle()
        self._handle.display(HTML(page(self.board, self._note)))

    def draw(self, *, final: bool) -> None:
        """Replace the table."""
        if self._handle is not None:
            self._handle.update(HTML(page(self.board, "" if final else self._note)))

    def write(self, text: str) -> None:
        """Show a sentence below the table."""
        self._note = text
        self.draw(final=False)


def page(board: Board, note: str) -> str:
    """The board as HTML."""
    if not board.statuses:
        return f"<div style='font-family:sans-serif'>{escape(note) or 'starting'}</div>"
    head = "".join(f"<th style='text-align:left'>{title}</th>" for title in TITLES)
    rows = "".join(_row(status, board) for status in board.ordered())
    foot = f"{duration(board.elapsed())} elapsed"
    foot += f", ESS {board.ess:.0f} so far" if board.ess is not None else ""
    foot += f"; {escape(note)}" if note else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f"<table style='font-family:sans-serif'>{body}</table><div>{foot}</div>"


def _row(status: ChainStatus, board: Board) -> str:
    share = 100 * status.done / max(1, status.total)
    color = COLORS[status.phase]
    bar = (
        "<div style='width:12em;background:#ddd'>"
        f"<div style='width:{share:.0f}%;height:0.8em;background:{color}'></div></div>"
    )
    warn = " style='color:#dc322f;font-weight:bold'" if status.divergences else ""
    left = "" if status.phase == "done" else duration(board.seconds_left(status.chain))
    cells = (
        f"<td>{status.name}</td><td style='color:{color}'>{status.phase}</td><td>{bar}</td>"
        f"<td>{status.done}/{status.total}</td><td{warn}>{status.divergences}</td>"
        f"<td>{status.step_size:.3g}</td><td>{status.n_leapfrog:,}</td><td>{left}</td>"
    )
    return f"<tr>{cells}</tr>"
