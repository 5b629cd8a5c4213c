"""Progress for other processes: the board as a small file, for `gradmc status`."""

import json
from dataclasses import asdict
from pathlib import Path

from gradmc.results.files import StorageError, atomic_write
from gradmc.results.manifest import now
from gradmc.results.sealed import seal
from gradmc.run.progress import ChainStatus, Display
from gradmc.run.progress_json import encode


class FileProgress(Display):
    """Writes the board to a file, at most every two seconds, and passes everything on to another display.

    Args:
        path: the file.
        shown: the display that people see.
    """

    interval = 2.0

    def __init__(self, path: Path, shown: Display) -> None:
        super().__init__()
        self._path = path
        self._shown = shown

    def start(self, chains: int) -> None:
        """The run begins."""
        super().start(chains)
        self._shown.start(chains)

    def note(self, text: str) -> None:
        """Say something in words."""
        self._shown.note(text)

    def update(self, status: ChainStatus) -> None:
        """A chain has finished a chunk."""
        self._shown.update(status)
        super().update(status)

    def show_ess(self, ess: float) -> None:
        """The smallest bulk effective sample size so far."""
        self._shown.show_ess(ess)
        super().show_ess(ess)

    def close(self) -> None:
        """The run is over."""
        self._shown.close()
        super().close()

    def draw(self, *, final: bool) -> None:
        """Write the file; a disk that does not take it is reported by whoever writes draws."""
        if not self.board.statuses:
            return
        content = {
            "updated": now(),
            "seconds": round(self.board.elapsed(), 3),
            "ess": self.board.ess,
            "chains": [
                {**asdict(status), "seconds_left": self.board.seconds_left(status.chain)}
                for status in self.board.ordered()
            ],
        }
        try:
            sealed = seal(json.loads(encode(content)))
            atomic_write(self._path, json.dumps(sealed).encode(), durable=False)
        except StorageError:
            return
