"""Handing a command line to cyclopts, with gradmc's exit codes and plain messages."""

import json
from collections.abc import Callable, Sequence
from inspect import BoundArguments
from typing import Any

from cyclopts import App, CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from gradmc.cli.app import Commands
from gradmc.cli.output import RESULTS, tell, unwritten

USAGE = 2


def call(app: App, arguments: Sequence[str]) -> int:
    """Run a command; what it returns is the exit code."""
    try:
        command, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False, help_on_error=False)
    except CycloptsError as error:
        message = describe(error)
        if "--json" in arguments:
            print(json.dumps({"error": {"type": "UsageError", "message": message, "exit_code": USAGE}}))
        tell(f"error: {message}")
        command = " ".join(("gradmc", *(error.command_chain or ())))
        known = f"`{command} --help` shows its options and an example."
        tell(known if error.command_chain else "`gradmc --help` lists the commands.")
        return USAGE
    if not isinstance(getattr(command, "__self__", None), Commands):
        _show(command, bound)
        return 0
    with RESULTS:
        return command(*bound.args, **bound.kwargs)


def _show(command: Callable[..., Any], bound: BoundArguments) -> None:
    """Print help or version, which are results themselves."""
    try:
        command(*bound.args, **bound.kwargs)
    except (BrokenPipeError, SystemExit):  # rich ends the process where nobody reads on
        return
    except OSError as error:
        raise unwritten(error) from None


def describe(error: CycloptsError) -> str:
    """What is wrong with a command line: cyclopts' words, but for what a beginner meets first."""
    command = " ".join(("gradmc", *(error.command_chain or ())))
    match error:
        case MissingArgumentError(argument=argument, keyword=None) if argument is not None:
            name = argument.names[0] if argument.field_info.is_keyword_only else argument.names[0].strip("-").upper()
            help_text = argument.parameter.help or ""
            return f"`{command}` needs {name}" + (f": {help_text[0].lower()}{help_text[1:]}" if help_text else "")
        case UnusedCliTokensError(unused_tokens=[*left]) if left:
            return f"`{command}` has no use for {' '.join(map(repr, left))}"
    return str(error).strip()
