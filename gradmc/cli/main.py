"""Entry point: takes overrides out of the command line, runs the command, turns errors into exit codes."""

import sys
from collections.abc import Sequence

from gradmc.cli.output import report_error
from gradmc.cli.overrides import split_overrides
from gradmc.errors import GradmcError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `gradmc` with the arguments of the process, and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and give its exit code."""
    as_json, debug = "--json" in arguments, "--debug" in arguments
    try:
        rest, overrides = split_overrides(arguments)
        from gradmc.cli.app import build_app
        from gradmc.cli.parsing import call

        return call(build_app(overrides), rest)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (GradmcError, KeyboardInterrupt) as error:
        return report_error(error, as_json=as_json, debug=debug)
    except Exception as error:
        return report_error(error, as_json=as_json, debug=debug)


if __name__ == "__main__":
    main()
