"""Runs that `gm.sample(..., output=...)` began, taken up by the command line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradmc.results.run_directory import RunDirectory

if TYPE_CHECKING:
    from gradmc.session import Job


def job_of(run: RunDirectory, manifest: Mapping[str, Any], *, extra_draws: int = 0, progress: str = "none") -> "Job":
    """The job that goes on with a run, as the same call with `resume=True` would.

    Args:
        run: the run.
        manifest: its manifest.
        extra_draws: to be made beyond those that were asked for.
        progress: how it is shown.

    Raises:
        ResumeError: what the run was given was not kept.
    """
    from gradmc.config.target import load_model
    from gradmc.density import density
    from gradmc.results.given import read_given
    from gradmc.results.keep import Keep
    from gradmc.run.displays import choose_display
    from gradmc.run.settings import Settings
    from gradmc.run.stopping import Targets
    from gradmc.run.work import Work
    from gradmc.session import Job

    given = read_given(run.given)
    config = manifest["config"]
    draws = config["sampler"]["draws"] + extra_draws
    settings = Settings(**{**given.settings, "seed": manifest["seed"], "draws": draws})
    output: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config["output"].items()
    }
    work = Work(
        density=density(load_model(given.target), given.data, **given.density),
        settings=settings,
        initial=given.initial,
        check=True,
        keep=Keep(**output, warmup=settings.keep_warmup),
        targets=Targets(**config["stop"]),
    )
    display = choose_display(progress)
    return Job(work=work, display=display, output=run.path, resume=True, seeded=True)
