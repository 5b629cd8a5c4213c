"""What a configuration asks for: a density, settings, and hashes that identify them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradmc.config import Config
from gradmc.config.data_files import load_data
from gradmc.config.target import load_model
from gradmc.errors import ResumeError
from gradmc.results.manifest import hash_data

WHAT = {"model": "the source of the model", "data": "the data"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A density and how to sample it.

    Args:
        config: the configuration.
        density: a `gradmc.density.Density`.
        settings: `gradmc.run.settings.Settings`.
        identity: hashes of everything outside the configuration that the draws depend on.
    """

    config: Config
    density: Any
    settings: Any
    identity: dict[str, str]


def build_problem(config: Config, *, seed: int | None = None) -> Problem:
    """Load the model and the data of a configuration and put them together.

    Args:
        config: the configuration.
        seed: the seed to use instead of the configuration's.
    """
    from gradmc.density import density
    from gradmc.run.settings import Settings

    model = load_model(config.model.target)
    data = load_data(config.data)
    sampler = config.sampler
    settings = Settings(
        seed=sampler.seed if seed is None else seed,
        chains=sampler.chains,
        warmup=sampler.warmup,
        draws=sampler.draws,
        kernel=sampler.kernel,
        metric=sampler.metric,
        target_accept=sampler.target_accept,
        max_tree_depth=sampler.max_tree_depth,
        integration_time=sampler.integration_time,
        step_size=sampler.step_size,
        executor=sampler.executor,
        cores=sampler.cores,
        keep_warmup=config.output.keep_warmup,
        keep_unconstrained=config.output.keep_unconstrained,
    )
    return Problem(
        config=config,
        density=density(model, data, precision=sampler.precision),
        settings=settings,
        identity={"model": str(model.source_hash), "data": hash_data(data)},
    )


def check_identity(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Refuse to resume when the model or the data are not those of the run.

    Raises:
        ResumeError: saying what has changed.
    """
    changed = [WHAT.get(name, name) for name in before if before[name] != after.get(name)]
    if changed:
        raise ResumeError(
            f"cannot resume: {' and '.join(changed)} changed since the run began; "
            "undo the change, or start a new run"
        )
