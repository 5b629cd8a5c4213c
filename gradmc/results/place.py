"""Where files of results lie: a directory, or an address that fsspec knows (`s3://...`, `memory://...`)."""

from pathlib import Path
from typing import Any, Protocol

from gradmc.errors import UsageError
from gradmc.results.files import atomic_write, storage_errors


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

    def write(self, name: str, content: bytes) -> None:
        """Replace a file."""
        with storage_errors(Path(self._path(name))):
            self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(self._path(name), content)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        try:
            return self._files.cat_file(self._path(name))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder."""
        try:
            found = self._files.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def remove(self, folder: str) -> None:
        """Delete a folder and all in it."""
        if self._files.exists(self._path(folder)):
            self._files.rm(self._path(folder), recursive=True)

    def open(self, name: str) -> Any:
        """The store as zarr knows it."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(f"{self.url}/{name}", read_only=True)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def place_of(given: Path | str) -> Place:
    """The place that a user names: a path, or an address with `://`."""
    return Address(str(given)) if "://" in str(given) else Folder(Path(given))
