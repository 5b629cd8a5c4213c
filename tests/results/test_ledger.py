"""Two threads write the manifest: what ends the process may come in the middle of another write."""

import json
import threading
from pathlib import Path

import pytest

from gradmc.results import ledger as module
from gradmc.results.ledger import Ledger
from gradmc.results.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def opened(run: RunDirectory) -> Ledger:
    ledger = Ledger(run, {"format": 1, "sessions": [], "seconds": 0.0})
    ledger.open(["gradmc", "sample"], resume=False)
    return ledger


def on_disk(run: RunDirectory) -> dict:
    return json.loads(run.manifest.read_bytes())


def test_a_session_was_killed_until_it_is_closed(run: RunDirectory) -> None:
    ledger = opened(run)
    assert on_disk(run)["sessions"][0]["ending"] == "killed"
    ledger.close("finished", "")
    assert on_disk(run)["sessions"][0]["ending"] == on_disk(run)["status"] == "finished"


def test_the_first_ending_stands(run: RunDirectory) -> None:
    ledger = opened(run)
    ledger.close("time", "the budget")
    ledger.write(status="running", more=1)
    ledger.close("failed", "")
    assert on_disk(run)["status"] == "time"
    assert "more" not in on_disk(run)


def test_an_ending_in_the_middle_of_writes_is_whole(run: RunDirectory) -> None:
    """The main thread writes, ever longer entries, and is met at a hundred moments."""
    for _ in range(100):
        ledger = opened(run)
        begun = threading.Event()

        def write(ledger: Ledger = ledger, begun: threading.Event = begun) -> None:
            for i in range(20):
                ledger.write(start={str(k): "x" * i for k in range(i)})
                begun.set()

        thread = threading.Thread(target=write)
        thread.start()
        begun.wait()
        ledger.close("time", "")
        assert on_disk(run)["status"] == "time"
        thread.join()
        assert on_disk(run)["status"] == "time"
        assert on_disk(run)["start"] == ledger.manifest["start"]


def test_an_ending_does_not_wait_for_a_disk_that_hangs(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    ledger, hang, let_go = opened(run), threading.Event(), threading.Event()
    write_json = RunDirectory.write_json

    def hanging(run: RunDirectory, path: Path, content: dict) -> None:
        hang.set()
        assert let_go.wait(60)
        write_json(run, path, content)

    monkeypatch.setattr(RunDirectory, "write_json", hanging)
    thread = threading.Thread(target=lambda: ledger.write(more=1))
    thread.start()
    assert hang.wait(60)
    ledger.close("time", "")
    assert on_disk(run)["status"] == "running"
    let_go.set()
    thread.join()
    assert on_disk(run)["sessions"][0]["ending"] == "killed"
