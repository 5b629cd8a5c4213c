"""What a user may choose about sampling: the one list of options, checked before anything is traced.

`gm.sample` takes them as arguments, a configuration as keys of `[sampler]` (`gradmc.config.schema`).
"""

import dataclasses
import functools
import math
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from gradmc._process import available_cores
from gradmc.arguments import check_batch, check_name, check_real, check_whole
from gradmc.errors import UsageError
from gradmc.program.ir import MAX_LOOP_ITERATIONS, MOST_LOOP_ITERATIONS
from gradmc.run.parts import Part, check_part, make_part


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """What is known of an option besides its type and default.

    Attributes:
        meaning: in a few words, for the configuration.
        example: a value.
        low, high: the range: inclusive of whole numbers, exclusive of others.
        part: the kind of part (`gradmc.run.parts`) that it names.
        also: names beyond those of the parts.
    """

    meaning: str
    example: Any
    low: int = 0
    high: int | None = None
    part: str | None = None
    also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a run.

    Raises:
        UsageError: a value is outside its range.
    """

    kernel: Annotated[Part, Option("transition kernel", "nuts", part="kernel", also=("auto",))] = "nuts"
    chains: Annotated[int, Option("number of chains", 4, 1, 100_000)] = 4
    warmup: Annotated[int, Option("warmup transitions per chain", 1000, 0, 2**30)] = 1000
    draws: Annotated[int, Option("draws per chain after warmup", 1000, 0, 2**30)] = 1000
    seed: Annotated[int | None, Option("seed; drawn at random and recorded if absent", 20260101, 0)] = None
    target_accept: Annotated[float, Option("acceptance rate that the step size aims at", 0.9, 0, 1)] = 0.8
    max_tree_depth: Annotated[int, Option("doublings of a trajectory at most (nuts)", 10, 1, 20)] = 10
    integration_time: Annotated[
        float, Option("length of a trajectory, whitened scale (hmc, microcanonical, sghmc)", 1.5, 0)
    ] = math.pi / 2
    metric: Annotated[Part, Option("form of the adapted mass matrix", "low_rank", part="metric")] = "low_rank"
    max_loop_iterations: Annotated[
        int,
        Option(
            "iterations at most of a loop that parameters end; more make a point invalid",
            10_000,
            1,
            MOST_LOOP_ITERATIONS,
        ),
    ] = MAX_LOOP_ITERATIONS
    step_size: Annotated[
        float | None, Option("first step size; searched for if absent (sghmc: the step size)", 0.1, 0)
    ] = None
    start: Annotated[
        Part,
        Option(
            "where chains start: near the mass, found by several searches, or uniform(-2, 2)", "uniform", part="start"
        ),
    ] = "pathfinder"
    executor: Annotated[
        Part, Option("chains in threads (CPU) or in one batch (GPU)", "auto", part="executor", also=("auto",))
    ] = "auto"
    cores: Annotated[int | None, Option("chains run at the same time; all cores if absent", 4, 1)] = None
    shard: Annotated[
        str | None, Option("dimension along which the data of one chain are shared out among all devices", "n")
    ] = None
    batch: Annotated[
        Mapping[str, int] | None,
        Option("a dimension, and rows of the data along it that a step sees (sghmc)", {"n": 256}),
    ] = None
    adaptation: Any = None  # an object in place of the usual adaptation of step size and metric
    keep_warmup: bool = False
    keep_unconstrained: bool = False

    def __post_init__(self) -> None:
        for name, (hint, known, default) in options().items():
            value = getattr(self, name)
            if value is None and default is None:
                continue
            if known.part is not None:
                check_part(known.part, value, known.also)
            elif hint == str | None:
                check_name(name, value)
            elif hint == Mapping[str, int] | None:
                check_batch(name, value)
            elif hint in (int, int | None):
                check_whole(name, value, known.low, known.high)
            else:
                check_real(name, value, known.low, known.high)
        self._check_belonging()
        if self.seed is None:
            object.__setattr__(self, "seed", secrets.randbits(32))

    def _check_belonging(self) -> None:
        """Refuse settings of a part beside the part as an object, which has its own."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        if self.adaptation is not None and not callable(getattr(self.adaptation, "next_update", None)):
            raise UsageError(f"adaptation must be an object such as gm.Warmup(); got {self.adaptation!r}")
        owners = [("kernel", self.kernel, ("max_tree_depth", "integration_time"))]
        if self.adaptation is not None:
            owners.append(("adaptation", self.adaptation, ("target_accept", "metric")))
        for kind, made, names in owners:
            for name in names:
                if not isinstance(made, str) and getattr(self, name) != defaults[name]:
                    raise UsageError(f"{name} is a setting of the {kind} here: give it to {made!r} instead")

    def part(self, kind: str) -> Any:
        """The object of a kind of part that these settings ask for; not for `auto`."""
        given = getattr(self, kind)
        settings = {"max_tree_depth": self.max_tree_depth, "integration_time": self.integration_time}
        return make_part(kind, given, settings)

    @property
    def threads(self) -> int:
        """Chains that may run at the same time; where each takes all devices, one."""
        return 1 if self.shard is not None else self.cores or available_cores()


@functools.cache
def options() -> Mapping[str, tuple[Any, Option, Any]]:
    """Type, description and default of the options that a configuration has too, by name."""
    hints = get_type_hints(Settings, include_extras=True)
    fields = {field.name: field.default for field in dataclasses.fields(Settings)}
    return {
        name: (get_args(hints[name])[0], get_args(hints[name])[1], default)
        for name, default in fields.items()
        if get_origin(hints[name]) is Annotated
    }
