"""Text made from values: f-strings, `str`, `%` and `format`.

A symbolic index or a parameter has no text while the program is compiled. Where the text of an index is needed
(`observe(f"y_{k}", ...)`), the loop is unrolled; for a parameter it is an error.
"""

from typing import Any

from gradmc.program.frontend import operators
from gradmc.program.frontend.values import CannotRoll, any_traced

TEXT = "the text of a value is needed that is not known while compiling"
TEXT_REMEDY = "Make text from data only; to look at values while sampling use gm.record, or jax.debug.print."


def formatted(value: Any) -> Any:
    """What stands between the braces of an f-string."""
    value = operators.content(value)
    if any_traced(value):
        raise CannotRoll(TEXT, TEXT_REMEDY)
    return value
