"""What the body of a loop or the side of a branch left."""

from dataclasses import dataclass
from typing import Any

from gradmc.program import marks


@dataclass(frozen=True, eq=False, slots=True)
class BodyExit:
    """What one run of a body left, while its frame is still open.

    Attributes:
        values: the shared variables at its end.
        written: for every token from outside that was written: the token and its content at the end.
        grown: what it appended to lists from outside.
        marks: what it marked.
        failures: the conditions under which it fails.
    """

    values: tuple
    written: list[tuple[Any, Any]]
    grown: list[tuple[list, list]]
    marks: marks.Marks
    failures: list[Any]
