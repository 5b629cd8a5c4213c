"""What was made of a program, kept on disk for other processes: what is known of its trace, and compiled code.

A program has a folder in the cache of the user, by a digest (`gradmc.program.digest`) of all that its trace depends on.
A file there bears a checksum and counts for absent where it is damaged. Compiled code is executed, so folders are used
only where nobody else can write; `GRADMC_CACHE=off` keeps nothing. A folder that was not used for longest goes first.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

MAGIC = b"gradmc program 1\n"
MOST = 128
"""Programs that are kept."""
MOST_BYTES = 512 << 20
"""Room that they may take, together."""


def cache_root() -> Path:
    """Where gradmc keeps what it can make again: `$XDG_CACHE_HOME/gradmc`.

    Raises:
        RuntimeError: the user has no home directory.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "gradmc"


def shelf(word: str | None) -> "Shelf | None":
    """The shelf of a program with this digest; None where nothing is kept."""
    if word is None or os.environ.get("GRADMC_CACHE") == "off":
        return None
    try:
        root = cache_root() / "programs"
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Shelf(root / word) if _is_private(root) else None
    except (OSError, RuntimeError):
        return None


class Shelf:
    """A folder of one program.

    Args:
        folder: it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.used = False  # whether something was taken from it

    def holds(self, name: str) -> bool:
        """Whether there is something under a name, be it damaged."""
        return (self.folder / name).exists()

    def take(self, name: str) -> bytes | None:
        """What is kept under a name; None where nothing is, or it is damaged."""
        try:
            if not _is_private(self.folder):
                return None
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        head = len(MAGIC) + hashlib.blake2b().digest_size
        body = content[head:]
        if content[:head] != MAGIC + hashlib.blake2b(name.encode() + b"\n" + body).digest():
            return None
        with suppress(OSError):
            os.utime(self.folder)
        self.used = True
        return body

    def put(self, name: str, body: bytes) -> None:
        """Keep something under a name; where that cannot be written, nothing is kept."""
        with suppress(OSError):
            fresh = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self.folder / f".{name}.{os.getpid()}-{threading.get_ident()}.partial"
            try:
                partial.write_bytes(MAGIC + hashlib.blake2b(name.encode() + b"\n" + body).digest() + body)
                os.replace(partial, self.folder / name)
            finally:
                partial.unlink(missing_ok=True)
            if fresh:
                _make_room(self.folder.parent)

    def facts(self) -> dict[str, Any] | None:
        """What is known of the program's trace."""
        body = self.take("facts")
        return None if body is None else json.loads(body)

    def put_facts(self, facts: dict[str, Any]) -> None:
        """Keep what is known of the program's trace, if JSON gives it back as it is."""
        with suppress(TypeError, ValueError):
            body = json.dumps(facts).encode()
            if json.loads(body) == facts:
                self.put("facts", body)

    def clear(self) -> None:
        """Forget everything about the program."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.used = False


def _is_private(folder: Path) -> bool:
    """Whether nobody but the user can have written there."""
    found = folder.stat()
    own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return own and not found.st_mode & 0o022


def _make_room(root: Path) -> None:
    """Delete the folders that were not used for longest, where there are too many or they are too large."""
    aged = sorted(_folders(root), reverse=True)
    room = MOST_BYTES
    for k, (_, size, folder) in enumerate(aged):
        room -= size
        if k > 0 and (k >= MOST or room < 0):
            shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> Iterator[tuple[float, int, Path]]:
    for folder in root.iterdir():
        with suppress(OSError):
            yield folder.stat().st_mtime, sum(file.stat().st_size for file in folder.iterdir()), folder
