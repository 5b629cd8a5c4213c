"""Sampling in the background: `handle = gm.start(...)` looks, stops, extends and waits, and blocks nothing else."""

import functools
import html
import inspect
import threading
from typing import Any

from gradmc.arguments import check_whole
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.printable import printable
from gradmc.results.reading import open_draws
from gradmc.run.progress import ChainStatus, Display, duration
from gradmc.sample import prepared, sample
from gradmc.session import Job, Session


class Handle:
    """A run of `gm.start`.

    Printed, or shown by a notebook, it says where each chain stands.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._session = Session(watched=True)
        self._lock = threading.Lock()
        self._asked = job.work.settings.draws
        self._active = True
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = self._started()

    @property
    def running(self) -> bool:
        """Whether draws are being made."""
        return self._active

    @property
    def chains(self) -> list[ChainStatus]:
        """Where each chain stood after its last chunk; empty before the first."""
        return self._display.board.ordered()

    @property
    def _display(self) -> Display:
        return self._job.display

    def draws(self) -> Any:
        """The draws that all chains have so far, as a DataTree; the run goes on.

        Raises:
            UsageError: there are none yet.
        """
        run, store = self._session.run, self._session.store
        if run is None and store is not None and store.lengths(False).any():
            return store.to_datatree()
        if run is not None and (run.draws / "zarr.json").exists():
            return open_draws(run.draws)
        if run is not None and not self._active:  # at an address; the copy that was worked on is gone
            return open_draws(run.published)
        raise UsageError("there are no draws after warmup yet; look again later, or wait for result()")

    def stop(self) -> None:
        """Let every chain finish its chunk and stop; what was drawn is kept, and `extend` goes on."""
        self._session.requests.received = "stop()"

    def extend(self, draws: int = 0) -> None:
        """Go on for so many draws per chain more than were asked for; 0 goes on with a run that was stopped.

        Raises:
            UsageError: `draws` is no whole number of at least 0.
        """
        check_whole("draws", draws, 0, 2**30)
        with self._lock:
            self._asked += draws
            if not self._active:
                self._session.requests.received = ""
                self._active = True
                self._thread = self._started()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end of the run, and give what `gm.sample` gives, or raise what it raises.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            TimeoutError: the run has not ended by then; it goes on.
        """
        self._thread.join(timeout)
        if self._active:
            raise TimeoutError(f"the run has not ended within {timeout} s; it goes on: {self!r}")
        if self._error is not None:
            raise self._error
        return self._result

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="gradmc", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        """Make all draws that are asked for, those that are asked for meanwhile too."""
        try:
            while True:
                with self._lock:
                    self._job = self._job.extended(self._asked - self._job.work.settings.draws)
                self._result, self._error = self._job.complete(self._session), None
                with self._lock:
                    if self._session.requests.received or self._asked == self._job.work.settings.draws:
                        self._active = False
                        return
        except BaseException as error:
            with self._lock:
                self._error, self._active = error, False

    def _state(self) -> str:
        if self.running:
            return "running" if self.chains else "compiling"
        if self._error is not None:
            return printable(f"failed: {type(self._error).__name__}: {self._error}")
        return "stopped; extend() goes on" if self._session.requests.received else "finished"

    def __repr__(self) -> str:
        lines = [f"<run of {self._job.work.settings.chains} chains: {self._state()}>"]
        for chain in self.chains:
            left = self._display.board.seconds_left(chain.chain) if self.running else None
            more = f", {duration(left)} left" if left else ""
            lines.append(
                f"chain {chain.chain}: {chain.phase} {chain.done}/{chain.total}, {chain.divergences} divergences{more}"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self.chains:
            return f"<div>{html.escape(repr(self))}</div>"
        from gradmc.run.progress_notebook import page

        return page(self._display.board, self._state())


@functools.wraps(sample)
def start(*args: Any, **kwargs: Any) -> Any:
    """Begin `gm.sample` in the background."""
    bound = inspect.signature(sample).bind(*args, **{"progress": "none", **kwargs})
    bound.apply_defaults()
    return Handle(prepared(bound.arguments))


start.__name__ = start.__qualname__ = "start"
start.__module__ = __name__
start.__doc__ = f"""Begin `gm.sample` in a thread of its own, and give a handle of it at once.

    The arguments are those of `gm.sample`, and are checked before this returns. The handle says where the chains
    stand (`print(handle)`), gives the draws so far (`handle.draws()`), stops and extends the run (`handle.stop()`,
    `handle.extend(1000)`), and waits for it (`handle.result()`). Progress is not shown beside it unless asked for
    (`progress="notebook"`).

    Args:{(sample.__doc__ or "").partition("Args:")[2].partition("    Returns:")[0]}
    Returns:
        A `gm.Handle`.

    Raises:
        UsageError, ProgramError: as `gm.sample`, before the run begins; what is raised later comes from `result()`.
    """
start = explaining(start)
