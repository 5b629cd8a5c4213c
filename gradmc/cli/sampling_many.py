"""`gradmc sample-many`: one model, many data sets, one store."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit, tell
from gradmc.config import Config, load_config
from gradmc.config.datasets import data_sets
from gradmc.config.target import load_model
from gradmc.errors import ConfigError, UsageError
from gradmc.program.binding import accepted
from gradmc.results.keep import Keep

TELL_SECONDS = 5.0
FAILED_FITS = 4
STOPPED = 75
SHOWN = 8


def sample_many(path: Path, overrides: Overrides, *, progress: str, common: Common) -> int:
    """Fit every data set that is not fitted yet; exit code 4 if some could not be, 75 after Ctrl-C."""
    from gradmc.cluster import client_of
    from gradmc.density.padding import padded_along
    from gradmc.many import FitTask, Many, named
    from gradmc.results.place import place_of

    config = load_config(path, overrides).config
    model = load_model(config.model.target)
    data = named(data_sets(config, accepted(model)))
    output, cluster = config.output.dir, config.cluster
    with client_of(cluster.scheduler, cluster.workers, cluster.wait) as client:
        counted = FitCounter(len(data), progress)
        work = FitTask(model, options(config, alone=client is None), padded_along(config.many.pad))
        many = Many(work, data, config.sampler.seed or 0, place_of(output), counted, warn=lambda text: None)
        tree = many.complete(client)
    failures = dict(zip(tree["failures"]["failed"].values, tree["failures"]["reason"].values, strict=True))
    fits = tree["fits"]
    doubtful = [str(name) for name, told in zip(fits["data_set"].values, fits["warnings"].values, strict=True) if told]
    content = {
        "directory": output,
        "fits": int(fits.sizes["data_set"]),
        "made": counted.counts["done"],
        "failures": {str(name): str(reason) for name, reason in failures.items()},
        "doubtful": doubtful,
    }
    lines = [f"{content['fits']} of {len(data)} data sets are fitted, {content['made']} of them now."]
    if doubtful:
        lines.append(f"{len(doubtful)} need a second look: {_listed(doubtful)}")
    lines += [f"{name}: {reason}" for name, reason in list(failures.items())[:SHOWN]]
    if len(failures) > SHOWN:
        lines.append(f"and {len(failures) - SHOWN} more could not be fitted")
    lines.append(f"Draws: {output}/draws.zarr")
    if many.interrupted:
        lines.append("Interrupted; everything that is done is kept. The same command goes on.")
    emit("\n".join(lines), content, as_json=common.json)
    if many.interrupted:
        return STOPPED
    return FAILED_FITS if failures else 0


def options(config: Config, *, alone: bool) -> dict[str, Any]:
    """The arguments of `gm.sample` that a configuration asks for.

    Args:
        config: the configuration.
        alone: whether this process makes the fits, on all cores.

    Raises:
        ConfigError: a key that belongs to one run is set.
    """
    from gradmc.run.settings import options as settings

    sampler, output = config.sampler, config.output
    if sampler.warm_start is not None or isinstance(sampler.initial, str):
        raise ConfigError("sampler.warm_start and files under sampler.initial are for a single run; leave them out")
    chosen = {name: getattr(sampler, name) for name in settings() if name != "seed"}
    keep = Keep(
        warmup=output.keep_warmup,
        variables=None if output.variables is None else tuple(output.variables),
        exclude=tuple(output.exclude),
        thin=output.thin,
        float32=output.float32,
    )
    if sampler.gradient != "auto":
        raise UsageError(f"sampler.gradient = {sampler.gradient!r} is for a single data set; leave it out")
    cores = sampler.cores if sampler.cores is not None or alone else 1
    return chosen | {
        "cores": cores,
        "initial": sampler.initial,
        "keep": keep,
        "keep_unconstrained": output.keep_unconstrained,
        "precision": sampler.precision,
        "check": sampler.check == "on",
    }


class FitCounter:
    """Counts what comes of the data sets, and tells now and then."""

    def __init__(self, total: int, progress: str) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()
        self._quiet = progress == "none"
        self._next = time.monotonic() + TELL_SECONDS

    def __call__(self, name: str, what: str) -> None:
        """Hear of a data set."""
        del name
        self.counts[what if what in ("there", "done") else "failed"] += 1
        if not self._quiet and time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_SECONDS
            told = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
            tell(f"{self.counts.total()} of {self.total} data sets: {told}")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
