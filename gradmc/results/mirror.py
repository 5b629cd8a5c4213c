"""Runs at an address that fsspec knows (`s3://bucket/run`): worked on in a copy here, whose files are carried there.

Object stores have no locks, no renames, and no files that grow; a run needs all three while it is written. So it is
written to a directory of this machine, and its files are put to the address one by one, whole, as it goes on.

Order makes what is there a run at every moment. Files that say what counts (checkpoints, manifest, the metadata of the
draws) are read before the draws are, and put after them: whatever they speak of is there. So a reader sees the draws of
some moment, and a run whose machine is lost goes on from its last checkpoint that was put.

One object, `writer.json`, names the process that writes, and is renewed as long as it does. That is an agreement and no
lock: who finds it fresh and not his own stays away, or stops.
"""

import itertools
import json
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradmc.errors import ResumeError
from gradmc.results.files import StorageError
from gradmc.results.place import Address, is_address
from gradmc.results.run_directory import RunDirectory
from gradmc.results.zarr_format import LENGTHS

PUT_SECONDS = 10.0
"""From one time that files are put to the next."""
STALE_SECONDS = 120.0
"""A writer who has not been heard of for so long is taken to be dead; on another machine the clock may differ."""
WRITER, MANIFEST = "writer.json", "manifest.json"
DRAWS, ROOT = "draws.zarr/", "draws.zarr/zarr.json"
"""Says how many draws there are."""
CONTENT = 4
"""Rank of files that speak of no others."""
AT_ONCE = 8
"""Files that are on their way at the same time."""
STAYS = ("lock",)
"""Files that mean something on this machine alone."""


@contextmanager
def reading(place: Path | str, *, draws: bool = True) -> Iterator[RunDirectory]:
    """The run at a place, to be read: where it is, or a copy of it, which is deleted in the end.

    Args:
        place: a directory or an address.
        draws: whether a copy has to have the draws.

    Raises:
        UsageError: there is none.
        ResumeError: its manifest is damaged or gone.
    """
    if not is_address(place):
        run = RunDirectory(Path(place))
        run.refuse_absent()
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="gradmc-") as folder:
        mirror = Mirror(Address(str(place)), Path(folder) / "run")
        mirror.fetch(draws=draws)
        run = RunDirectory(mirror.path, address=mirror.place.url, writer=mirror.other_writer())
        run.refuse_absent()
        yield run


@contextmanager
def writing(place: Path | str) -> Iterator[RunDirectory]:
    """The run at a place, to be begun or gone on with: where it is, or a copy, whose files are put there as it grows.

    Raises:
        ResumeError: another process writes there.
        StorageError: in the end files cannot be put; the copy then stays.
    """
    if not is_address(place):
        yield RunDirectory(Path(place))
        return
    folder = Path(tempfile.mkdtemp(prefix="gradmc-"))
    mirror = Mirror(Address(str(place)), folder / "run")
    try:
        with mirror.claimed():
            mirror.fetch()
            with mirror.carrying():
                yield RunDirectory(mirror.path, address=mirror.place.url)
    finally:
        if not mirror.lagging:
            shutil.rmtree(folder, ignore_errors=True)


type Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that was read.

    Attributes:
        stamp: changes whenever the file does.
        content: what is in it.
    """

    stamp: Stamp
    content: bytes


class Mirror:
    """A directory and its copy at an address.

    Args:
        place: the address.
        path: the directory; it need not exist.

    Attributes:
        lagging: whether the directory has what could not be put to the address.
    """

    def __init__(self, place: Address, path: Path) -> None:
        self.place = place
        self.path = path
        self._token = uuid.uuid4().hex
        self._since = datetime.now(UTC).isoformat()
        self._put: dict[str, Stamp] = {}
        self._lengths: dict[str, list[int]] = {}
        self._there: set[str] = set()
        self._over = threading.Event()
        self._renewed = 0.0
        self._begun = False
        self.lagging = False

    def fetch(self, *, draws: bool = True) -> None:
        """Copy what is at the address to the directory, unless that was begun and has no manifest yet."""
        names = [name for name in self.place.all_names() if name != WRITER]
        self._there = set(names)
        if self._begun and MANIFEST not in names:
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for group in _by_rank(name for name in names if draws or not name.startswith(DRAWS)):
                list(pool.map(self._fetch, group))

    def _fetch(self, name: str) -> None:
        content = self.place.read(name)
        if content is None:
            return
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._noted(name, FileContent(_stamp(path), content))

    def other_writer(self) -> dict[str, Any] | None:
        """The process that writes at the address, if it is another one and seems to live."""
        owner = self._writer()
        age = time.time() - owner.get("renewed", 0.0)
        return owner if owner.get("token") != self._token and age < STALE_SECONDS else None

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Say that this process writes at the address, while the context lasts.

        Raises:
            ResumeError: another one does.
        """
        self._refuse_other()
        self._begun = self._writer().get("begun", False)
        self._renew()
        try:
            self._refuse_other()  # of two that begin at the same moment the last one goes on
            yield
        finally:
            with suppress(StorageError):
                self._release()

    def _release(self) -> None:
        if self._writer().get("token") != self._token:
            return
        if self.lagging:
            self._renew(over=True)
        else:
            self.place.delete(WRITER)

    def put(self) -> None:
        """Put what has changed since the last time.

        Raises:
            ResumeError: another process writes at the address by now.
            StorageError: the address takes no files.
        """
        self._refuse_other()
        self._begun = (self.path / MANIFEST).exists()
        self._renew()
        groups = _by_rank(name for name in self._names() if self._put.get(name) != _stamp(self.path / name))
        read = {name: self._read(name) for group in groups for name in group if _rank(name) < CONTENT}
        if self._fewer_draws(read.get(ROOT)):
            self._write(ROOT, read[ROOT])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for group in reversed(groups):
                list(pool.map(lambda name: self._write(name, read[name] if name in read else self._read(name)), group))
        names = set(self._names())
        for name in self._there - names:
            self.place.delete(name)
        self._there = names

    @contextmanager
    def carrying(self) -> Iterator[None]:
        """Put files now and then while the context lasts, and all in the end."""
        thread = threading.Thread(target=self._carry, name="gradmc carries files", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            if self.path.is_dir():
                self._put_all()

    def _carry(self) -> None:
        while not self._over.wait(PUT_SECONDS):
            with suppress(StorageError, ResumeError):  # it is tried again, and told at last, in the end
                self.put()

    def _put_all(self) -> None:
        try:
            self.put()
        except StorageError as error:
            self.lagging = True
            raise StorageError(f"{error}. The run is kept in {self.path}: `gradmc resume` goes on there") from error

    def _names(self) -> list[str]:
        found = (path for path in self.path.rglob("*") if path.is_file() and path.name not in STAYS)
        return [path.relative_to(self.path).as_posix() for path in found if not path.name.endswith(".partial")]

    def _read(self, name: str) -> FileContent | None:
        """A file as it is now; None if it has gone meanwhile."""
        stamp = _stamp(self.path / name)
        try:
            return FileContent(stamp, (self.path / name).read_bytes())
        except FileNotFoundError:
            return None

    def _write(self, name: str, file: FileContent | None) -> None:
        if file is not None:
            if time.monotonic() - self._renewed > PUT_SECONDS:
                self._renew()
            self.place.write(name, file.content)
            self._noted(name, file)

    def _noted(self, name: str, file: FileContent) -> None:
        """Remember what is at the address."""
        self._put[name] = file.stamp
        if name == ROOT:
            self._lengths = _lengths_of(file.content)

    def _fewer_draws(self, root: FileContent | None) -> bool:
        """Whether draws at the address are to be forgotten: then they must not be spoken of once they are gone."""
        now = {} if root is None else _lengths_of(root.content)
        pairs = (zip(now[kind], self._lengths.get(kind, now[kind]), strict=True) for kind in now)
        return any(length < before for pair in pairs for length, before in pair)

    def _refuse_other(self) -> None:
        owner = self.other_writer()
        if owner is not None:
            raise ResumeError(
                f"{self.place.url} is in use by process {owner.get('pid')} on {owner.get('host')}, since "
                f"{owner.get('since')}; wait for it, or stop it; if it is dead, try again in {STALE_SECONDS:.0f} s"
            )

    def _writer(self) -> dict[str, Any]:
        """What `writer.json` says; nothing if it is not there, or is something else."""
        try:
            found = json.loads(self.place.read(WRITER) or b"{}")
            return found if isinstance(found["renewed"], float) else {}
        except (ValueError, TypeError, KeyError):
            return {}

    def _renew(self, *, over: bool = False) -> None:
        told = {
            "token": self._token,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": self._since,
            "renewed": 0.0 if over else time.time(),
            "begun": self._begun,  # whether files without a manifest are those of a run
        }
        self.place.write(WRITER, json.dumps(told).encode())
        self._renewed = time.monotonic()


def _rank(name: str) -> int:
    """The order in which files are read: each before those that it speaks of. They are put the other way round."""
    if name == MANIFEST:
        return 0
    if name.startswith("state/"):
        return 1
    return 2 if name == ROOT else 3 if name.endswith("zarr.json") else CONTENT


def _by_rank(names: Iterable[str]) -> list[list[str]]:
    """Groups of files of the same rank, in its order."""
    return [list(group) for _, group in itertools.groupby(sorted(names, key=_rank), _rank)]


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _lengths_of(root: bytes) -> dict[str, list[int]]:
    """How many draws there are of each chain, in warmup and after it, by the metadata of a store."""
    try:
        return json.loads(json.loads(root)["attributes"][LENGTHS])
    except (ValueError, KeyError):
        return {}
