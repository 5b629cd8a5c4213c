"""`gradmc sample | resume | extend`: a configuration becomes a run on disk, with a summary at the end."""

import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradmc.cli.app import Common, Overrides
from gradmc.cli.output import emit, tell
from gradmc.cli.problem import Problem, build_problem, check_identity
from gradmc.config import Config, load_config
from gradmc.config.load import parse, read_text
from gradmc.config.places import found, kept, relative_path
from gradmc.errors import ConfigError, ResumeError, UsageError
from gradmc.results.checkpoint import refuse_foreign_checkpoints
from gradmc.results.files import StorageError, atomic_write
from gradmc.results.lock import locked
from gradmc.results.manifest import config_changes, new_manifest, now, refuse_old, run_of, versions
from gradmc.results.run_directory import RunDirectory, open_run
from gradmc.run.signals import Requests, listening

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
    run = RunDirectory(Path(loaded.config.output.dir))
    if resume and run.exists():
        return _go_on(run, loaded.config, 0, options)
    _refuse_occupied(run, force)
    problem = build_problem(loaded.config)
    adapted = _earlier(loaded.config)
    run.prepare()
    with locked(run.lock):
        _refuse_occupied(run, force)  # another process may have begun and ended a run meanwhile
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


def resume(directory: Path, *, extra_draws: int, strict: bool, progress: str, common: Common) -> int:
    """Go on with the run in a directory, with more draws than before if asked."""
    if extra_draws < 0:
        raise UsageError(f"--draws must not be negative, got {extra_draws}")
    return _go_on(open_run(directory), None, extra_draws, Options(strict, progress, common))


def dry_run(path: Path, overrides: Overrides, common: Common) -> int:
    """Check and compile everything, and predict what the run will cost."""
    from gradmc.cli.costs import predict_costs

    loaded = load_config(path, overrides)
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
        stored = _stored_config(run, manifest)
        if config is not None and (changes := config_changes(stored.model_dump(), config.model_dump())):
            raise ResumeError(_changed("the configuration has changed since the run began", changes))
        if extra_draws:
            draws = stored.sampler.draws + extra_draws
            sampler = stored.sampler.model_copy(update={"draws": draws})
            stored = stored.model_copy(update={"sampler": sampler})
            manifest["config"]["sampler"]["draws"] = draws
        elif manifest.get("status") in ("finished", "reached"):
            refuse_foreign_checkpoints(run.state, run=run_of(manifest), chains=stored.sampler.chains)
            return _report(run, manifest, options, note="The run is complete; `gradmc extend` adds draws.")
        problem = build_problem(stored, seed=manifest["seed"])
        check_identity(manifest["identity"], problem.identity)
        _warn_about_versions(manifest["versions"], versions() | problem.versions)
        return _execute(run, manifest, problem, options, resume=True)


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


def _refuse_occupied(run: RunDirectory, force: bool) -> None:
    """Refuse a directory that holds draws, or something that is not a run."""
    if not run.occupied():
        return
    if not run.path.is_dir():
        raise UsageError(f"{run.path} is a file; choose another directory with --output.dir")
    if not run.exists() and not run.barely_begun():
        raise UsageError(f"{run.path} holds something that is not a run; choose another directory with --output.dir")
    if not force and any(run.draws.glob("*")):
        raise UsageError(
            f"{run.path} holds a run already; use --resume to go on with it, --force to delete it, "
            "or choose another directory with --output.dir"
        )


def _execute(run: RunDirectory, manifest: dict[str, Any], problem: Problem, options: Options, *, resume: bool) -> int:
    """Compile, run, and leave everything on disk in good order, whatever happens."""
    manifest["status"] = "running"
    session: dict[str, Any] = {"began": now(), "command": sys.argv, "ending": "killed"}
    manifest["sessions"].append(session)
    run.write_json(run.manifest, manifest)
    run.note("resume" if resume else "start", draws=problem.settings.draws, chains=problem.settings.chains)
    began = time.monotonic()
    with listening() as requests:
        requests.close = lambda ending, detail: _close_session(run, manifest, ending, detail, began)
        if (seconds := problem.config.stop.seconds) is not None:
            requests.budget = (seconds, options.began + seconds)
        try:
            outcome = _draw(run, manifest, problem, options, requests, resume=resume)
        except BaseException as error:
            requests.settle()
            with suppress(StorageError):
                _close_session(run, manifest, "failed", f"{type(error).__name__}: {error}", began)
            raise
        requests.settle()
        _close_session(run, manifest, outcome.ending, outcome.detail, began)
        return _report(run, manifest, options)


def _close_session(run: RunDirectory, manifest: dict[str, Any], ending: str, detail: str, began: float) -> None:
    manifest["status"] = ending
    manifest["seconds"] += time.monotonic() - began
    manifest["sessions"][-1] |= {"ending": ending, "detail": detail, "ended": now()}
    if run.path.is_dir():
        run.write_json(run.manifest, manifest)
        run.note("end", ending=ending, detail=detail)


def _draw(
    run: RunDirectory,
    manifest: dict[str, Any],
    problem: Problem,
    options: Options,
    requests: Requests,
    *,
    resume: bool,
) -> Any:
    from gradmc.results.keep import Keep
    from gradmc.results.labels import Labels
    from gradmc.results.verifying import verify
    from gradmc.results.zarr_store import ZarrStore
    from gradmc.run.losses import explain_losses
    from gradmc.run.progress import choose_display
    from gradmc.run.progress_file import FileProgress
    from gradmc.run.recorded import StoredPosterior, run_recorded
    from gradmc.run.seams import explain_seams
    from gradmc.run.stopping import Targets
    from gradmc.sample import run_attributes

    config = problem.config
    with ExitStack() as stack:
        display = FileProgress(run.progress, choose_display(options.progress))
        display.start(problem.settings.chains)
        stack.callback(display.close)
        display.note("compiling")
        sampler, checked = _prepared(run, manifest, problem)
        _warm_start(sampler, run)
        keep = Keep(
            warmup=config.output.keep_warmup,
            variables=None if config.output.variables is None else tuple(config.output.variables),
            exclude=tuple(config.output.exclude),
            thin=config.output.thin,
            float32=config.output.float32,
        )
        make = ZarrStore.resume if resume else ZarrStore
        labels = Labels.of_density(problem.density)
        labels.warn_of_left_out()
        chains, identifier = problem.settings.chains, run_of(manifest)
        store = make(run.draws, chains=chains, labels=labels, keep=keep, run=identifier)
        sampling_began = time.monotonic()
        outcome = run_recorded(
            sampler,
            store,
            display,
            requests,
            state=run.state,
            posterior=StoredPosterior(run.draws),
            targets=Targets(**config.stop.model_dump()),
            began=options.began,
            checkpoint_seconds=config.output.checkpoint_seconds,
            resume=resume,
            run=identifier,
        )
        manifest["sampling_seconds"] = manifest.get("sampling_seconds", 0.0) + time.monotonic() - sampling_began
        manifest["start"] = sampler.started or manifest.get("start", {})
        attributes = run_attributes(sampler, manifest["sampling_seconds"], manifest["start"])
        hashes = {f"{key}_hash": value for key, value in problem.identity.items() if "." not in key}
        store.finalize({**attributes, **checked.attributes(), **hashes})
        tree = store.to_datatree()
        store.finalize(
            explain_losses(sampler, problem.density, tree, thin=keep.thin)
            | explain_seams(sampler, problem.density, tree, thin=keep.thin)
        )
        finished = outcome.ending == "finished"
        verify(run.draws, run=identifier, draws=keep.kept(problem.settings.draws) if finished else None)
    return outcome


def _prepared(run: RunDirectory, manifest: dict[str, Any], problem: Problem) -> tuple[Any, Any]:
    """The compiled sampler, and what came of the self-check of the run: made once, and kept in the manifest."""
    from gradmc.selfcheck import Outcome, prepare_checked

    kept = manifest.get(SELF_CHECK)
    check = kept is None and problem.config.sampler.check == "on"
    sampler, outcome = prepare_checked(problem.density, problem.settings, initial=problem.initial, check=check)
    if not check:
        return sampler, outcome if kept is None else Outcome.from_attributes(kept)
    manifest[SELF_CHECK] = outcome.attributes()
    run.write_json(run.manifest, manifest)
    if outcome.warning:
        tell(f"warning: {outcome.warning}")
    return sampler, outcome


def _earlier(config: Config) -> list[dict[str, Any]] | None:
    """What an earlier run has adapted to, if the configuration asks for it."""
    from gradmc.run.warm_start import read_adapted

    if config.sampler.warm_start is None:
        return None
    earlier = open_run(config.sampler.warm_start)
    made = earlier.read_manifest()
    return read_adapted(earlier.path, made["config"]["sampler"]["chains"], run_of(made))


def _keep(run: RunDirectory, adapted: list[dict[str, Any]] | None) -> None:
    """Copy what an earlier run has adapted to, so that this one does not need it again."""
    from gradmc.run.warm_start import store_adapted

    if adapted is not None:
        store_adapted(run.state, adapted)


def _warm_start(sampler: Any, run: RunDirectory) -> None:
    """Take over what was copied from an earlier run, if anything was."""
    from gradmc.run.warm_start import stored_adapted, warm_start

    adapted = stored_adapted(run.state)
    if adapted is not None:
        warm_start(sampler, adapted)


def _report(run: RunDirectory, manifest: dict[str, Any], options: Options, note: str = "") -> int:
    """Print the summary and the verdict, and give the exit code."""
    from gradmc.cli.reporting import assess, render_assessment

    status = manifest["status"]
    assessment = assess(run)
    content: dict[str, Any] = {"directory": str(run.path), "status": status}
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
    go_on = f"`gradmc resume {run.path}` goes on."
    return {
        "finished": f"Draws: {run.draws}",
        "reached": f"Stopped early: the targets under [stop] are reached. Draws: {run.draws}",
        "signal": f"Stopped by a signal; everything is kept. {go_on}",
        "time": f"The time budget is used up; everything is kept. {go_on}",
    }[status]
