"""The exceptions of gradmc, each with the exit code that the command line gives it.

Every message says what was expected, what came, and what to do about it. `UsageError` and its children
mean that a call was wrong and are raised before anything is traced; `ProgramError` and `StartError` mean that
the user's program is at fault and show the user's own file and line.
"""

from dataclasses import dataclass
from typing import ClassVar

from gradmc.printable import printable


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of the user's source: file, line number (from 1), its text, and the function around it."""

    file: str
    line: int
    text: str
    function: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        if self.function:
            where += f", in {self.function}"
        return where


class GradmcError(Exception):
    """Base of every error that gradmc raises on purpose; as text without characters that a terminal would obey."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(GradmcError):
    """A public function or the command line was called with wrong arguments."""

    exit_code = 2


class DeclarationError(UsageError):
    """The signature of a `@gm.model` function does not declare a model."""


class DataError(UsageError):
    """The data do not fit the model: missing, unknown, of the wrong shape or type, or not finite."""


class ConfigError(UsageError):
    """A configuration file, an environment variable or an override is wrong."""


class ProgramError(GradmcError):
    """The user's program raised, or uses something that gradmc cannot compile.

    `str(error)` shows the user's file and line, the source text, the message and the remedy.

    Args:
        message: what went wrong.
        location: the user's line, where known.
        remedy: what to write instead, where known.
    """

    exit_code = 3

    def __init__(self, message: str, *, location: SourceLocation | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.remedy = remedy

    def __str__(self) -> str:
        lines = []
        if self.location is not None:
            lines.append(str(self.location))
            if self.location.text.strip():
                lines.append(f"    {self.location.text.strip()}")
        lines.append(self.message)
        if self.remedy:
            lines.append(self.remedy)
        return printable("\n".join(lines))


class SelfCheckError(ProgramError):
    """The compiled program does not give the value that plain Python gives."""


class StartError(GradmcError):
    """No starting point with a finite log density and gradient was found."""

    exit_code = 3


class ResumeError(GradmcError):
    """A run directory cannot be resumed: incompatible, damaged, or locked by another process."""

    exit_code = 5


class ClusterError(GradmcError):
    """The processes that ran the chains are gone; what is stored is safe and the run can be resumed."""

    exit_code = 75
