"""What a user may choose about sampling, checked before anything is traced."""

import dataclasses
import math
import numbers
import os
import secrets
from typing import Any, Literal

from gradmc.errors import UsageError

KERNELS = ("nuts", "hmc")
METRICS = ("low_rank", "diagonal", "dense")
STARTS = ("pathfinder", "uniform")
EXECUTORS = ("auto", "threads", "batch")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a run.

    Args:
        seed: any non-negative integer; the draws are a function of it. None chooses one and records it.
        chains: number of chains, at least 1.
        warmup: transitions per chain that adapt step size and metric and are not draws, at least 0.
        draws: draws per chain, at least 0.
        kernel: "nuts" or "hmc".
        metric: mass matrix: "low_rank" (diagonal and a few directions), "diagonal" or "dense".
        target_accept: mean acceptance that the step size aims at, between 0 and 1 (exclusive).
        max_tree_depth: doublings of a NUTS trajectory, 1 to 20.
        integration_time: length of an HMC trajectory in units of the whitened scale, positive.
        step_size: fixed first step size; None searches for one.
        start: "pathfinder" (near the mass, by several searches for it) or "uniform" (uniform(-2, 2) on the
            unconstrained scale); without effect where starting values are given.
        executor: "threads" (one chain per call, on several cores), "batch" (all chains in one call, for
            accelerators) or "auto".
        cores: threads that run chains; None takes all cores of the machine.
        keep_warmup: keep the draws of warmup too.
        keep_unconstrained: keep the positions on the unconstrained scale too.

    Raises:
        UsageError: a value is outside its range.
    """

    seed: int | None = None
    chains: int = 4
    warmup: int = 1000
    draws: int = 1000
    kernel: Literal["nuts", "hmc"] = "nuts"
    metric: Literal["diagonal", "dense", "low_rank"] = "low_rank"
    target_accept: float = 0.8
    max_tree_depth: int = 10
    integration_time: float = math.pi / 2
    step_size: float | None = None
    start: Literal["pathfinder", "uniform"] = "pathfinder"
    executor: Literal["auto", "threads", "batch"] = "auto"
    cores: int | None = None
    keep_warmup: bool = False
    keep_unconstrained: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("chains", 1, 100_000),
            ("warmup", 0, 2**30),
            ("draws", 0, 2**30),
            ("max_tree_depth", 1, 20),
        ):
            check_whole(name, getattr(self, name), low, high)
        for name, optional_low in (("seed", 0), ("cores", 1)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), optional_low, None)
        _check_real("target_accept", self.target_accept, 0, 1)
        _check_real("integration_time", self.integration_time, 0, None)
        if self.step_size is not None:
            _check_real("step_size", self.step_size, 0, None)
        for name, choices in (("kernel", KERNELS), ("metric", METRICS), ("start", STARTS), ("executor", EXECUTORS)):
            if getattr(self, name) not in choices:
                listed = ", ".join(repr(choice) for choice in choices)
                raise UsageError(f"{name} must be one of {listed}; got {getattr(self, name)!r}")
        if self.seed is None:
            object.__setattr__(self, "seed", secrets.randbits(32))

    @property
    def threads(self) -> int:
        """Chains that may run at the same time."""
        return self.cores or available_cores()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_whole(name: str, value: Any, low: int, high: int | None) -> None:
    """Refuse what is no whole number between `low` and `high`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < low or (high is not None and int(value) > high):
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UsageError(f"{name} must be a whole number {span}; got {value!r}")


def _check_real(name: str, value: Any, low: float, high: float | None) -> None:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not low < float(value) < (math.inf if high is None else high):
        span = f"greater than {low}" if high is None else f"between {low} and {high} (exclusive)"
        raise UsageError(f"{name} must be a number {span}; got {value!r}")
