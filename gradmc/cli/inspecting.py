"""`gradmc status | export`: looking at a run from outside, finished or not."""

from datetime import datetime
from pathlib import Path
from typing import Any

from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.cli.reporting import open_stored, status_of
from gradmc.errors import UsageError
from gradmc.results.mirror import reading
from gradmc.results.place import Address, is_address
from gradmc.results.run_directory import RunDirectory
from gradmc.results.sealed import read_sealed
from gradmc.run.progress import duration

WORDS = {
    "running": "running",
    "finished": "finished",
    "reached": "stopped early: the targets under [stop] are reached",
    "signal": "stopped by a signal; `gradmc resume` goes on",
    "time": "stopped: the time budget is used up; `gradmc resume` goes on",
    "failed": "failed; `gradmc resume` goes on from the last checkpoint",
    "killed": "killed; `gradmc resume` goes on from the last checkpoint",
}


def status(directory: Path | str, *, common: Common) -> int:
    """Print where a run stands."""
    with reading(directory, draws=False) as run:
        manifest = run.read_manifest()
        content: dict[str, Any] = {
            "directory": run.name,
            "status": status_of(run),
            "process": run.owner(),
            "seconds": manifest.get("seconds", 0.0),
            "sessions": len(manifest.get("sessions", [])),
            "progress": read_progress(run),
        }
    emit(render_status(content, manifest), content, as_json=common.json)
    return 0


def export(
    directory: Path | str,
    file: str,
    *,
    groups: tuple[str, ...],
    without: tuple[int, ...],
    force: bool,
    common: Common,
) -> int:
    """Write the draws of a run to a file."""
    from gradmc.results.export import export as write
    from gradmc.results.leaving_out import in_words, without_chains

    if _is_there(file) and not force:
        raise UsageError(f"{file} exists already; use --force to overwrite it")
    with reading(directory) as run:
        size = write(without_chains(open_stored(run), without), file, groups or ("posterior",))
    note = f" {in_words(without).capitalize()}." if without else ""
    content = {"file": file, "bytes": size, "left_out": list(without)}
    emit(f"Wrote {file} ({size / 1e6:.1f} MB).{note}", content, as_json=common.json)
    return 0


def _is_there(file: str) -> bool:
    """Whether there is something at a path or an address."""
    return bool(Address(file).all_names()) if is_address(file) else Path(file).exists()


def read_progress(run: RunDirectory) -> dict[str, Any] | None:
    """What the running process last wrote about its chains."""
    return read_sealed(run.progress)


def render_status(content: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The status in words, with a line for each chain."""
    line = f"{content['directory']}: {WORDS.get(content['status'], content['status'])}"
    if content["process"]:
        line += f" (process {content['process'].get('pid')} on {content['process'].get('host')})"
    lines = [line, f"started {_moment(manifest['started'])}, sessions: {content['sessions']}"]
    progress = content["progress"]
    if progress is None:
        ended = content["status"] not in ("running", "killed")
        news = "how far its chains came is not known: state/progress.json is gone" if ended else "no chunk finished yet"
        return "\n".join([*lines, news])
    estimated = progress["ess"] is not None and content["status"] != "finished"  # then `gradmc summary` knows better
    ess = f", ESS {progress['ess']:.0f} so far" if estimated else ""
    lines.append(f"last news {_moment(progress['updated'])}, after {duration(progress['seconds'])}{ess}")
    for chain in progress["chains"]:
        together = chain.get("chains", 1)
        which = f"chain {chain['chain']}" if together == 1 else f"all {together:,} chains"
        step = "-" if chain["step_size"] is None else f"{chain['step_size']:.3g}"
        left = "" if chain["phase"] == "done" else f", left {duration(chain['seconds_left'])}"
        lines.append(
            f"{which}: {chain['phase']:<8} {chain['done']}/{chain['total']}, divergences "
            f"{chain['divergences']}, step size {step}, leapfrogs {chain['n_leapfrog']:,}{left}"
        )
    return "\n".join(lines)


def _moment(text: str) -> str:
    """A moment in ISO 8601 as people read it."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %Z")
