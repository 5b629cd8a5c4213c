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
from typing import TYPE_CHECKING, Any

from gradmc import _process, _xla
from gradmc._imports import load

_xla.configure()
_process.watch_forks()

_SUPPORTS = (
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
)
_HOME = {
    "Data": "gradmc.program.data",
    "Density": "gradmc.density",
    "Model": "gradmc.program.model",
    "Handle": "gradmc.background",
    "Keep": "gradmc.results.keep",
    "SamplingWarning": "gradmc.session",
    "Targets": "gradmc.run.stopping",
    **dict.fromkeys(_SUPPORTS, "gradmc.program.supports"),
    "Batch": "gradmc.run.executor",
    "Chees": "gradmc.kernels.chees",
    "Sghmc": "gradmc.kernels.sghmc",
    "Dense": "gradmc.adaptation.windowed",
    "Diagonal": "gradmc.adaptation.diagonal",
    "Hmc": "gradmc.kernels.hmc",
    "LowRank": "gradmc.adaptation.windowed",
    "Microcanonical": "gradmc.kernels.microcanonical",
    "Nuts": "gradmc.kernels.nuts",
    "Pathfinder": "gradmc.starts.pathfinder",
    "Pooled": "gradmc.adaptation.pooled",
    "Threads": "gradmc.run.executor",
    "TrajectoryLength": "gradmc.adaptation.trajectory",
    "Uniform": "gradmc.starts.uniform",
    "Warmup": "gradmc.adaptation.warmup",
    "approximate": "gradmc.approximate",
    "calibrate": "gradmc.calibration",
    "check": "gradmc.check",
    "density": "gradmc.density",
    "diagnose": "gradmc.diagnostics",
    "draw_states": "gradmc.states",
    "explain": "gradmc.program.explain",
    "external": "gradmc.program.external",
    "from_logdensity": "gradmc.foreign",
    "from_numpyro": "gradmc.foreign",
    "loo": "gradmc.loo",
    "marginalize": "gradmc.program.marginalization",
    "model": "gradmc.program.model",
    "observe": "gradmc.program.marks",
    "optimize": "gradmc.optimize",
    "predict": "gradmc.predict",
    "prior_density": "gradmc.density.prior",
    "record": "gradmc.program.marks",
    "report": "gradmc.report",
    "sample": "gradmc.sample",
    "sample_many": "gradmc.many",
    "sample_prior": "gradmc.predict",
    "start": "gradmc.background",
    "without_chains": "gradmc.results.leaving_out",
}

if TYPE_CHECKING:  # what `__getattr__` imports on first use, spelt out for editors and type checkers
    from gradmc import lpdf
    from gradmc.adaptation.diagonal import Diagonal
    from gradmc.adaptation.pooled import Pooled
    from gradmc.adaptation.trajectory import TrajectoryLength
    from gradmc.adaptation.warmup import Warmup
    from gradmc.adaptation.windowed import Dense, LowRank
    from gradmc.approximate import approximate
    from gradmc.background import Handle, start
    from gradmc.calibration import calibrate
    from gradmc.check import check
    from gradmc.density import Density, density
    from gradmc.density.prior import prior_density
    from gradmc.diagnostics import diagnose
    from gradmc.foreign import from_logdensity, from_numpyro
    from gradmc.kernels.chees import Chees
    from gradmc.kernels.hmc import Hmc
    from gradmc.kernels.microcanonical import Microcanonical
    from gradmc.kernels.nuts import Nuts
    from gradmc.kernels.sghmc import Sghmc
    from gradmc.loo import loo
    from gradmc.many import sample_many
    from gradmc.optimize import optimize
    from gradmc.predict import predict, sample_prior
    from gradmc.program.data import Data
    from gradmc.program.explain import explain
    from gradmc.program.external import external
    from gradmc.program.marginalization import marginalize
    from gradmc.program.marks import observe, record
    from gradmc.program.model import Model, model
    from gradmc.program.supports import (
        CholeskyCorr,
        CholeskyCov,
        Circular,
        Correlation,
        Covariance,
        Interval,
        Negative,
        Ordered,
        Positive,
        PositiveOrdered,
        Real,
        Simplex,
        UnitInterval,
        UnitVector,
        ZeroSum,
    )
    from gradmc.report import report
    from gradmc.results.keep import Keep
    from gradmc.results.leaving_out import without_chains
    from gradmc.run.executor import Batch, Threads
    from gradmc.run.stopping import Targets
    from gradmc.sample import sample
    from gradmc.session import SamplingWarning
    from gradmc.starts.pathfinder import Pathfinder
    from gradmc.starts.uniform import Uniform
    from gradmc.states import draw_states

__all__ = [
    "Batch",
    "Chees",
    "CholeskyCorr",
    "CholeskyCov",
    "Circular",
    "Correlation",
    "Covariance",
    "Data",
    "Dense",
    "Density",
    "Diagonal",
    "Handle",
    "Hmc",
    "Interval",
    "Keep",
    "LowRank",
    "Microcanonical",
    "Model",
    "Negative",
    "Nuts",
    "Ordered",
    "Pathfinder",
    "Pooled",
    "Positive",
    "PositiveOrdered",
    "Real",
    "SamplingWarning",
    "Sghmc",
    "Simplex",
    "Targets",
    "Threads",
    "TrajectoryLength",
    "Uniform",
    "UnitInterval",
    "UnitVector",
    "Warmup",
    "ZeroSum",
    "approximate",
    "calibrate",
    "check",
    "density",
    "diagnose",
    "draw_states",
    "explain",
    "external",
    "from_logdensity",
    "from_numpyro",
    "loo",
    "lpdf",
    "marginalize",
    "model",
    "observe",
    "optimize",
    "predict",
    "prior_density",
    "record",
    "report",
    "sample",
    "sample_many",
    "sample_prior",
    "start",
    "without_chains",
]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `gradmc --help` need not wait for JAX."""
    if name == "lpdf":
        return load("gradmc.lpdf")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("gradmc")
    if name in _HOME:
        value = getattr(load(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gradmc' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers in a notebook: the public names, imported or not."""
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps a public function from being replaced by the submodule of the same name when that is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
