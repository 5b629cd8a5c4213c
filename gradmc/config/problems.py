"""What is wrong with a configuration, in words, all of it at once.

A problem names the key path and where the value came from, says what was expected and what came, and suggests
what to write.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from gradmc.config.layers import Layer
from gradmc.config.schema import SECTIONS, Config, example
from gradmc.elsewhere import meant

EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "string_type": "expected text in quotes",
    "string_too_short": "expected text that is not empty",
    "string_pattern_mismatch": "expected text that is not empty",
    "list_type": "expected a list",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
}
"""pydantic's kinds of error in the words of a TOML file."""


def describe(error: ValidationError, layer: Layer) -> list[str]:
    """One sentence per problem found by pydantic."""
    seen: dict[str, None] = {}
    for item in error.errors(include_url=False, include_context=True):
        path = ".".join(str(part) for part in item["loc"] if not _is_branch(part))
        if item["type"] == "extra_forbidden":
            sentence = unknown_key(path, layer)
        elif item["type"] == "missing":
            sentence = missing_key(path)
        else:
            sentence = wrong_value(path, item["type"], item["msg"], item["input"], layer)
        seen[sentence] = None
    return list(seen)


def unknown_key(path: str, layer: Layer) -> str:
    """A key that does not exist, with the one that was meant."""
    section, _, key = path.rpartition(".")
    known = known_keys(section)
    hint = suggestion(meant(key, known) or key, known)
    if not hint and section:
        hint = _elsewhere(meant(key, [k for s in SECTIONS.values() for k in s.model_fields]) or key)
    if not hint and section and not known:
        hint = f"{section} has no keys"
    return f"{path}: unknown key{origin(path, layer)}; " + (hint or f"known are {', '.join(known)}")


def missing_key(path: str) -> str:
    """A key that has to be there."""
    section, _, key = path.rpartition(".")
    if not section and key in SECTIONS:
        section, key = key, next(name for name, f in SECTIONS[key].model_fields.items() if f.is_required())
        path = f"{section}.{key}"
    return f"{path}: missing; write `{example(section, key)}` under [{section}]"


def wrong_value(path: str, kind: str, message: str, value: Any, layer: Layer) -> str:
    """A value of the wrong type or out of range."""
    section, _, key = path.partition(".")
    expected = EXPECTED.get(kind) or message.removeprefix("Value error, ").replace(
        "Input should be", "expected a value"
    )
    if path in SECTIONS or (path == "data" and not isinstance(value, Mapping)):
        return f"{path}: expected a table, got {shorten(value)}{origin(path, layer)}; write [{path}]"
    advice = example(section, key.split(".")[0])
    hint = f"; write, for example, `{advice}`" if advice else ""
    return f"{path}: {expected}, got {shorten(value)}{origin(path, layer)}{hint}"


def origin(path: str, layer: Layer) -> str:
    """Where the value at a path came from, in brackets."""
    while path:
        if path in layer:
            return f" ({layer[path].origin})"
        inside = [entry.origin for key, entry in layer.items() if key.startswith(f"{path}.")]
        if inside:
            return f" ({inside[0]})"
        path = path.rpartition(".")[0]
    return ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` if a known word is close."""
    close = get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def known_keys(section: str) -> list[str]:
    """The keys of a table."""
    if not section:
        return list(Config.model_fields)
    return list(SECTIONS[section].model_fields) if section in SECTIONS else []


def shorten(value: Any, limit: int = 60) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _elsewhere(key: str) -> str:
    homes = [name for name, section in SECTIONS.items() if key in section.model_fields]
    return f"{key} belongs under [{homes[0]}]" if homes else ""


def _is_branch(part: Any) -> bool:
    """Whether a part of pydantic's location names a branch of a union rather than a key."""
    return isinstance(part, str) and (part.startswith(("constrained-", "function-")) or part in _TYPE_NAMES)


_TYPE_NAMES = frozenset({"int", "float", "str", "bool"})
