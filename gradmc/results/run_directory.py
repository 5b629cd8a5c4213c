"""The directory of a run.

config.toml      the configuration as given
manifest.json    what is needed to repeat the run, and where it stands
draws.zarr/      the draws
state/           checkpoints and the lock
summary.json     summary table and checks
report.html      the page about it all, where `gradmc report` has made one
log.jsonl        what happened when
given            model, data and starting points, where a call in Python began the run
"""

import errno
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradmc.errors import ResumeError, UsageError
from gradmc.results.files import atomic_write, storage_errors
from gradmc.results.lock import holder
from gradmc.results.manifest import check_manifest
from gradmc.results.sealed import seal

CONTENT = (
    "config.toml",
    "manifest.json",
    "draws.zarr",
    "summary.json",
    "log.jsonl",
    "report.html",
    "predictions.zarr",
    "given",
)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run, and its small files.

    Args:
        path: the directory.
        address: where it is, if the directory is only a copy (`gradmc.results.mirror`).
        writer: of a copy: the process that writes at the address, if there is one.
    """

    path: Path
    address: str | None = None
    writer: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.address or str(self.path)

    @property
    def published(self) -> Path | str:
        """The draws, for those who read them later: not in a copy, which does not stay."""
        return self.draws if self.address is None else f"{self.address}/{self.draws.name}"

    def owner(self) -> dict[str, Any] | None:
        """The process that writes the run now, or None if there is none."""
        return holder(self.lock) if self.address is None else self.writer

    @property
    def config(self) -> Path:
        """The configuration as given."""
        return self.path / "config.toml"

    @property
    def manifest(self) -> Path:
        """What is needed to repeat the run."""
        return self.path / "manifest.json"

    @property
    def draws(self) -> Path:
        """The Zarr store."""
        return self.path / "draws.zarr"

    @property
    def state(self) -> Path:
        """Checkpoints and the lock."""
        return self.path / "state"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.state / "lock"

    @property
    def progress(self) -> Path:
        """Where the chains are, for other processes."""
        return self.state / "progress.json"

    @property
    def summary(self) -> Path:
        """Summary table and checks."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """What happened when."""
        return self.path / "log.jsonl"

    @property
    def given(self) -> Path:
        """What a call in Python gave to the run."""
        return self.path / "given"

    def exists(self) -> bool:
        """Whether there is a run in the directory."""
        return self.manifest.is_file()

    def occupied(self) -> bool:
        """Whether there is anything in the directory."""
        return self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))

    def barely_begun(self) -> bool:
        """Whether a run was ended here before it wrote its manifest, and left nothing that could be missed."""
        beginnings = {"state", "config.toml"}
        return self.lock.is_file() and all(
            path.name in beginnings or path.name.endswith(".partial") for path in self.path.iterdir()
        )

    def prepare(self) -> None:
        """Create the directory and the one for checkpoints.

        Raises:
            UsageError: it cannot be created or written.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            if not os.access(self.state, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"cannot write to the run directory {self.path}: {reason}; "
                "make room or get permission, or choose another one with --output.dir"
            ) from None

    def clear(self) -> None:
        """Delete what an earlier run left, but nothing else; the lock stays."""
        with storage_errors(self.path):
            for name in CONTENT:
                target = self.path / name
                if target.is_dir():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
            for left in (*self.state.glob("chain-*"), self.state / "warm_start", self.progress):
                left.unlink(missing_ok=True)

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Replace a small JSON file in one step, sealed by a checksum."""
        text = json.dumps(seal(content), indent=2)
        atomic_write(path, (text + "\n").encode())

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            UsageError: this is not a run directory.
            ResumeError: the manifest is damaged, gone, or of a newer version of gradmc.
        """
        try:
            content = json.loads(self.manifest.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            if (self.path / "fits").is_dir():
                raise UsageError(
                    f"{self.name} holds the fits of many data sets (`gradmc sample-many`), which are no run; read "
                    f"{self.draws} with xarray.open_datatree"
                ) from None
            if (self.draws / "zarr.json").exists() or self.log.exists():
                raise ResumeError(f"{self.manifest} is gone; restore it, or start a new run") from None
            raise UsageError(
                f"{self.name} is not a run directory (it has no manifest.json); "
                "expected the output directory of `gradmc sample`"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ResumeError(f"cannot read {self.manifest}: {error}; restore it, or start a new run") from None
        check_manifest(content, self.manifest)
        return content

    def refuse_absent(self) -> None:
        """Refuse a place where there is no run.

        Raises:
            UsageError, ResumeError: as `read_manifest`.
        """
        if not self.path.exists():
            what = "directory" if self.address is None else "run"
            raise UsageError(f"no such {what}: {self.name}; expected the output directory of `gradmc sample`")
        self.read_manifest()

    def refuse_lost_draws(self, *, complete: bool = False) -> None:
        """Refuse a run whose draws were published, as is known of a `complete` one, and are no longer.

        Raises:
            ResumeError: the file that publishes them is gone.
        """
        from gradmc.results.checkpoint import tell_of_draws

        published = self.draws / "zarr.json"
        if not published.is_file() and (complete or tell_of_draws(self.state)):
            raise ResumeError(f"{published} is gone; restore it, or start a new run")

    def note(self, event: str, **details: Any) -> None:
        """Append a line to the log."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(), "event": event, **details}, default=str)
        with storage_errors(self.log), open(self.log, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def open_run(path: Path | str) -> RunDirectory:
    """The run in a directory that must exist."""
    run = RunDirectory(Path(path))
    run.refuse_absent()
    return run
