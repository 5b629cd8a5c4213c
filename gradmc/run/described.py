"""What the results say about how they were made."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.run.parts import name_of, settings_of
from gradmc.run.sampler import Sampler


def run_attributes(sampler: Sampler, seconds: float, started: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the results say about how they were made.

    Args:
        sampler: has run.
        seconds: how long.
        started: how its chains started, where they did so before this sampler was made.
    """
    settings, started = sampler.settings, sampler.started or started or {}
    kernel, adaptation = sampler.plan.machine.kernel, sampler.plan.machine.adaptation
    return {
        "seed": settings.seed,
        "kernel": name_of("kernel", kernel),
        **settings_of(kernel),
        "metric": name_of("metric", getattr(adaptation, "metric", adaptation)),
        **settings_of(adaptation),
        "tuning_steps": settings.warmup,
        "precision": str(np.dtype(sampler.density.dtype)),
        "compile_time": sampler.compile_seconds,
        "sampling_time": seconds,
        "n_gradients": sum(int(lane.gradients.sum()) for lane in sampler.lanes) + started.get("start_gradients", 0),
        "restarts": [int(count) for lane in sampler.lanes for count in lane.restarts],
        **started,
    }
