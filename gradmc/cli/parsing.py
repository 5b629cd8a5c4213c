"""Handing a command line to cyclopts, with gradmc's exit codes and plain messages."""

import json
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from gradmc.cli.output import tell

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
        message = describe(error)
        if "--json" in arguments:
            print(json.dumps({"error": {"type": "UsageError", "message": message, "exit_code": USAGE}}))
        tell(f"error: {message}")
        command = " ".join(("gradmc", *(error.command_chain or ())))
        known = f"`{command} --help` shows its options and an example."
        tell(known if error.command_chain else "`gradmc --help` lists the commands.")
        return USAGE
    return code if isinstance(code, int) else 0


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
