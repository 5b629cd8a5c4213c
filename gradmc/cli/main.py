"""Entry point: takes overrides out of the command line, runs the command, turns errors into exit codes."""

import gc
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from gradmc.cli.output import let_go, open_closed, report_error, tell
from gradmc.cli.overrides import refuse_misplaced, split_overrides
from gradmc.run.signals import interruptible

GARBAGE = (50_000, 20, 20)
"""New objects, and searches of the young, before Python looks for garbage: a command makes many objects, of which most
stay. With the usual 700 and 10 the search took a tenth of the processor time of a short run."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `gradmc` with the arguments of the process, and exit."""
    gc.set_threshold(*GARBAGE)
    open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without µ shows something else
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    let_go()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and give its exit code."""
    as_json, debug = "--json" in arguments, "--debug" in arguments
    warnings.showwarning = show_warning
    try:
        rest, overrides = split_overrides(arguments)
        refuse_misplaced(rest, overrides)
        from gradmc.cli.app import build_app
        from gradmc.cli.parsing import call

        with interruptible():
            return call(build_app(overrides), rest)
    except BaseException as error:  # also SystemExit: nothing may end a command with 0 but its success
        return report_error(error, as_json=as_json, debug=debug)


def show_warning(message: Warning | str, category: type[Warning], *details: Any) -> None:
    """Show a warning as one line, without the line of source that raised it."""
    del category, details
    tell(f"warning: {message}")


if __name__ == "__main__":
    main()
