"""Where files of results lie: a directory, or an address that fsspec knows (`s3://...`, `memory://...`)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from gradmc.errors import UsageError
from gradmc.results.files import StorageError, atomic_write, storage_errors
from gradmc.results.lock import locked


class Place(Protocol):
    """Whole files by name; names may have slashes."""

    def write(self, name: str, content: bytes) -> None:
        """Replace a file in one step."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder."""
        ...

    def remove(self, folder: str) -> None:
        """Delete a folder and all in it."""
        ...

    def open(self, name: str) -> Any:
        """What xarray opens for a Zarr store in a folder."""
        ...

    def alone(self, folder: str) -> AbstractContextManager[Any]:
        """Keep other processes from writing to a folder meanwhile, where that can be done."""
        ...


class Folder:
    """A directory of this machine. A file is whole or absent; a power failure may cost the last ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file in one step."""
        path = self.path / name
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content, durable=False)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder."""
        place = self.path / folder
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def remove(self, folder: str) -> None:
        """Delete a folder and all in it."""
        import shutil

        shutil.rmtree(self.path / folder, ignore_errors=True)

    def open(self, name: str) -> Any:
        """The path of a folder."""
        return str(self.path / name)

    def alone(self, folder: str) -> AbstractContextManager[Any]:
        """Keep other processes from writing to a folder meanwhile.

        Raises:
            ResumeError: another process does.
        """
        path = self.path / folder / "lock"
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return locked(path)


OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""Protocols of stores that have no folders. To make one is to make a bucket, which only its owner should."""


class Address:
    """A place that fsspec knows; a file there is whole or absent, as object stores have it."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise UsageError(f"{url} needs fsspec: `pip install 'gradmc[cluster]'`") from None
        try:
            self._files, self._root = fsspec.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"cannot use {url}: {error}") from None
        self.url = url.rstrip("/")
        self._flat = url.partition("://")[0] in OBJECT_STORES
        self._made: set[str] = set()  # folders

    def write(self, name: str, content: bytes) -> None:
        """Replace a file.

        Raises:
            StorageError: the store refuses, or has no such bucket.
        """
        with self._refusals(name, absent=True):
            folder = self._path(name).rpartition("/")[0]
            if not self._flat and folder not in self._made:
                self._files.makedirs(folder, exist_ok=True)
                self._made.add(folder)
            self._files.pipe_file(self._path(name), content)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        with self._refusals(name), suppress(FileNotFoundError):
            return self._files.cat_file(self._path(name))
        return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder."""
        found: list[Any] = []
        with self._refusals(folder), suppress(FileNotFoundError):
            found = self._files.ls(self._path(folder), detail=False)
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def all_names(self) -> list[str]:
        """The names of all files, those in folders included."""
        self._files.invalidate_cache()
        found: list[Any] = []
        with self._refusals(""), suppress(FileNotFoundError):
            found = self._files.find(self._root)
        return sorted(str(path).removeprefix(self._root.rstrip("/")).lstrip("/") for path in found)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._refusals(name), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def remove(self, folder: str) -> None:
        """Delete a folder and all in it."""
        self._made.clear()
        with self._refusals(folder):
            if self._files.exists(self._path(folder)):
                self._files.rm(self._path(folder), recursive=True)

    def open(self, name: str) -> Any:
        """The store as zarr knows it."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(f"{self.url}/{name}", read_only=True)

    def alone(self, folder: str) -> AbstractContextManager[Any]:
        """Stores of objects have no locks."""
        return nullcontext()

    @contextmanager
    def _refusals(self, name: str, *, absent: bool = False) -> Iterator[None]:
        """Turn what a store raises into advice: errors of the operating system, and those of its own libraries.

        That there is no such file is left to the caller, unless `absent` says that this is an error too.
        """
        try:
            yield
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not absent:
                raise
            why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
            raise StorageError(f"cannot use {self.url}/{name}: {why}") from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def is_address(place: Path | str) -> bool:
    """Whether a place is an address and no path."""
    return not isinstance(place, Path) and "://" in place


def place_of(given: Path | str) -> Place:
    """The place that a user names: a path, or an address with `://`."""
    return Address(str(given)) if is_address(given) else Folder(Path(given))
