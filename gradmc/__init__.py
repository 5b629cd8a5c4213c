"""Gradient-based Bayesian inference for log densities written as plain Python functions.

import gradmc as gm

@gm.model
def coin(p: gm.UnitInterval, *, heads: int, tosses: int):
    return gm.observe("heads", gm.lpdf.binomial(heads, tosses, p))

draws = gm.sample(coin, {"heads": 7, "tosses": 10}, seed=1)
"""

import importlib
import sys
from types import ModuleType
from typing import Any

from gradmc import _xla

_xla.configure()

_HOME = {
    "model": "gradmc.program.model",
    "Model": "gradmc.program.model",
    "Data": "gradmc.program.data",
    "observe": "gradmc.program.marks",
    "record": "gradmc.program.marks",
    **dict.fromkeys(
        (
            "Real",
            "Positive",
            "Negative",
            "Interval",
            "UnitInterval",
            "Simplex",
            "Ordered",
            "PositiveOrdered",
            "ZeroSum",
            "CholeskyCorr",
            "Correlation",
            "CholeskyCov",
            "Covariance",
            "UnitVector",
            "Circular",
        ),
        "gradmc.program.supports",
    ),
    "Density": "gradmc.density",
    "density": "gradmc.density",
    "prior_density": "gradmc.density.prior",
    "calibrate": "gradmc.calibration",
    "check": "gradmc.check",
    "diagnose": "gradmc.diagnostics",
    "from_logdensity": "gradmc.foreign",
    "from_numpyro": "gradmc.foreign",
    "SamplingWarning": "gradmc.sample",
    "predict": "gradmc.predict",
    "sample": "gradmc.sample",
    "sample_prior": "gradmc.predict",
}

__all__ = [*_HOME, "lpdf"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `gradmc --help` need not wait for JAX."""
    if name == "lpdf":
        return importlib.import_module("gradmc.lpdf")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gradmc' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps a public function from being replaced by the submodule of the same name when that is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
