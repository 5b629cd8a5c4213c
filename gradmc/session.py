"""One call of `gm.sample` at work: a job, which is what was asked for, and a session, which is where it stands.

A job is completed in memory or, with a directory, on disk. The session can be looked at, and asked to stop, from
another thread (`gradmc.background`).
"""

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.diagnostics.checks import check_transitions
from gradmc.errors import ResumeError
from gradmc.printable import printable
from gradmc.results.labels import Labels
from gradmc.results.manifest import OF_PYTHON, config_changes, hash_data, hash_text, is_of_python
from gradmc.results.memory import MemoryStore
from gradmc.results.run_directory import RunDirectory
from gradmc.run.approximations import explain_batches
from gradmc.run.described import run_attributes
from gradmc.run.losses import explain_losses
from gradmc.run.peers import dismissing, leads, several
from gradmc.run.preparing import prepare
from gradmc.run.progress import Display
from gradmc.run.recorded import Watch
from gradmc.run.remote import driving_on
from gradmc.run.sampler import Sampler
from gradmc.run.seams import explain_seams
from gradmc.run.settings import Settings
from gradmc.run.signals import Requests, listening
from gradmc.run.stopping import Monitor
from gradmc.run.work import Work, prepare_results
from gradmc.selfcheck import Outcome as Checked
from gradmc.selfcheck import prepare_checked

HERE = (str(Path(__file__).parent),)
CHECKPOINT_SECONDS = 5.0
MOST_ROOM = 100_000
"""Draws per chain that memory is set aside for at once; with a target far more may be asked for than are made."""


class SamplingWarning(UserWarning):
    """The run has ended, but its draws need a second look."""


def _warn(text: str) -> None:
    """Warn at the line of the user that called."""
    warnings.warn(printable(text), SamplingWarning, skip_file_prefixes=HERE)


@dataclass(slots=True)
class Session:
    """Where a job stands.

    Args:
        warn: is told what needs a second look.
        requests: may ask the run to stop.
        watched: whether somebody may ask, while the job runs in another thread.
        sampler: of a job in memory, once it is compiled.
        checked: what came of its self-check.
        store: of a job in memory, once it is compiled.
        seconds: for which it has been sampling.
        run: of a job on disk, once it has begun.
    """

    warn: Callable[[str], None] = _warn
    requests: Requests = field(default_factory=Requests)
    watched: bool = False
    sampler: Sampler | None = None
    checked: Checked | None = None
    store: MemoryStore | None = None
    seconds: float = 0.0
    run: RunDirectory | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a call of `gm.sample` asks for.

    Args:
        work: what to sample, how, and what to keep of it.
        display: shows progress.
        output: directory of the run, or its address, or None.
        resume: whether to go on with the run there.
        engine: what advances the chains (`gradmc.run.remote`), or None for this process.
        seeded: whether the seed was asked for; a run that goes on keeps its own otherwise.
    """

    work: Work
    display: Display
    output: Path | str | None
    resume: bool
    seeded: bool
    engine: Any = None

    def complete(self, session: Session) -> Any:
        """Make the draws that are still to be made, and give the DataTree; None to processes that only help."""
        if self.work.settings.shard is None or not several():
            return self._completed(session)
        if not leads():
            prepare(self.work.density, self.work.settings, initial=self.work.initial).follow()
            return None
        with dismissing():
            return self._completed(session)

    def _completed(self, session: Session) -> Any:
        return self._in_memory(session) if self.output is None else self._on_disk(self.output, session)

    def extended(self, draws: int) -> "Job":
        """This job with so many more draws; on disk it goes on with its run."""
        settings = dataclasses.replace(self.work.settings, draws=self.work.settings.draws + draws)
        work = dataclasses.replace(self.work, settings=settings)
        return dataclasses.replace(self, work=work, resume=self.output is not None)

    def _in_memory(self, session: Session) -> Any:
        chains, draws, began = self.work.settings.chains, self.work.settings.draws, time.monotonic()
        self.display.start(chains)
        try:
            sampler, store = self._compiled(session)
            sampler.settings, sampler.plan = self.work.settings, dataclasses.replace(sampler.plan, draws=draws)
            watch = None
            if session.watched or self.work.targets.any:
                monitor = Monitor(self.work.targets, sampler.superchains, chains, began=began)
                posterior = MemoryPosterior(store)
                watch = Watch(session.requests, monitor, store, chains, posterior, self.display)
            sampling_began = time.perf_counter()
            try:
                sampler.run(store, self.display, watch=watch, driving=driving_on(self.engine, self.work.initial))
            except KeyboardInterrupt:
                drawn = int(store.lengths(False).min())
                session.warn(f"interrupted: {drawn} of {draws} draws per chain are returned")
            session.seconds += time.perf_counter() - sampling_began
            for chain in np.flatnonzero(store.lengths(False) == 0).tolist():
                store.append(chain, False, sampler.no_draws())
        finally:
            self.display.close()
        return self._results(session)

    def _compiled(self, session: Session) -> tuple[Sampler, MemoryStore]:
        """The sampler and the store, made once in a session."""
        if session.sampler is None or session.store is None:
            self.display.note("compiling")
            work = self.work
            session.sampler, session.checked = prepare_checked(
                work.density,
                work.settings,
                initial=work.initial,
                check=work.check,
                meanwhile=lambda: prepare_results(work.density, ("gradmc.results.tree",)),
            )
            labels = Labels.of_density(work.density)
            labels.warn_of_left_out()
            if session.checked.warning:
                session.warn(session.checked.warning)
            expected = min(max(self.work.keep.kept(self.work.settings.draws), 1), MOST_ROOM)
            session.store = MemoryStore(
                chains=self.work.settings.chains, labels=labels, keep=self.work.keep, expected=expected
            )
        return session.sampler, session.store

    def _results(self, session: Session) -> Any:
        """The DataTree of the draws in memory, with warnings of what is wrong with them."""
        sampler, store, checked = session.sampler, session.store, session.checked
        assert sampler is not None
        assert store is not None
        assert checked is not None
        try:
            store.finalize({**run_attributes(sampler, session.seconds), **checked.attributes()})
            tree = store.to_datatree()
            thin = self.work.keep.thin
            tree.attrs |= explain_losses(sampler, self.work.density, tree, thin=thin)
            tree.attrs |= explain_seams(sampler, self.work.density, tree, thin=thin)
            tree.attrs |= explain_batches(sampler, self.work.density, tree)
            findings = _findings(tree)
        except Exception as error:  # a bug, but not one that may cost the draws
            tree = store.bare_datatree()
            findings = [
                f"the draws are returned bare, without data, names and checks, because making the results raised "
                f"{type(error).__name__}: {error}; please report this bug of gradmc"
            ]
        for finding in findings:
            session.warn(finding)
        return tree

    def _on_disk(self, output: Path | str, session: Session) -> Any:
        from gradmc.results.mirror import writing
        from gradmc.results.reading import open_draws

        with writing(output) as run:
            session.run = run
            self._record(run, session)
        tree = open_draws(run.published)
        for finding in _findings(tree):
            session.warn(finding)
        return tree

    def _record(self, run: RunDirectory, session: Session) -> None:
        """Make the draws that are still to be made, in a run directory."""
        from gradmc.results.checkpoint import refuse_foreign_checkpoints
        from gradmc.results.given import keep_given
        from gradmc.results.lock import locked
        from gradmc.results.manifest import refuse_old, run_of
        from gradmc.stored import Surroundings, Task, execute, refuse_occupied

        going_on = self.resume and run.exists()
        if not going_on:
            refuse_occupied(run, force=False, resume="resume=True", replace="shutil.rmtree", elsewhere="output")
        run.prepare()
        with locked(run.lock), self._listening(session) as requests:
            if going_on:
                manifest = run.read_manifest()
                refuse_old(manifest)
                made = self.refuse_changed(manifest)
                refuse_foreign_checkpoints(run.state, run=run_of(manifest), chains=self.work.settings.chains)
                complete = manifest["status"] in ("finished", "reached") and made >= self.work.settings.draws
                manifest["config"]["sampler"]["draws"] = self.work.settings.draws
            else:
                run.clear()
                settings = {f.name: getattr(self.work.settings, f.name) for f in dataclasses.fields(Settings)}
                keep_given(run.given, self.work.density, settings, self.work.initial)
                manifest, complete = self._manifest(run), False
            if not complete:
                settings = dataclasses.replace(self.work.settings, seed=manifest["seed"])
                task = Task(
                    work=dataclasses.replace(self.work, settings=settings),
                    checkpoint_seconds=CHECKPOINT_SECONDS,
                    identity=manifest["identity"],
                    began=time.monotonic(),
                    engine=self.engine,
                )
                around = Surroundings(sys.argv, self.display, requests, session.warn)
                outcome = execute(run, manifest, task, around, resume=going_on)
                if outcome.ending in ("signal", "time") and not session.watched:
                    why = outcome.detail or "the time budget is used up"
                    session.warn(f"stopped before the end ({why}); the same call with resume=True goes on")

    def _listening(self, session: Session) -> Any:
        """Ctrl-C stops a run on disk in good order; one that is watched is asked by its session alone."""
        from contextlib import nullcontext

        return nullcontext(session.requests) if session.watched else listening(("SIGINT",), hard=False)

    def _manifest(self, run: RunDirectory) -> dict[str, Any]:
        from gradmc.results.manifest import new_manifest

        return new_manifest(
            command=sys.argv,
            config_path="",
            config=self._configuration(),
            origin=str(run.path.resolve()),
            files={},
            file={},
            identity=self._identity(),
            packages={},
            seed=int(self.work.settings.seed or 0),
        )

    def _configuration(self) -> dict[str, Any]:
        """The settings as a configuration has them; parts given as objects by what they show."""
        sampler = {f.name: getattr(self.work.settings, f.name) for f in dataclasses.fields(self.work.settings)}
        if (bound := self.work.density.bound) is not None:
            sampler |= {"gradient": bound.gradient, "max_loop_iterations": bound.max_loop_iterations}
        plain = (str, int, float, bool, type(None))
        content = {
            **OF_PYTHON,
            "model": {"target": Labels.of_density(self.work.density).name},
            "sampler": {name: v if isinstance(v, plain) else repr(v) for name, v in sampler.items()},
            "output": {name: getattr(self.work.keep, name) for name in ("variables", "exclude", "thin", "float32")},
            "stop": dataclasses.asdict(self.work.targets),
        }
        return json.loads(json.dumps(content))  # as it comes back from the manifest

    def _identity(self) -> dict[str, str]:
        """Hashes of the model, the data and the starting points."""
        bound = self.work.density.bound
        if bound is None:
            arguments = {str(i): np.asarray(value) for i, value in enumerate(self.work.density.arguments)}
            found = {"model": hash_text(repr(self.work.density.names)), "data": hash_data(arguments)}
        else:
            model = bound.model
            entries = {f"data.{name}": hash_data({name: value}) for name, value in bound.given.items()}
            found = {"model": model.source_hash, "data": hash_data(bound.given), **entries}
        if self.work.initial is not None:
            found["initial"] = hash_data({str(i): point for i, point in enumerate(self.work.initial)})
        return found

    def refuse_changed(self, manifest: dict[str, Any]) -> int:
        """Refuse to go on with a run of something else; gives the number of draws that it was to make.

        Raises:
            ResumeError: model, data or settings differ.
        """
        if not is_of_python(manifest):
            raise ResumeError("this run was made by `gradmc sample`: `gradmc resume` and `gradmc extend` go on with it")
        before = dict(manifest["config"])
        made = int(before["sampler"]["draws"])
        now = self._configuration()
        if not self.seeded:
            now["sampler"]["seed"] = before["sampler"]["seed"]
        before = {**before, "sampler": {**before["sampler"], "draws": max(made, self.work.settings.draws)}}
        identity, new = manifest["identity"], self._identity()
        changes = [f"{name} changed" for name in sorted({*identity, *new}) if identity.get(name) != new.get(name)]
        if changes := [*changes, *config_changes(before, now)]:
            told = "\n  ".join(["cannot go on with the run: undo the change, or choose another output:", *changes])
            raise ResumeError(told)
        return made


@dataclass(frozen=True, slots=True)
class MemoryPosterior:
    """The posterior of a growing store in memory.

    Args:
        store: where its draws go.
    """

    store: MemoryStore

    def __call__(self) -> Mapping[str, np.ndarray] | None:
        """Variables of the posterior, each of shape (chain, draw, ...); None while there is nothing."""
        tree = self.store.to_datatree()
        if "posterior" not in tree.children or tree["posterior"].sizes.get("draw", 0) == 0:
            return None
        return {str(name): array.values for name, array in tree["posterior"].data_vars.items()}


def _findings(tree: Any) -> list[str]:
    """What the transitions say against the draws."""
    return [f"{found.finding}; {found.advice}" for found in check_transitions(tree) if found.passed is False]
