"""Runs `gradmc` in forked processes that need not import anything, so that many can be started and killed.

Reads one JSON object per line: `arguments`, and perhaps `signals` (a list of [seconds, number]), a file `after` whose
writing starts the clock of the signals, `chunk_seconds`, `grace` in place of that after SIGTERM, `every_chunk` for a
checkpoint after each, `full_after` for a disk that is full after so many files, `per_file` for one that takes so many
seconds for each, and `limit`, seconds after which the process is taken to hang (`wait`).
Answers with one JSON object per line: `code` (negative for a signal), `seconds`, `err`, `hung` (why it was killed, or
nothing).
"""

import errno
import faulthandler
import importlib
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from gradmc.cli.main import run
from gradmc.run import driver, recorder, signals

HARDLY = 1.0
"""Seconds of the processor: threads that look around now and then use less in two minutes."""

MOST = 10
"""Times its limit that a process may work."""

LONGEST_LOOK = 0.5
"""Seconds between two looks at a process; if there are more, this process could not look either."""

MODULES = ("gradmc.sample", "numpyro.distributions", "gradmc.cli.sampling", "xarray", "zarr", "arviz_stats")


def child(request: dict, stderr: int) -> None:
    """Become `gradmc`."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a test run may be started under nohup
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(stderr, 2)
    faulthandler.enable(stderr)
    driver.CHUNK_SECONDS = request.get("chunk_seconds", driver.CHUNK_SECONDS)
    signals.GRACE = request.get("grace", signals.GRACE)
    if request.get("every_chunk"):
        recorder.CHECKPOINT_SHARE = math.inf
    if "full_after" in request:
        fill_disk(request["full_after"])
    if "per_file" in request:
        slow_disk(request["per_file"])
    code = 1
    try:
        code = run(request["arguments"])
    finally:
        sys.stderr.flush()
        os._exit(code)


def fill_disk(after: int) -> None:
    """Let every file but the first `after` find the disk full."""
    replace, left = os.replace, [after]

    def replace_or_fail(source: str, target: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    os.replace = replace_or_fail


def slow_disk(seconds: float) -> None:
    """Let every file that takes another's place take so long."""
    replace = os.replace

    def replace_slowly(source: str, target: str) -> None:
        time.sleep(seconds)
        replace(source, target)

    os.replace = replace_slowly


def wait(pid: int, limit: float) -> tuple[int, str]:
    """The status of a process, and why it was killed if it had to be, because it did not end.

    It hangs if in `limit` seconds, in which this process could look at it, it writes nothing, and works all the time or
    hardly at all; or if it has worked `MOST` times as long. Where the machine is busy with other work, its disk is slow
    or it stands still altogether, a process may take long and be well.
    """
    looked = time.monotonic()
    waited, before = 0.0, (0.0, 0)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status, ""
        now = time.monotonic()
        waited, looked = waited + min(now - looked, LONGEST_LOOK), now
        if waited > limit:
            seconds, writes = worked(pid) - before[0], written(pid) - before[1]
            if (not writes and not HARDLY < seconds < limit / 2) or worked(pid) > MOST * limit:
                os.kill(pid, signal.SIGABRT)  # tells where its threads are
                time.sleep(1.0)
                os.kill(pid, signal.SIGKILL)
                return os.waitpid(pid, 0)[1], f"{seconds:.1f} s of work and {writes} writes in {waited:.0f} s"
            waited, before = 0.0, (worked(pid), written(pid))
        time.sleep(0.002)


def written(pid: int) -> int:
    """How often a process has written; never where that is not told."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.partition(":")[2]) for line in lines if line.startswith("syscw:"))


def worked(pid: int) -> float:
    """Seconds of the processor that a process has used; none where that is not told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_since(file: Path, begin: float) -> bool:
    """Whether the file was written after `begin`; it is absent for a moment whenever a new one takes its place."""
    try:
        return file.stat().st_mtime >= begin
    except FileNotFoundError:
        return False


def stop(pid: int, request: dict) -> int | None:
    """Send the signals; gives the status if the process ends before the last one."""
    begin = time.time()
    after = Path(request["after"]) if request.get("after") else None
    waiting = list(request["signals"])
    clock = None if after else time.monotonic()
    while waiting:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if clock is None and after is not None and written_since(after, begin):
            clock = time.monotonic()
        if clock is not None and time.monotonic() - clock >= waiting[0][0]:
            os.kill(pid, waiting.pop(0)[1])
        time.sleep(0.001)
    return None


def serve(request: dict) -> dict:
    """Run one process to its end."""
    assert threading.active_count() == 1
    with tempfile.TemporaryFile() as stderr:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(request, stderr.fileno())
        status, hung = stop(pid, request) if request.get("signals") else None, ""
        if status is None:
            status, hung = wait(pid, request.get("limit", math.inf))
        stderr.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": time.monotonic() - began,
            "err": stderr.read().decode(errors="replace"),
            "hung": hung,
        }


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
