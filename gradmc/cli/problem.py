"""What a configuration asks for: a density, settings, and hashes that identify them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradmc.cli.sources import sources
from gradmc.config import Config
from gradmc.config.data_files import load_data
from gradmc.config.initial import Initial, load_initial
from gradmc.config.problems import suggestion
from gradmc.config.target import load_model
from gradmc.errors import ConfigError, ResumeError, UsageError
from gradmc.program.binding import accepted
from gradmc.results.keep import Keep
from gradmc.results.manifest import hash_data

WHAT = {"model": "the source of the model", "data": "the data", "initial": "the starting values"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A density and how to sample it.

    Args:
        config: the configuration.
        density: a `gradmc.density.Density`.
        settings: `gradmc.run.settings.Settings`.
        initial: flat unconstrained starting points, one per chain, or None.
        identity: hashes of everything outside the configuration that the draws depend on.
        versions: versions of the packages that the model imports.
    """

    config: Config
    density: Any
    settings: Any
    initial: list[Any] | None
    identity: dict[str, str]
    versions: dict[str, str]


def build_problem(config: Config, *, seed: int | None = None) -> Problem:
    """Load the model and the data of a configuration and put them together.

    Args:
        config: the configuration.
        seed: the seed to use instead of the configuration's.
    """
    from gradmc.density import density
    from gradmc.run.settings import Settings, options

    model = load_model(config.model.target)
    data = data_of(config, model)
    sampler = config.sampler
    chosen = {name: getattr(sampler, name) for name in options()}
    settings = Settings(
        **(chosen if seed is None else {**chosen, "seed": seed}),
        keep_warmup=config.output.keep_warmup,
        keep_unconstrained=config.output.keep_unconstrained,
    )
    target = density(
        model,
        data,
        precision=sampler.precision,
        max_loop_iterations=settings.max_loop_iterations,
        gradient=sampler.gradient,
    )
    check_names(config, {group: tuple(names) for group, names in target.group_dims.items()})
    initial = load_initial(sampler.initial)
    made = sources(model)
    return Problem(
        config=config,
        density=target,
        settings=settings,
        initial=start(target, initial, settings.chains, settings.seed or 0),
        identity={"model": made.hash, **hash_entries(data), **hash_initial(initial)},
        versions=made.versions,
    )


def data_of(config: Config, model: Any) -> dict[str, Any]:
    """The data that a configuration gives to its model."""
    return load_data(config.data, accepted(model))


def start(target: Any, initial: Initial | None, chains: int, seed: int) -> list[Any] | None:
    """Flat starting points, one per chain; `seed` decides the parameters that `initial` leaves out.

    Raises:
        ConfigError: names, shapes, supports or the number of tables are not those of the model and its chains.
    """
    from gradmc.sample import starting_points

    known = list(target.shapes)
    tables = [] if initial is None else [initial] if isinstance(initial, Mapping) else initial
    for name in dict.fromkeys(name for table in tables for name in table if name.split("[")[0] not in known):
        hint = suggestion(name, known) or f"the parameters are {', '.join(known)}"
        raise ConfigError(f"sampler.initial.{name}: no such parameter; {hint}")
    try:
        return starting_points(target, initial, chains, seed=seed)
    except UsageError as error:
        raise ConfigError(f"sampler.initial: {error}") from None


def hash_entries(data: Mapping[str, Any]) -> dict[str, str]:
    """A hash of the data, and one of each entry, named `data.NAME`."""
    return {"data": hash_data(data), **{f"data.{name}": hash_data({name: value}) for name, value in data.items()}}


def hash_initial(initial: Initial | None) -> dict[str, str]:
    """A hash of the starting values, where there are any."""
    if initial is None:
        return {}
    tables = [initial] if isinstance(initial, Mapping) else initial
    return {"initial": hash_data({str(i): table for i, table in enumerate(tables)})}


def check_names(config: Config, groups: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse names of variables that the model does not have.

    Args:
        config: the configuration, which names variables under [stop] and [output].
        groups: names of the variables of each group.

    Raises:
        ConfigError: with all unknown names.
    """
    posterior = groups["posterior"]
    problems = [
        f"stop.mcse.{name}: no such variable; {suggestion(name, posterior) or _listed(posterior)}"
        for name in config.stop.mcse
        if name not in posterior
    ]
    known = [(group, name) for group, names in groups.items() for name in names]
    output = config.output
    for key, patterns in (("variables", output.variables or []), ("exclude", output.exclude)):
        for pattern in patterns:
            keep = Keep(variables=(pattern,))
            if not any(keep.wants(group, name) for group, name in known):
                names = [name for _, name in known]
                hint = suggestion(pattern.rpartition("/")[2], names) or _listed(names)
                problems.append(f"output.{key}: {pattern!r} matches no variable; {hint}")
    if problems:
        raise ConfigError("\n  ".join(["the configuration does not fit the model:", *problems]))


def _listed(names: Iterable[str]) -> str:
    return f"the model has {', '.join(dict.fromkeys(names))}"


def check_identity(before: Mapping[str, str], after: Mapping[str, str], verb: str = "resume") -> None:
    """Refuse to go on when the model or the data are not those of the run.

    Raises:
        ResumeError: saying what has changed.
    """
    differing = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    entries = ", ".join(name.removeprefix("data.") for name in differing if name.startswith("data."))
    what = WHAT | {"data": f"the data ({entries})" if entries else "the data"}
    changed = [what[name] for name in what if name in differing]
    if changed:
        raise ResumeError(
            f"cannot {verb}: {' and '.join(changed)} changed since the run began; undo the change, or start a new run"
        )
