"""Text made from values: f-strings, `str`, `%` and `format`; and what is printed.

A symbolic index or a parameter has no text while the program is compiled. Text with such a value in it may be printed,
logged, or be the message of an exception (`Untold`). Where it is needed for what it says (a key, a length, the name
in `observe(f"y_{k}", ...)`), the loop is unrolled if the text is of its index; for a parameter it is an error.
"""

from typing import Any, NoReturn

from gradmc.program.frontend import user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import CannotRoll, Choice, any_traced

TEXT = "the text of a value is needed that is not known while compiling"
TEXT_REMEDY = "Make text from data only; to look at values while sampling use gm.record, or jax.debug.print."
GAP = "..."
"""What stands in a text for a value that is not known."""
KEEPS = frozenset(["format", "join", "strip", "lstrip", "rstrip", "upper", "lower", "ljust", "rjust", "center"])
"""Methods of text that make text of it."""


class UnknownPrintWarning(UserWarning):
    """A program prints what is not known while it is compiled; only plain Python prints it."""


class Untold(str):
    """Text with values in it that are not known: it can be shown, but what it says cannot be asked."""

    __slots__ = ()

    def _asked(self, *_: Any) -> NoReturn:
        raise CannotRoll(TEXT, TEXT_REMEDY)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _asked  # type: ignore[assignment]
    __hash__ = __len__ = __bool__ = __contains__ = __getitem__ = __iter__ = _asked  # type: ignore[assignment]

    def __add__(self, other: str) -> "Untold":
        return Untold(str.__add__(self, other))

    def __radd__(self, other: str) -> "Untold":
        return Untold(other + str.__str__(self))


def shown(ev: Evaluation, value: Any) -> Any:
    """A value as text is made of it."""
    if isinstance(value, Choice):
        return Untold(GAP)
    value = ev.content(value)
    return Untold(GAP) if any_traced(value) else value


def formatted(ev: Evaluation, value: Any, conversion: str = "", spec: str = "") -> str:
    """What stands between the braces of an f-string."""
    value = shown(ev, value)
    if isinstance(value, Untold) or isinstance(spec, Untold):
        return Untold(value)
    convert = {"s": str, "r": repr, "a": ascii}.get(conversion)
    return format(value if convert is None else convert(value), spec)


def joined(*parts: str) -> str:
    """An f-string."""
    return made("".join(map(str.__str__, parts)), parts)


def made(text: str, parts: Any) -> str:
    """Text made of parts."""
    return Untold(text) if is_untold(parts) else text


def is_untold(value: Any) -> bool:
    """Whether a value is text that is not known, or holds one, at any depth of containers."""
    if isinstance(value, list | tuple):
        return any(map(is_untold, value))
    if isinstance(value, dict):
        return any(map(is_untold, value.values()))
    return isinstance(value, Untold)


def method(owner: str, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of text, where the text or an argument is not known."""
    if name not in KEEPS:
        raise CannotRoll(TEXT, TEXT_REMEDY)
    return Untold(f"{str.__str__(owner)}{GAP}")


def printed(ev: Evaluation, *values: Any, **options: Any) -> None:
    """`print`: what is known is printed while compiling; in a loop or branch that is being traced, or of values that
    are not known, it is left to plain Python.
    """
    shows = [shown(ev, v) for v in values]
    if ev.heap.frames or is_untold(shows):
        user_line.warn(
            "this print is left out of the compiled program, which is made before its values are known; "
            "to look at values while sampling use gm.record, or jax.debug.print",
            UnknownPrintWarning,
        )
        return
    print(*shows, **options)
