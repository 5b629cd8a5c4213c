"""The models that come with gradmc, found by their `run.toml`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import gradmc as gm
from gradmc.config.data_files import load_data
from gradmc.config.load import load_config
from gradmc.config.schema import Config
from gradmc.config.target import load_model
from gradmc.density import Density
from gradmc.program.model import Model

FOLDER = Path(__file__).resolve().parents[2] / "models"
ALL = tuple(sorted(path.parent.name for path in FOLDER.glob("*/run.toml")))
OPTIMIZED = tuple(name for name in ALL if "[optimize]" in (FOLDER / name / "run.toml").read_text())
"""Those whose mode is looked for; too many parameters to be sampled here."""
NAMES = tuple(name for name in ALL if name not in OPTIMIZED)
SYSTEMS = (
    "adaptive_control",
    "changepoint",
    "constants_from_tests",
    "equilibrium",
    "first_passage",
    "hybrid_ode",
    "inverse_rendering",
    "least_action",
    "mlp",
    "phylogeny",
    "rnn_series",
)
"""Those of `tests/models/test_systems.py`, of which some have large programs."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A model with the configuration, data and density that its `run.toml` gives."""

    name: str
    config: Config
    model: Model
    data: dict[str, Any]
    density: Density

    def positions(self, count: int, seed: int, width: float = 0.5) -> list[np.ndarray]:
        """Unconstrained positions around 0, where every shipped model has a finite density."""
        rng = np.random.default_rng(seed)
        return [rng.uniform(-width, width, self.density.dim) for _ in range(count)]


@cache
def shipped(name: str) -> Shipped:
    """Load a model; its density is compiled once for all tests of the process."""
    config = load_config(FOLDER / name / "run.toml", environment={}).config
    model = load_model(config.model.target)
    data = load_data(config.data)
    return Shipped(name, config, model, data, gm.density(model, data))


def as_floats(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters as ordinary Python numbers and numpy arrays of them."""
    return {name: float(value) if np.ndim(value) == 0 else np.asarray(value) for name, value in values.items()}
