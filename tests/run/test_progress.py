"""Displays: rarely drawn, complete, and readable in logs, terminals, programs and notebooks."""

import io
import json
import re
import sys
import threading
import time
import types

import pytest
from rich.console import Console

from gradmc.errors import UsageError
from gradmc.run.displays import choose_display, in_notebook
from gradmc.run.progress import Board, ChainStatus, Display, Phase, duration
from gradmc.run.progress_notebook import page
from gradmc.run.progress_rich import table


def run_chains(display: Display, chains: int = 2, chunks: int = 20) -> None:
    display.start(chains)
    display.note("compiling")
    for k in range(1, chunks + 1):
        for chain in range(chains):
            phase: Phase = "done" if k == chunks else "sampling" if 2 * k > chunks else "warmup"
            display.update(ChainStatus(chain, phase, 10 * k, 10 * chunks, chain, 0.25, 70 * k))
        display.show_ess(9.0 * k)
    display.close()


class Counting(Display):
    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def draw(self, *, final: bool) -> None:
        self.drawn.append(time.monotonic())


def test_drawing_is_throttled_and_thread_safe() -> None:
    display = Counting()
    display.interval = 0.05
    display.start(4)

    def chain(number: int) -> None:
        for k in range(3000):
            display.update(ChainStatus(number, "sampling", k, 3000))

    threads = [threading.Thread(target=chain, args=(number,)) for number in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    display.close()
    assert len(display.drawn) <= (time.monotonic() - began) / 0.05 + 2
    assert len(display.board.statuses) == 4


@pytest.mark.parametrize("kind", ["rich", "plain", "json", "notebook"])
def test_no_display_draws_five_times_a_second(kind: str) -> None:
    assert choose_display(kind, io.StringIO()).interval >= 0.25


def test_plain_lines() -> None:
    stream = io.StringIO()
    run_chains(choose_display("plain", stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiling"
    assert "100%" in lines[-1]
    assert "draws 200/200 200/200" in lines[-1]
    assert "divergences 1" in lines[-1]
    assert "ESS 180" in lines[-1]
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_json_lines_have_no_nan() -> None:
    stream = io.StringIO()
    display = choose_display("json", stream)
    display.start(1)
    display.update(ChainStatus(0, "warmup", 0, 10))
    display.close()
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert last["chains"][0]["step_size"] is None
    assert last["chains"][0]["seconds_left"] is None


def test_rich_leaves_the_last_table() -> None:
    stream = io.StringIO()
    run_chains(choose_display("rich", stream))
    text = stream.getvalue()
    assert "200/200" in text
    assert "compiling" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_rich_tables_fit_the_terminal(width: int) -> None:
    board = Board()
    for chain in range(16):
        board.put(ChainStatus(chain, "sampling", 123_456, 200_000, 1234, 0.000123, 12_345_678))
    console = Console(file=io.StringIO(), width=width)
    console.print(table(board, width))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 18  # a title, the chains and a caption: nothing is folded
    assert all("123456/200000" in line and "1234 " in line for line in lines[1:17])
    assert "…" not in console.file.getvalue()
    assert ("leapfrogs" in lines[0]) == (width >= 80)


class Closed(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError(text)


@pytest.mark.parametrize("kind", ["rich", "plain", "json"])
def test_displays_outlive_their_stream(kind: str) -> None:
    run_chains(choose_display(kind, Closed()))


def test_notebook_html_is_static() -> None:
    board = Board()
    board.put(ChainStatus(0, "warmup", 5, 10, 1, 0.5, 40))
    board.put(ChainStatus(1, "done", 10, 10, 0, 0.5, 80))
    html = page(board, "a < b")
    assert "5/10" in html
    assert "a &lt; b" in html
    assert "<script" not in html
    assert len(re.findall("<tr>", html)) == 3


def test_auto_fits_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(choose_display("auto", io.StringIO())).__name__ == "PlainProgress"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert type(choose_display("auto", terminal)).__name__ == "RichProgress"
    monkeypatch.setenv("TERM", "dumb")
    assert type(choose_display("auto", terminal)).__name__ == "PlainProgress"
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()


def test_yes_and_no_are_kinds_too() -> None:
    assert type(choose_display(False)).__name__ == "NoProgress"
    assert type(choose_display(True, io.StringIO())).__name__ == "PlainProgress"


def test_unknown_displays_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown progress display 'loud'; choose one of auto, rich"):
        choose_display("loud")


def test_time_left_counts_from_where_and_when_a_chain_came_into_view() -> None:
    board = Board()
    board.put(ChainStatus(0, "sampling", 900, 1000))
    assert board.seconds_left(0) is None
    since, done = board.first[0]
    board.first[0] = since - 10.0, done
    board.began -= 100.0  # ninety seconds of compiling
    board.put(ChainStatus(0, "sampling", 950, 1000))
    assert board.seconds_left(0) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (0.25, "0.2 s"), (12.3, "12 s"), (187, "3:07"), (3753, "1:02:33")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
