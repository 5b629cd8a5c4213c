"""Handing a command line to cyclopts, with gradmc's exit codes and plain messages."""

import json
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

USAGE = 2


def call(app: App, arguments: Sequence[str]) -> int:
    """Run a command; what it returns is the exit code."""
    try:
        code = app(
            list(arguments),
            exit_on_error=False,
            print_error=False,
            help_on_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        message = str(error).strip()
        if "--json" in arguments:
            print(json.dumps({"error": {"type": "UsageError", "message": message, "exit_code": USAGE}}))
        print(f"error: {message}", file=sys.stderr)
        print("`gradmc --help` lists the commands, `gradmc COMMAND --help` their options.", file=sys.stderr)
        return USAGE
    return code if isinstance(code, int) else 0
