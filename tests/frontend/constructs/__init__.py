"""The index of what the loop compiler takes and refuses, each entry with a program that is its test.

`docs/loops.md` lists the same entries; a test holds the two together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Supported:
    """A construct that compiles, with a program that uses it."""

    topic: str
    what: str
    fn: Callable[..., Any]
    args: tuple
    data: Mapping[str, Any]
    reverse: bool = True
    differences: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """A construct that does not compile: the message's line (its text) and what the message says."""

    what: str
    fn: Callable[..., Any]
    args: tuple
    data: Mapping[str, Any]
    line: str
    message: str
    remedy: str


@dataclass(slots=True)
class Index:
    """All entries, in order."""

    supported: list[Supported] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


INDEX = Index()


def supported(topic: str, what: str, *args: Any, reverse: bool = True, differences: bool = True, **data: Any):
    """Add a program to the index: a construct that compiles."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        INDEX.supported.append(Supported(topic, what, fn, args, data, reverse, differences))
        return fn

    return add


def refused(what: str, *args: Any, line: str, message: str, remedy: str, **data: Any):
    """Add a program to the index: a construct that is refused."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        INDEX.refused.append(Refused(what, fn, args, data, line, message, remedy))
        return fn

    return add
