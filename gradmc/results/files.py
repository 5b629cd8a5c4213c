"""Writing files so that a reader, or a crash, sees the old content or the new one and nothing between."""

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from gradmc.errors import GradmcError, UsageError


class StorageError(GradmcError):
    """The output directory cannot be written any more; what is stored is safe and the run can be resumed."""

    exit_code: ClassVar[int] = 75


def atomic_write(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file in one step, whatever other processes and threads write to it meanwhile.

    Args:
        path: the file.
        content: its new content.
        durable: also survive a power failure, at the price of waiting for the disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    with storage_errors(path):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync([path.parent])


def make_parents(path: Path, root: Path) -> None:
    """Create the directories that lead from `root` to a file, but never `root` itself."""
    with storage_errors(root / path.name):
        if not root.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the directory is gone", str(root))
        path.parent.mkdir(parents=True, exist_ok=True)


def sync(paths: Iterable[Path]) -> None:
    """Wait until files or directories are on the disk."""
    for path in paths:
        with storage_errors(path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into advice."""
    try:
        yield
    except OSError as error:
        raise StorageError(_advice(path, error)) from error


@contextmanager
def chosen_file(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into advice, for a file that the user has chosen."""
    try:
        yield
    except (OSError, StorageError) as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        reason = getattr(cause, "strerror", None) or str(cause)
        raise UsageError(
            f"cannot write {path}: {reason}; make room or get permission, or choose another file"
        ) from error


def _advice(path: Path, error: OSError) -> str:
    resumable = "Everything stored so far is safe; remove the cause, then `gradmc resume` the run."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: cannot write {path}. {resumable}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {path} ({error.strerror}). {resumable}"
    if error.errno == errno.ENOENT:
        return f"{path.parent} has vanished during the run; restore it and resume, or start again"
    return f"cannot write {path}: {error.strerror}. {resumable}"
