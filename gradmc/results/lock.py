"""One process at a time may write to a run directory.

The lock is the operating system's (`flock`), which vanishes with the process that holds it; the file only
says which process that is. A file left by a dead process is therefore taken over at once. Where a file system has no
locks, the file is believed as long as the process that it names lives on this machine, and a warning is given.
"""

import json
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradmc.errors import ResumeError
from gradmc.results.files import storage_errors


@contextmanager
def locked(path: Path) -> Iterator[dict[str, Any] | None]:
    """Hold the lock of a run directory; yields what a dead process left in it, if any.

    Args:
        path: the lock file.

    Raises:
        ResumeError: another process holds it.
    """
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        left = read_owner(path)
        if not _try_lock(descriptor, left):
            raise ResumeError(_who(path, left))
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
        with storage_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        yield left
        with storage_errors(path):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> dict[str, Any] | None:
    """The process that holds a lock now, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        owner = read_owner(path)
        return None if _try_lock(descriptor, owner, warn=False) else (owner or {})
    finally:
        os.close(descriptor)


def read_owner(path: Path) -> dict[str, Any] | None:
    """What the lock file says, or None if it says nothing."""
    try:
        owner = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) else None


def _try_lock(descriptor: int, owner: dict[str, Any] | None, *, warn: bool = True) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if warn:
            warnings.warn(
                f"this file system has no locks ({error.strerror}): see to it that only one process at a time works in "
                "a run directory",
                RuntimeWarning,
                stacklevel=2,
            )
        return not _lives(owner)
    return True


def _lives(owner: dict[str, Any] | None) -> bool:
    """Whether another process of this machine that a lock file names is there."""
    if not owner or owner.get("host") != socket.gethostname() or not isinstance(owner.get("pid"), int):
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _who(path: Path, owner: dict[str, Any] | None) -> str:
    who = "another process"
    if owner:
        who = f"process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')}"
    return f"{path.parent.parent} is in use by {who}; wait for it, or stop it, then try again"
