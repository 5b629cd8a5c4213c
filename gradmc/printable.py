"""Text from outside (labels, names, messages) as it may be shown: what a terminal would obey stands there in words."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line feed, marks that turn the direction of writing, and lone surrogates."""


def printable(text: str) -> str:
    r"""A text whose control characters are written as Python writes them: `\x1b`."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """A label or a name, which has to stay on its line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
