"""Progress for programs: one JSON object per line."""

import json
import math
from dataclasses import asdict
from typing import Any, TextIO

from gradmc.run.progress import Display


class JsonProgress(Display):
    """Writes JSON lines to a stream.

    Args:
        stream: where to write.
    """

    interval = 1.0

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def draw(self, *, final: bool) -> None:
        """Write one object with the status of each chain."""
        if self.board.statuses:
            chains = [
                {**_finite(asdict(status)), "seconds_left": self.board.seconds_left(status.chain)}
                for status in self.board.ordered()
            ]
            self._line({"event": "progress", "seconds": round(self.board.elapsed(), 3), "chains": chains})

    def write(self, text: str) -> None:
        """Write one object with a sentence."""
        self._line({"event": "note", "seconds": round(self.board.elapsed(), 3), "text": text})

    def _line(self, content: dict[str, Any]) -> None:
        print(json.dumps(content), file=self._stream, flush=True)


def _finite(content: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in content.items()
    }
