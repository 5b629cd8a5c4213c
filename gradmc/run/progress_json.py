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
                {**asdict(status), "seconds_left": self.board.seconds_left(status.chain)}
                for status in self.board.ordered()
            ]
            seconds = round(self.board.elapsed(), 3)
            self._line({"event": "progress", "seconds": seconds, "ess": self.board.ess, "chains": chains})

    def write(self, text: str) -> None:
        """Write one object with a sentence."""
        self._line({"event": "note", "seconds": round(self.board.elapsed(), 3), "text": text})

    def _line(self, content: dict[str, Any]) -> None:
        print(encode(content), file=self._stream, flush=True)


def encode(content: Any) -> str:
    """JSON without infinities and NaN."""
    return json.dumps(_finite(content))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
