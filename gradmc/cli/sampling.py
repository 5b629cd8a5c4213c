"""`gradmc sample | resume | extend`: a configuration becomes a run on disk, with a summary at the end."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit, tell
from gradmc.cli.problem import Problem, build_problem, check_identity
from gradmc.cli.python_runs import job_of
from gradmc.config import Config, Loaded, load_config
from gradmc.config.load import parse, read_text
from gradmc.config.places import found, kept, relative_path
from gradmc.errors import ConfigError, ResumeError, UsageError
from gradmc.results.checkpoint import refuse_foreign_checkpoints
from gradmc.results.files import atomic_write
from gradmc.results.lock import locked
from gradmc.results.manifest import (
    change_freely,
    config_changes,
    is_of_python,
    new_manifest,
    refuse_old,
    run_of,
    versions,
)
from gradmc.results.mirror import reading, writing
from gradmc.results.place import is_address
from gradmc.results.run_directory import RunDirectory
from gradmc.run.signals import listening

if TYPE_CHECKING:
    from gradmc.stored import Task

FAILED_DIAGNOSTICS = 4
STOPPED = 75
SELF_CHECK = "self_check"


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is shown and judged."""

    strict: bool
    progress: str
    common: Common
    began: float = field(default_factory=time.monotonic)  # when the clock of the time budget began


def sample(
    path: Path,
    overrides: Overrides,
    *,
    resume: bool,
    force: bool,
    strict: bool,
    progress: str,
    common: Common,
) -> int:
    """Start a run, or with `resume` go on with the one that is there."""
    options = Options(strict, progress, common)
    loaded = load_config(path, overrides)
    if any(loaded.config.many.model_dump().values()):
        raise ConfigError("many: this configuration is one of many data sets; run `gradmc sample-many`")
    with writing(loaded.config.output.dir) as run:
        return _sample(run, loaded, resume=resume, force=force, options=options)


def _sample(run: RunDirectory, loaded: Loaded, *, resume: bool, force: bool, options: Options) -> int:
    if resume and run.exists():
        return _go_on(run, loaded.config, 0, options)
    _refuse_occupied(run, force=force)
    problem = build_problem(loaded.config)
    adapted = _earlier(loaded.config)
    run.prepare()
    with locked(run.lock):
        _refuse_occupied(run, force=force)  # another process may have begun and ended a run meanwhile
        if run.exists():
            run.clear()
        atomic_write(run.config, loaded.text.encode())
        config, files = kept(loaded.config.model_dump(), run.path)
        manifest = new_manifest(
            command=sys.argv,
            config_path=relative_path(str(loaded.path.resolve()), run.path),
            config=config,
            origin=str(run.path.resolve()),
            files=files,
            file=parse(loaded.text, loaded.path),
            identity=problem.identity,
            packages=problem.versions,
            seed=problem.settings.seed,
        )
        _keep(run, adapted)
        return _execute(run, manifest, problem, options, resume=False)


def resume(directory: Path | str, *, extra_draws: int, strict: bool, progress: str, common: Common) -> int:
    """Go on with the run in a directory, with more draws than before if asked."""
    if extra_draws < 0:
        raise UsageError(f"--draws must not be negative, got {extra_draws}")
    options = Options(strict, progress, common)
    with writing(directory) as run:
        run.refuse_absent()
        if is_of_python(manifest := run.read_manifest()):
            return _go_on_in_python(run, manifest, extra_draws, options)
        return _go_on(run, None, extra_draws, options)


def dry_run(path: Path, overrides: Overrides, common: Common) -> int:
    """Check and compile everything, and predict what the run will cost."""
    from gradmc.cli.costs import predict_costs

    loaded = load_config(path, overrides)
    if not is_address(loaded.config.output.dir):
        _refuse_occupied(RunDirectory(Path(loaded.config.output.dir)), force=True)
    return predict_costs(loaded.config, build_problem(loaded.config), _earlier(loaded.config), common)


def _go_on(run: RunDirectory, config: Config | None, extra_draws: int, options: Options) -> int:
    run.prepare()
    with locked(run.lock) as left:
        manifest = run.read_manifest()
        refuse_old(manifest)
        if left is not None and manifest.get("status") == "running":
            message = f"taking over from process {left.get('pid')} on {left.get('host')}, which is gone"
            run.note("takeover", left=left)
            tell(message)
        if is_of_python(manifest):
            raise ResumeError("this run was begun by gm.sample: `gradmc resume` and `gradmc extend` go on with it")
        stored = _stored_config(run, manifest)
        if config is not None and (changes := config_changes(stored.model_dump(), config.model_dump())):
            raise ResumeError(_changed("the configuration has changed since the run began", changes))
        targets = stored.stop
        if config is not None:
            change_freely(manifest, config.model_dump())
            stored = _stored_config(run, manifest)
        complete = manifest.get("status") == "finished" or (
            manifest.get("status") == "reached" and stored.stop == targets
        )
        if extra_draws:
            draws = stored.sampler.draws + extra_draws
            sampler = stored.sampler.model_copy(update={"draws": draws})
            stored = stored.model_copy(update={"sampler": sampler})
            manifest["config"]["sampler"]["draws"] = draws
        elif complete:
            refuse_foreign_checkpoints(run.state, run=run_of(manifest), chains=stored.sampler.chains)
            return _report(run, manifest, options, note="The run is complete; `gradmc extend` adds draws.")
        problem = build_problem(stored, seed=manifest["seed"])
        check_identity(manifest["identity"], problem.identity)
        _warn_about_versions(manifest["versions"], versions() | problem.versions)
        return _execute(run, manifest, problem, options, resume=True)


def _go_on_in_python(run: RunDirectory, manifest: dict[str, Any], extra_draws: int, options: Options) -> int:
    """Go on with a run that a call in Python began."""
    from gradmc.session import Session

    done = manifest.get("status") in ("finished", "reached") and not extra_draws
    job = job_of(run, manifest, extra_draws=extra_draws, progress=options.progress)
    with listening() as requests:
        job.complete(Session(requests=requests, watched=True))
        note = "The run is complete; `gradmc extend` adds draws." if done else ""
        return _report(run, run.read_manifest(), options, note=note)


def _stored_config(run: RunDirectory, manifest: dict[str, Any]) -> Config:
    """The configuration of a run, unless its file was edited."""
    before = {"file": manifest["file"]}
    if run.config.exists():
        try:
            after = {"file": parse(read_text(run.config), run.config)}
        except ConfigError as error:
            raise ResumeError(f"cannot resume: {error}; restore it, or start a new run") from None
        if changes := config_changes(before, after):
            plain = [change.removeprefix("file.") for change in changes]
            raise ResumeError(_changed(f"{run.config} was edited", plain))
    return Config.model_validate(found(manifest, run.path))


def _changed(what: str, changes: list[str]) -> str:
    return "\n  ".join([f"cannot resume: {what}; undo the change, or start a new run:", *changes])


def _warn_about_versions(before: dict[str, str], after: dict[str, str]) -> None:
    changed = [f"{name} {old} -> {after.get(name)}" for name, old in before.items() if after.get(name) != old]
    if changed:
        message = f"warning: versions changed since the run began ({', '.join(changed)}); bits may differ"
        tell(message)


def _refuse_occupied(run: RunDirectory, *, force: bool) -> None:
    from gradmc.stored import refuse_occupied

    refuse_occupied(run, force=force, resume="--resume", replace="--force", elsewhere="--output.dir")


def _execute(run: RunDirectory, manifest: dict[str, Any], problem: Problem, options: Options, *, resume: bool) -> int:
    """Run, on the cluster that is asked for, and report."""
    from gradmc.cluster import client_of
    from gradmc.run.displays import choose_display
    from gradmc.stored import Surroundings, execute

    cluster = problem.config.cluster
    with (
        listening() as requests,
        client_of(cluster.scheduler, cluster.workers, cluster.wait, lambda: bool(requests.received)) as client,
    ):
        around = Surroundings(
            command=sys.argv,
            display=choose_display(options.progress),
            requests=requests,
            warn=lambda text: tell(f"warning: {text}"),
        )
        execute(run, manifest, _task(problem, client, options), around, resume=resume)
        return _report(run, manifest, options)


def _task(problem: Problem, client: Any, options: Options) -> "Task":
    """What there is to do, here or on a cluster."""
    from gradmc.results.keep import Keep
    from gradmc.run.stopping import Targets
    from gradmc.run.work import Work
    from gradmc.stored import Task

    config = problem.config
    work = Work(
        density=problem.density,
        settings=problem.settings,
        initial=problem.initial,
        check=config.sampler.check == "on",
        keep=Keep(
            warmup=config.output.keep_warmup,
            variables=None if config.output.variables is None else tuple(config.output.variables),
            exclude=tuple(config.output.exclude),
            thin=config.output.thin,
            float32=config.output.float32,
        ),
        targets=Targets(**config.stop.model_dump()),
    )
    return Task(
        work=work,
        checkpoint_seconds=config.output.checkpoint_seconds,
        identity=problem.identity,
        began=options.began,
        seconds=config.stop.seconds,
        engine=client,
    )


def _earlier(config: Config) -> list[dict[str, Any]] | None:
    """What an earlier run has adapted to, if the configuration asks for it."""
    from gradmc.run.warm_start import read_adapted

    if config.sampler.warm_start is None:
        return None
    with reading(config.sampler.warm_start, draws=False) as earlier:
        made = earlier.read_manifest()
        return read_adapted(earlier.path, made["config"]["sampler"]["chains"], run_of(made), name=earlier.name)


def _keep(run: RunDirectory, adapted: list[dict[str, Any]] | None) -> None:
    """Copy what an earlier run has adapted to, so that this one does not need it again."""
    from gradmc.run.warm_start import store_adapted

    if adapted is not None:
        store_adapted(run.state, adapted)


def _report(run: RunDirectory, manifest: dict[str, Any], options: Options, note: str = "") -> int:
    """Print the summary and the verdict, and give the exit code."""
    from gradmc.cli.reporting import assess, render_assessment

    status = manifest["status"]
    assessment = assess(run)
    content: dict[str, Any] = {"directory": run.name, "status": status}
    lines: list[str] = []
    if assessment is None:
        lines.append("No draws after warmup yet.")
    else:
        content |= assessment.as_json()
        lines.append(render_assessment(assessment))
    lines.append(note or _ending(run, status))
    emit("\n".join(lines), content, as_json=options.common.json)
    if status in ("signal", "time"):
        return STOPPED
    if options.strict and assessment is not None and not assessment.diagnosis.passed:
        return FAILED_DIAGNOSTICS
    return 0


def _ending(run: RunDirectory, status: str) -> str:
    go_on = f"`gradmc resume {run.name}` goes on."
    return {
        "finished": f"Draws: {run.published}",
        "reached": f"Stopped early: the targets under [stop] are reached. Draws: {run.published}",
        "signal": f"Stopped by a signal; everything is kept. {go_on}",
        "time": f"The time budget is used up; everything is kept. {go_on}",
    }[status]
