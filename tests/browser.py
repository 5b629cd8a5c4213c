"""A headless Chromium, driven over its debugging pipe: pages, console, scripts, screenshots."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
MISSING = "no Chromium is installed (Debian: apt-get install chromium); the other tests of the page run"
READ, WRITE = 3, 4  # the descriptors that Chromium takes commands from and answers to


class Page:
    """One page: commands by the names of the DevTools protocol, and what its console said."""

    def __init__(self, send: int, receive: int) -> None:
        self.send, self.receive = send, receive
        self.buffer, self.number, self.session = b"", 0, None
        self.errors: list[str] = []
        self.events: set[str] = set()

    def call(self, method: str, **parameters: Any) -> Any:
        """Give a command and wait for its answer."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            command["sessionId"] = self.session
        os.write(self.send, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self.number:
                assert "error" not in message, message["error"]
                return message["result"]

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            piece = os.read(self.receive, 1 << 16)
            assert piece, "Chromium has ended"
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        name, parameters = message.get("method"), message.get("params", {})
        self.events |= {name}
        if name == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        if name == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(str(parameters["args"]))
        if name == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])
        return message

    def open(self, address: str, width: int = 1200, height: int = 800) -> None:
        """Load a page at a size, and wait until it has."""
        self.errors.clear()
        self.events.clear()
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self.events:
            self._message()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is to be seen, as a PNG; on request the whole page."""
        more = {"captureBeyondViewport": True} if whole else {}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"]))


@contextmanager
def chromium() -> Iterator[Page]:
    """A page of a browser that lives as long as the block."""
    assert CHROMIUM is not None, MISSING
    commands, send = os.pipe()
    receive, answers = os.pipe()
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
    script = f'exec {READ}<&"$0" {WRITE}>&"$1"; shift; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, str(commands), str(answers), *command],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    page = Page(send, receive)
    try:
        target = page.call("Target.createTarget", url="about:blank")["targetId"]
        page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        yield page
    finally:
        process.terminate()
        process.wait(30)
        os.close(send)
        os.close(receive)
