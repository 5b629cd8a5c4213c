"""Options that override an entry of the configuration: `--sampler.draws 2000` or `--sampler.draws=2000`."""

import re
from collections.abc import Sequence

from gradmc.errors import ConfigError, UsageError

OPTION = re.compile(r"--([A-Za-z_]\w*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)

CONFIGURED = ("sample", "sample-many", "check", "optimize", "calibrate", "config")
"""Commands that read a configuration."""


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take the overrides out of a command line.

    Returns:
        The other arguments, and the overrides as pairs of key path and text.

    Raises:
        ConfigError: an override has no value.
    """
    rest: list[str] = []
    overrides: list[tuple[str, str]] = []
    waiting = iter(arguments)
    for argument in waiting:
        match = OPTION.fullmatch(argument)
        if match is None:
            rest.append(argument)
            continue
        key, value = match[1], match[2]
        if value is None:
            value = next(waiting, None)
        if value is None:
            raise ConfigError(f"option --{key} needs a value, for example --sampler.draws 2000")
        overrides.append((key, value))
    return rest, overrides


def refuse_misplaced(arguments: Sequence[str], overrides: Sequence[tuple[str, str]]) -> None:
    """Refuse overrides for a command that has no configuration to override, rather than ignore them.

    Raises:
        UsageError: an override stands with another command than those in `CONFIGURED`.
    """
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if overrides and command and command not in CONFIGURED and "--help" not in arguments:
        raise UsageError(
            f"`gradmc {command}` has no configuration that --{overrides[0][0]} could override; a run keeps the one it "
            "began with (`gradmc extend` adds draws)"
        )
