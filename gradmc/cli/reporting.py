"""`gradmc summary | diagnose | report`: what is known about a run, computed once and kept in `summary.json`."""

import json
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.diagnostics import Diagnosis, Summary
from gradmc.errors import UsageError
from gradmc.results.files import StorageError
from gradmc.results.mirror import reading
from gradmc.results.run_directory import RunDirectory
from gradmc.results.sealed import read_sealed

FAILED_DIAGNOSTICS = 4
COMPLETE = ("finished", "reached")


@dataclass(frozen=True, slots=True)
class Assessment:
    """Summary table and checks of a run."""

    summary: Summary
    diagnosis: Diagnosis

    def as_json(self) -> dict[str, Any]:
        """Both as JSON."""
        return {"summary": self.summary.as_json(), "diagnosis": self.diagnosis.as_json()}


def summary(
    directory: Path | str, *, variables: tuple[str, ...], show_all: bool, without: tuple[int, ...], common: Common
) -> int:
    """Print the table and the verdict."""
    with reading(directory) as run:
        assessment = _need(run, without)
        content = {"directory": run.name, "status": status_of(run)}
    if variables:
        assessment = Assessment(_select(assessment.summary, variables), assessment.diagnosis)
    content |= assessment.as_json()
    emit(render_assessment(assessment, show_all=show_all), content, as_json=common.json)
    return 0


def diagnose(directory: Path | str, *, without: tuple[int, ...], common: Common) -> int:
    """Print the checks; exit code 4 if one fails."""
    with reading(directory) as run:
        diagnosis = _need(run, without).diagnosis
        content = {"directory": run.name, "status": status_of(run), **diagnosis.as_json()}
    emit(str(diagnosis), content, as_json=common.json)
    return 0 if diagnosis.passed else FAILED_DIAGNOSTICS


def report(
    directory: Path | str,
    file: Path | None,
    *,
    calibration: Path | None,
    without: tuple[int, ...],
    force: bool,
    common: Common,
) -> int:
    """Write a page about the run."""
    from gradmc.report import report as make
    from gradmc.results.leaving_out import without_chains
    from gradmc.results.reading import open_draws

    if file is not None and file.exists() and not force:
        raise UsageError(f"{file} exists already; use --force to overwrite it")
    with reading(directory) as run:
        if file is None and run.address is not None:
            raise UsageError(f"{run.address} is an address; name a file for the report as well")
        assessment = _need(run, without)
        page = make(
            without_chains(open_draws(run.draws), without),
            calibration=None if calibration is None else _read_json(calibration),
            summary=assessment.summary,
            diagnosis=assessment.diagnosis,
            manifest={**run.read_manifest(), "status": status_of(run)},
        )
        written = page.save(run.report if file is None else file)
    size = written.stat().st_size
    emit(f"Wrote {written} ({size / 1e6:.1f} MB).", {"file": str(written), "bytes": size}, as_json=common.json)
    return 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}; expected what `gradmc calibrate --json` prints") from None


def status_of(run: RunDirectory) -> str:
    """`running`, `finished`, `reached`, `signal`, `time`, `failed`, or `killed`."""
    status = str(run.read_manifest().get("status"))
    return "killed" if status == "running" and run.owner() is None else status


def assess(run: RunDirectory, without: tuple[int, ...] = ()) -> Assessment | None:
    """Summary and checks of the draws as they are now, or None if there are none; kept for next time.

    Args:
        run: the run.
        without: chains to leave out; then nothing is kept.
    """
    from gradmc.diagnostics import diagnose as check
    from gradmc.diagnostics import summarise
    from gradmc.results.leaving_out import without_chains

    stamp = _stamp(run)
    kept = _kept(run, stamp)
    if kept is not None and not without:
        return kept
    if stamp is None:
        run.refuse_lost_draws(complete=run.read_manifest().get("status") in COMPLETE)
        return None
    tree = without_chains(open_stored(run), without) if without else _read_stored(run)
    if "posterior" not in tree.children or tree["posterior"].sizes.get("draw", 0) == 0:
        return None
    table = summarise(tree)
    assessment = Assessment(table, check(tree, table))
    if status_of(run) != "running" and not without:
        with suppress(StorageError):  # a full disk, or that of somebody else: then it is computed again
            run.write_json(run.summary, {"stamp": stamp, **assessment.as_json()})
    return assessment


def open_stored(run: RunDirectory) -> Any:
    """The draws of a run, whose files are those that it wrote.

    Raises:
        UsageError: the run has no draws yet.
        ResumeError: its files are not those that it wrote, or gone.
    """
    from gradmc.results.verifying import open_verified

    return open_verified(run.draws, run=_written(run))


def _read_stored(run: RunDirectory) -> Any:
    """The same without xarray, as far as summary and checks need it."""
    from gradmc.results.verifying import read_verified

    return read_verified(run.draws, run=_written(run))


def _written(run: RunDirectory) -> str:
    """What identifies a run, whose draws must be there if it is complete."""
    from gradmc.results.manifest import run_of

    manifest = run.read_manifest()
    run.refuse_lost_draws(complete=manifest.get("status") in COMPLETE)
    return run_of(manifest)


def render_assessment(assessment: Assessment, *, show_all: bool = False) -> str:
    """Table and verdict as text."""
    from gradmc.diagnostics.render import MAX_ROWS, render_table
    from gradmc.results.leaving_out import in_words

    table = render_table(assessment.summary, max_rows=None if show_all else MAX_ROWS)
    chains, draws = assessment.summary.chains, assessment.summary.draws
    left_out = f", {in_words(assessment.summary.left_out)}" if assessment.summary.left_out else ""
    head = f"{chains} chain{'s' if chains > 1 else ''} of {draws:,} draws{left_out}"
    return f"{head}\n\n{table}\n\n{assessment.diagnosis}"


def _need(run: RunDirectory, without: tuple[int, ...]) -> Assessment:
    assessment = assess(run, without)
    if assessment is None:
        raise UsageError(f"{run.name} has no draws after warmup yet; `gradmc status {run.name}` shows where it is")
    return assessment


def _kept(run: RunDirectory, stamp: list[int] | None) -> Assessment | None:
    try:
        content = read_sealed(run.summary)
        if stamp is None or content is None or content["stamp"] != stamp:
            return None
        return Assessment(Summary.from_json(content["summary"]), Diagnosis.from_json(content["diagnosis"]))
    except (ValueError, KeyError, TypeError):
        return None


def _stamp(run: RunDirectory) -> list[int] | None:
    """Changes whenever a file of the draws does, by its time or size; None where what publishes them is not there."""
    if not (run.draws / "zarr.json").is_file():
        return None
    files = sorted(path for path in run.draws.rglob("*") if path.is_file())
    facts = [
        (str(path.relative_to(run.draws)), status.st_mtime_ns, status.st_size)
        for path in files
        for status in [path.stat()]
    ]
    return [len(facts), zlib.crc32(repr(facts).encode())]


def _select(table: Summary, patterns: tuple[str, ...]) -> Summary:
    """The rows whose name or variable matches a pattern."""
    rows = tuple(
        row
        for row in table.rows
        if any(fnmatchcase(row.name, p) or fnmatchcase(row.name.split("[")[0], p) for p in patterns)
    )
    if not rows:
        known = dict.fromkeys(row.name.split("[")[0] for row in table.rows)
        raise UsageError(f"no variable matches {', '.join(patterns)}; the run has {', '.join(known)}")
    return replace(table, rows=rows)
