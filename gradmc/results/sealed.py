"""JSON objects that say of themselves whether they are whole: one entry is a checksum of the others.

It tells files that are torn, whose bytes have changed, or that something else wrote; it is no signature.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKSUM = "checksum"


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its checksum, as JSON will give it back."""
    plain = json.loads(json.dumps({name: value for name, value in content.items() if name != CHECKSUM}, default=str))
    return {**plain, CHECKSUM: digest(plain)}


def is_whole(content: Mapping[str, Any]) -> bool:
    """Whether an object has the checksum that it bears."""
    return content.get(CHECKSUM) == digest({name: value for name, value in content.items() if name != CHECKSUM})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What a file holds that can be made again; None where it is absent or damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and is_whole(content) else None


def digest(content: Mapping[str, Any]) -> str:
    """A checksum that does not depend on the order of the entries."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
