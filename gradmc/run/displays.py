"""Which display a run has. Each is imported when it is asked for: they draw with libraries of their own."""

import os
import sys
from io import StringIO
from typing import TextIO

from gradmc.errors import UsageError
from gradmc.run.progress import Display, NoProgress

KINDS = ("auto", "rich", "plain", "json", "notebook", "none")


def choose_display(kind: str | bool = "auto", stream: TextIO | None = None) -> Display:
    """The display of a kind; `auto` takes what fits the place where the output goes.

    Args:
        kind: one of `auto`, `rich`, `plain`, `json`, `notebook`, `none`; True is `auto`, False is `none`.
        stream: where to write; standard error by default.
    """
    out = stream or sys.stderr or StringIO()
    if isinstance(kind, bool):
        kind = "auto" if kind else "none"
    if kind == "auto":
        kind = _fitting(out)
    match kind:
        case "rich":
            from gradmc.run.progress_rich import RichProgress

            return RichProgress(out)
        case "plain":
            from gradmc.run.progress_plain import PlainProgress

            return PlainProgress(out)
        case "json":
            from gradmc.run.progress_json import JsonProgress

            return JsonProgress(out)
        case "notebook":
            from gradmc.run.progress_notebook import NotebookProgress

            return NotebookProgress()
        case "none":
            return NoProgress()
    raise UsageError(f"unknown progress display {kind!r}; choose one of {', '.join(KINDS)}")


def _fitting(stream: TextIO) -> str:
    if in_notebook():
        return "notebook"
    terminal = stream.isatty() and os.environ.get("TERM", "") != "dumb"
    return "rich" if terminal else "plain"


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
