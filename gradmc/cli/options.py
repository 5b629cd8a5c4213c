"""What every command takes."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

type Overrides = list[tuple[str, str]]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Options of every command."""

    json: Annotated[bool, Parameter(negative="", help="Print the result as JSON.")] = False
    debug: Annotated[bool, Parameter(negative="", help="Show tracebacks of errors.")] = False


COMMON = Common()
