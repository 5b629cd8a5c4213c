"""Options that override an entry of the configuration: `--sampler.draws 2000` or `--sampler.draws=2000`."""

import re
from collections.abc import Sequence

from gradmc.errors import ConfigError

OPTION = re.compile(r"--([A-Za-z_]\w*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)


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
