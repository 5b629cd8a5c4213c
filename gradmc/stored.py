"""A run that is kept on disk: prepared, run under the lock of its directory, and left in good order, whatever happens.

`gradmc sample` and `gm.sample(..., output=...)` share this; they differ in where the settings come from.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from gradmc.errors import UsageError
from gradmc.results.files import StorageError
from gradmc.results.labels import Labels
from gradmc.results.ledger import Ledger
from gradmc.results.manifest import run_of
from gradmc.results.plain_tree import read_plainly
from gradmc.results.run_directory import RunDirectory
from gradmc.results.verifying import verify
from gradmc.results.zarr_store import ZarrStore
from gradmc.run.approximations import explain_batches
from gradmc.run.described import run_attributes
from gradmc.run.losses import explain_losses
from gradmc.run.progress import Display
from gradmc.run.progress_file import FileProgress
from gradmc.run.recorded import RunEnd, StoredPosterior, run_recorded
from gradmc.run.remote import driving_on
from gradmc.run.seams import explain_seams
from gradmc.run.signals import Requests
from gradmc.run.warm_start import stored_adapted, warm_start
from gradmc.run.work import Work, prepare_results
from gradmc.selfcheck import Outcome as Checked
from gradmc.selfcheck import prepare_checked

SELF_CHECK = "self_check"
LATER = ("gradmc.diagnostics", "numpy.fft")
"""What the end of a run needs."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work on disk.

    Args:
        work: what is asked of the run.
        checkpoint_seconds: least time between two checkpoints of a chain.
        identity: hashes of everything outside the settings that the draws depend on.
        began: when the run did (`time.monotonic`).
        seconds: the time budget, or None.
        engine: what advances the chains (`gradmc.run.remote`), or None for this process.
    """

    work: Work
    checkpoint_seconds: float
    identity: dict[str, str]
    began: float
    seconds: float | None = None
    engine: Any = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who asks for a run, and who hears of it.

    Args:
        command: the command line.
        display: shows progress.
        requests: may ask the run to stop.
        warn: is told what needs a second look.
    """

    command: Sequence[str]
    display: Display
    requests: Requests
    warn: Callable[[str], None]


def refuse_occupied(run: RunDirectory, *, force: bool, resume: str, replace: str, elsewhere: str) -> None:
    """Refuse a directory that holds draws, or something that is not a run.

    Args:
        run: the directory.
        force: whether draws may be deleted.
        resume, replace, elsewhere: what to write to go on with the run, to delete it, or to choose another directory.

    Raises:
        UsageError: it holds such things.
    """
    if not run.occupied():
        return
    if not run.path.is_dir():
        raise UsageError(f"{run.name} is a file; choose another directory with {elsewhere}")
    if not run.exists() and not run.barely_begun():
        raise UsageError(f"{run.name} holds something that is not a run; choose another directory with {elsewhere}")
    if not force and any(run.draws.glob("*")):
        raise UsageError(
            f"{run.name} holds a run already; use {resume} to go on with it, {replace} to delete it, "
            f"or choose another directory with {elsewhere}"
        )


def execute(run: RunDirectory, manifest: dict[str, Any], task: Task, around: Surroundings, *, resume: bool) -> RunEnd:
    """Compile, run, and leave everything on disk in good order; the caller holds the lock of the directory.

    Raises:
        ResumeError: the run to go on with has lost its draws.
    """
    if resume:
        run.refuse_lost_draws()
    ledger, requests = Ledger(run, manifest), around.requests
    ledger.open(around.command, resume=resume, draws=task.work.settings.draws, chains=task.work.settings.chains)
    requests.close = ledger.close
    if task.seconds is not None:
        requests.budget = (task.seconds, task.began + task.seconds)
    try:
        outcome = _draw(ledger, task, around, resume=resume)
    except BaseException as error:
        requests.settle()
        with suppress(StorageError):
            ledger.close("failed", f"{type(error).__name__}: {error}")
        raise
    requests.settle()
    ledger.close(outcome.ending, outcome.detail)
    return outcome


def _draw(ledger: Ledger, task: Task, around: Surroundings, *, resume: bool) -> RunEnd:
    run, manifest = ledger.run, ledger.manifest
    with ExitStack() as stack:
        display = FileProgress(run.progress, around.display)
        display.start(task.work.settings.chains)
        stack.callback(display.close)
        display.note("compiling")
        sampler, checked = _prepared(ledger, task, around.warn)
        _warm_start(sampler, run)
        make = ZarrStore.resume if resume else ZarrStore
        labels = Labels.of_density(task.work.density)
        labels.warn_of_left_out()
        identifier = run_of(manifest)
        store = make(
            run.draws,
            chains=task.work.settings.chains,
            labels=labels,
            keep=task.work.keep,
            run=identifier,
            together=len(sampler.lanes[0].chains),
        )
        sampling_began = time.monotonic()
        outcome = run_recorded(
            sampler,
            store,
            display,
            around.requests,
            state=run.state,
            posterior=StoredPosterior(run.draws),
            targets=task.work.targets,
            began=task.began,
            checkpoint_seconds=task.checkpoint_seconds,
            resume=resume,
            run=identifier,
            driving=driving_on(task.engine, task.work.initial),
        )
        ledger.write(
            sampling_seconds=manifest.get("sampling_seconds", 0.0) + time.monotonic() - sampling_began,
            start=sampler.started or manifest.get("start", {}),
        )
        attributes = run_attributes(sampler, manifest["sampling_seconds"], manifest["start"])
        hashes = {f"{key}_hash": value for key, value in task.identity.items() if "." not in key}
        store.finalize({**attributes, **checked.attributes(), **hashes})
        tree, thin = read_plainly(run.draws), task.work.keep.thin
        store.finalize(
            explain_losses(sampler, task.work.density, tree, thin=thin)
            | explain_seams(sampler, task.work.density, tree, thin=thin)
            | explain_batches(sampler, task.work.density, tree)
        )
        finished = outcome.ending == "finished"
        verify(run.draws, run=identifier, draws=task.work.keep.kept(task.work.settings.draws) if finished else None)
    return outcome


def _prepared(ledger: Ledger, task: Task, warn: Callable[[str], None]) -> tuple[Any, Checked]:
    """The compiled sampler, and what came of the self-check of the run: made once, and kept in the manifest."""
    kept = ledger.manifest.get(SELF_CHECK)
    check = kept is None and task.work.check
    work = task.work
    sampler, outcome = prepare_checked(
        work.density,
        work.settings,
        initial=work.initial,
        check=check,
        meanwhile=lambda: prepare_results(work.density, LATER),
    )
    if not check:
        return sampler, outcome if kept is None else Checked.from_attributes(kept)
    ledger.write(**{SELF_CHECK: outcome.attributes()})
    if outcome.warning:
        warn(outcome.warning)
    return sampler, outcome


def _warm_start(sampler: Any, run: RunDirectory) -> None:
    """Take over what was copied from an earlier run, if anything was."""
    adapted = stored_adapted(run.state)
    if adapted is not None:
        warm_start(sampler, adapted)
