"""What the loop compiler does not take, each with the remedy it gives.

`CONSTRUCTS` is the index of the syntax that is refused; `refuse` raises its message with the user's line. The
line's file and function are filled in by `convert`, which knows them.
"""

import ast
from typing import NoReturn

from gradmc.errors import ProgramError, SourceLocation

CONSTRUCTS: dict[str, tuple[str, str]] = {
    "jump in try": (
        "break, continue or return inside the finally of a try statement, or inside a try with except*, cannot be "
        "compiled",
        "Assign the result to a variable inside it and jump after it.",
    ),
    "jump in match": (
        "break, continue or return inside a match with patterns of structure cannot be compiled",
        "Assign the result to a variable inside it and jump after it, or match numbers and strings only.",
    ),
    "lambda in comprehension": (
        "a lambda that a comprehension makes reads the comprehension's own variable, which in Python has its last "
        "value by the time the lambda is called",
        "Bind the value that is meant: lambda v, i=i: ...",
    ),
    "async": ("async code cannot be compiled", "Write the program as an ordinary function."),
    "global": (
        "assigning a global variable from a program cannot be compiled",
        "Pass the value as an argument and return the new one.",
    ),
    "walrus": (
        "an assignment expression (:=) inside and/or, a conditional expression or a comprehension cannot be compiled",
        "Assign the variable in a statement of its own before it.",
    ),
    "comprehension target": (
        "a comprehension can bind names and tuples of names only",
        "Name the items in the comprehension, or write a for loop.",
    ),
    "class": (
        "a class defined inside a program cannot be compiled",
        "Define the class outside of the function.",
    ),
    "import star": ("import * inside a function is not Python", "Import the names you need."),
}


class Refused(Exception):
    """A construct that is refused, at a syntax node; `convert` turns it into a ProgramError."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(CONSTRUCTS[key][0])
        self.key = key
        self.line = line


def refuse(key: str, node: ast.AST) -> NoReturn:
    """Refuse the construct `key` of the index, which stands at `node`."""
    raise Refused(key, getattr(node, "lineno", 0))


def program_error(refused: Refused, location: SourceLocation) -> ProgramError:
    """The error that the user sees."""
    message, remedy = CONSTRUCTS[refused.key]
    return ProgramError(message, location=location, remedy=remedy)
