"""The manifest while a run is drawn: what two threads write, one after the other."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gradmc.results.manifest import now
from gradmc.results.run_directory import RunDirectory

PATIENCE = 1.0
"""Seconds for which the guard waits for the main thread to end a write."""


@dataclass(slots=True)
class Ledger:
    """The sessions of a run: the main thread writes them, and the guard (`gradmc.run.signals`) perhaps the ending.

    The guard ends the process wherever the main thread happens to be, in the middle of a write perhaps. So they take
    turns, and what the first of them writes as the ending is not written over.

    Args:
        run: its directory.
        manifest: changed here alone from now on.
    """

    run: RunDirectory
    manifest: dict[str, Any]
    _began: float = field(default_factory=time.monotonic)
    _closed: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def open(self, command: Sequence[str], *, resume: bool, **details: Any) -> None:
        """Write that a session begins; until it is closed, the manifest says that it was killed."""
        session = {"began": now(), "command": list(command), "ending": "killed"}
        self.write(status="running", sessions=[*self.manifest["sessions"], session])
        self.run.note("resume" if resume else "start", **details)

    def write(self, **entries: Any) -> None:
        """Change entries of the manifest, in memory and on disk."""
        with self._turn:
            if not self._closed:
                self.manifest |= entries
                self.run.write_json(self.run.manifest, self.manifest)

    def close(self, ending: str, detail: str) -> None:
        """Write how the session ended, once."""
        if not self._turn.acquire(timeout=PATIENCE):
            return
        try:
            if self._closed:
                return
            self._closed = True
            self.manifest["status"] = ending
            self.manifest["seconds"] += time.monotonic() - self._began
            self.manifest["sessions"][-1] |= {"ending": ending, "detail": detail, "ended": now()}
            if self.run.path.is_dir():
                self.run.write_json(self.run.manifest, self.manifest)
                self.run.note("end", ending=ending, detail=detail)
        finally:
            self._turn.release()
