"""The sections and keys of a configuration, with their meaning, range and default.

This is the only place where a key is described, but for the options of a run, which are those of
`gradmc.run.settings`: `config init`, `config schema`, `config show` and the suggestions in errors all read these
descriptions. Types are strict (a string is never taken for a number).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from gradmc.errors import UsageError
from gradmc.run.parts import PARTS, make_part
from gradmc.run.settings import Option, options

PATHS = frozenset(
    {
        *("output.dir", "optimize.dir", "sampler.warm_start", "sampler.initial", "data.file", "model.target"),
        "many.files",
    }
)
"""Keys that hold paths: relative to the file they stand in, or else to the working directory."""


def starting_values(value: Any) -> Any:
    """Check the form of `sampler.initial` as a whole, so that a wrong one is one problem and not one for each form."""
    tables = value if isinstance(value, list) else [value]
    if value is None or (isinstance(value, str) and value) or (tables and all(isinstance(t, dict) for t in tables)):
        return value
    raise ValueError("expected a table of values by parameter, a list of such tables (one per chain), or a file")


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(Section):
    """Which program to run."""

    target: Annotated[
        str,
        Field(
            pattern=r"^\S.*$",
            description="file and name of the model, or module and name",
            examples=["model.py:eight_schools"],
        ),
    ]


type _Batch = Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=1)] | None
"""A dimension and a number of rows."""


def _field(hint: Any, known: Option, default: Any) -> tuple[Any, Any]:
    """A key for an option of `gradmc.run.settings`: its type and its default, with its range."""
    kind = known.part
    limits: Any = {}
    if kind is not None:
        names = [*known.also, *PARTS[kind]]
        schema = {"anyOf": [{"enum": names, "type": "string"}, {"type": "object"}]}
        hint = Annotated[str | dict[str, Any], BeforeValidator(partial(_part, kind, names)), WithJsonSchema(schema)]
    elif hint == str | None:
        limits = {"min_length": 1}
    elif hint == Mapping[str, int] | None:
        hint = _Batch
    else:
        whole = hint in (int, int | None)
        limits = {"ge" if whole else "gt": known.low, "le" if whole else "lt": known.high}
        limits = {key: value for key, value in limits.items() if value is not None}
    return hint, Field(default=default, description=known.meaning, examples=[known.example], **limits)


def _part(kind: str, names: Sequence[str], value: Any) -> Any:
    """Check a part of the engine, so that a wrong one is one problem and not one for each form."""
    named = value.get("name") if isinstance(value, dict) else value
    if not isinstance(named, str) or named not in names:
        *most, last = [repr(name) for name in names]
        raise ValueError(f"expected {', '.join(most)} or {last}, or a table with such a name and its settings")
    try:
        if isinstance(value, dict):
            make_part(kind, value)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return value


if TYPE_CHECKING:

    class _Options:
        """The options of a run, as a type checker sees them."""

        def __getattr__(self, name: str) -> Any: ...

else:
    _Options = create_model("_Options", __base__=Section, **{name: _field(*known) for name, known in options().items()})


class SamplerSection(_Options, Section):
    """How to draw."""

    draws: int = Field(default=1000, ge=1, le=2**30, description="draws per chain after warmup", examples=[1000])
    seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="seed; drawn at random and recorded if absent", examples=[20260101]
    )
    precision: Literal["float64", "float32"] = Field(
        default="float64", description="floating-point precision of the computation", examples=["float64"]
    )
    gradient: Literal["auto", "forward", "reverse"] = Field(
        default="auto", description="how the gradient is computed: see gm.density", examples=["forward"]
    )
    check: Literal["on", "off"] = Field(
        default="on",
        description="compare value and gradient with plain Python and differences before sampling",
        examples=["off"],
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="run directory whose step size and mass matrix to reuse",
        examples=["runs/previous"],
    )
    initial: Annotated[str | dict[str, Any] | list[dict[str, Any]] | None, BeforeValidator(starting_values)] = Field(
        default=None,
        description="starting values by parameter, a list of such tables, or a file (.json, .npz)",
        examples=[{"mu": 0.5, "tau": 1.0}],
    )


class OutputSection(Section):
    """Where results go, and which."""

    dir: str = Field(
        default="",
        min_length=1,
        description="run directory, or its address; runs/<name of the configuration file> if absent",
        examples=["runs/eight_schools"],
    )
    keep_warmup: bool = Field(default=False, description="keep the draws of warmup", examples=[True])
    keep_unconstrained: bool = Field(
        default=False, description="keep the draws on the unconstrained scale too", examples=[True]
    )
    variables: list[str] | None = Field(
        default=None, description="patterns of variables to keep; all if absent", examples=[["mu", "theta*"]]
    )
    exclude: list[str] = Field(
        default=[], description="patterns of variables not to keep", examples=[["log_likelihood/*"]]
    )
    thin: int = Field(default=1, ge=1, description="keep every n-th draw", examples=[1])
    float32: bool = Field(default=False, description="store numbers in single precision", examples=[True])
    checkpoint_seconds: float = Field(
        default=5.0, ge=0.0, description="time between checkpoints of a chain at least", examples=[5.0]
    )


class StopSection(Section):
    """When to stop before all draws are made.

    Sampling stops when every target that is set has been reached, or when the time is used up.
    """

    ess: float | None = Field(
        default=None,
        gt=0.0,
        description="smallest bulk and tail effective sample size",
        examples=[1000.0],
    )
    r_hat: float | None = Field(default=None, gt=1.0, description="largest R-hat", examples=[1.01])
    mcse: dict[str, Annotated[float, Field(gt=0.0)]] = Field(
        default={},
        description="largest Monte Carlo standard error of means, by variable",
        examples=[{"mu": 0.05}],
    )
    seconds: float | None = Field(
        default=None, gt=0.0, description="time budget in seconds, compiling included", examples=[3600.0]
    )


class ManySection(Section):
    """Many data sets for one model (`gradmc sample-many`): exactly one of `files`, `by` and `sets` says which.

    What stands under [data] is given to each of them.
    """

    files: str | None = Field(
        default=None, min_length=1, description="pattern of files, one data set each", examples=["data/*.json"]
    )
    by: str | None = Field(
        default=None, min_length=1, description="column of data.file: one data set for each value", examples=["site"]
    )
    sets: dict[str, str] | None = Field(
        default=None, description="a file for each data set, by name", examples=[{"north": "north.json"}]
    )
    pad: str | dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="dimension along which data sets are padded to the length of the longest, or to multiples of rows",
        examples=["visit", {"visit": 64}],
    )


class ClusterSection(Section):
    """Processes that do the work, by Dask (`pip install 'gradmc[cluster]'`); this process does it if absent."""

    scheduler: str | None = Field(
        default=None,
        pattern=r"^\w+://.+$",
        description="address of a Dask scheduler",
        examples=["tcp://10.0.0.1:8786"],
    )
    workers: int | None = Field(
        default=None, ge=1, le=4096, description="start so many processes on this machine", examples=[4]
    )
    wait: float = Field(
        default=20.0,
        gt=0.0,
        description="seconds to wait for the first worker of the scheduler",
        examples=[3600.0],
    )


class OptimizeSection(Section):
    """How `gradmc optimize` looks for the mode."""

    method: str = Field(default="lbfgs", min_length=1, description='"lbfgs", or a method of Optax', examples=["adam"])
    batch: _Batch = Field(
        default=None, description="a dimension, and rows of the data along it at a time", examples=[{"n": 64}]
    )
    epochs: int | None = Field(
        default=None, ge=1, description="passes over the data; steps where there are no batches", examples=[50]
    )
    learning_rate: float | None = Field(default=None, gt=0.0, description="of the loss per row", examples=[0.01])
    schedule: Literal["constant", "cosine", "exponential"] = Field(
        default="constant", description="what becomes of the learning rate", examples=["cosine"]
    )
    held_out: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="share of the rows that judges the steps", examples=[0.1]
    )
    patience: int | None = Field(
        default=None, ge=1, description="epochs without a better score of these rows after which it ends", examples=[10]
    )
    start_radius: float | None = Field(
        default=None, gt=0.0, description="largest modulus of unconstrained coordinates at the start", examples=[0.1]
    )
    dir: str | None = Field(
        default=None, min_length=1, description="directory of checkpoints and result", examples=["runs/mode"]
    )


class Config(Section):
    """The configuration of a run."""

    model: ModelSection
    data: dict[str, Any] = Field(default_factory=dict)
    sampler: SamplerSection = Field(default_factory=SamplerSection)
    output: OutputSection = Field(default_factory=OutputSection)
    stop: StopSection = Field(default_factory=StopSection)
    many: ManySection = Field(default_factory=ManySection)
    cluster: ClusterSection = Field(default_factory=ClusterSection)
    optimize: OptimizeSection = Field(default_factory=OptimizeSection)


SECTIONS: dict[str, type[Section]] = {
    "model": ModelSection,
    "sampler": SamplerSection,
    "output": OutputSection,
    "stop": StopSection,
    "many": ManySection,
    "cluster": ClusterSection,
    "optimize": OptimizeSection,
}
"""The tables with fixed keys; `data` has the names that the model gives it."""


def example(section: str, key: str) -> str | None:
    """A line of TOML that sets a key, for advice."""
    field = SECTIONS[section].model_fields.get(key) if section in SECTIONS else None
    if field is None or not field.examples:
        return None
    return f"{key} = {toml_value(field.examples[0])}"


def toml_value(value: Any) -> str:
    """A value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case dict() if not value:
            return "{}"
        case dict():
            return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    return repr(value)
