"""Tasks on anybody's engine: a `concurrent.futures.Executor` (processes, threads, loky, ...) or a client of Dask.

gradmc schedules nothing itself. A task is a function of a module of gradmc and arguments that can be pickled; what
comes of it is an *outcome*, its result or the exception that it ended with. Few tasks wait at the engine at a time, so
that memory does not grow with their number.
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from gradmc.errors import UsageError
from gradmc.versions import python_version

MOST_WAITING = 128
"""Tasks that are with the engine at a time."""

LIBRARIES = ("gradmc", "jax", "jaxlib", "numpyro", "numpy")
"""Packages on whose versions draws may depend."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What came of a task.

    Attributes:
        result: what it returned.
        error: what it raised, or what became of its process; None where it returned.
    """

    result: Any = None
    error: BaseException | None = None


class Here(Executor):
    """Does each task at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def executor_of(given: Any) -> Executor:
    """The executor that a user gives: None stands for this thread.

    Args:
        given: a `concurrent.futures.Executor`, or anything with its `submit`; a `dask.distributed.Client`.

    Raises:
        UsageError: it is something else.
    """
    if given is None:
        return Here()
    if callable(getattr(given, "get_executor", None)):  # a client of Dask
        return given.get_executor(pure=False)
    if callable(getattr(given, "submit", None)):
        return given
    raise UsageError(
        "executor must be a concurrent.futures.Executor (a ProcessPoolExecutor, say) or a dask.distributed.Client; "
        f"got {given!r}"
    )


def outcomes(
    executor: Executor, function: Callable[..., Any], arguments: Iterable[Sequence[Any]]
) -> Iterator[tuple[int, TaskOutcome]]:
    """Outcomes of `function` for each of the arguments, with their numbers, as they come.

    Args:
        executor: where.
        function: of a module that others can import.
        arguments: made when their turn comes.
    """
    waiting: dict[Future[Any], int] = {}
    todo = enumerate(arguments)
    room = 1 if isinstance(executor, Here) else MOST_WAITING
    try:
        while True:
            while len(waiting) < room and (task := next(todo, None)) is not None:
                number, given = task
                try:
                    waiting[executor.submit(function, *given)] = number
                except Exception as error:  # the engine takes no more
                    yield number, TaskOutcome(error=error)
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), _outcome(future)
    finally:
        for future in waiting:
            future.cancel()


def _outcome(future: Future[Any]) -> TaskOutcome:
    try:
        error = future.exception()
    except CancelledError:
        error = ConnectionError("the task was cancelled: its scheduler or its workers are gone")
    return TaskOutcome(error=error) if error is not None else TaskOutcome(future.result())


def versions() -> dict[str, str]:
    """Versions on which draws may depend."""
    return {"python": python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def refuse_other_versions(wanted: Mapping[str, str]) -> None:
    """Refuse to work for a process with other versions; called first in a task.

    Raises:
        UsageError: naming them.
    """
    here = versions()
    differing = [f"{name} {here.get(name)} instead of {v}" for name, v in wanted.items() if here.get(name) != v]
    if differing:
        raise UsageError(
            f"a worker has {', '.join(differing)}: draws could differ; install the same versions on client and workers"
        )
