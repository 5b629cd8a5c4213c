"""A small model with a configuration, and a way to run `gradmc` in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpyro.distributions  # noqa: F401  # before ArviZ, which makes the module numpyro lazy
import pytest

from gradmc.cli.main import run

MODEL = '''
import gradmc as gm
from gradmc.lpdf import normal

@gm.model
def line(mu: gm.Real, sigma: gm.Positive, *, y: gm.Data["n"]):
    """Normal data."""
    gm.record("double", 2 * mu)
    prior = normal(mu, 0.0, 10.0) + normal(sigma, 0.0, 5.0)
    return prior + gm.observe("y", normal(y, mu, sigma, pointwise=True)).sum()

@line.simulator
def simulate(rng, mu, sigma, *, y):
    return {"y": rng.normal(mu, sigma, size=len(y))}
'''
CONFIG = """
[model]
target = "model.py:line"
[data]
file = "data.json"
[sampler]
chains = 2
warmup = 100
draws = 300
seed = 5
[output]
dir = "out"
checkpoint_seconds = 0.0
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


type Gradmc = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a model, data and a configuration."""
    return make_project(tmp_path / "project")


def make_project(directory: Path) -> Path:
    directory.mkdir()
    (directory / "model.py").write_text(MODEL)
    (directory / "data.json").write_text('{"y": [1.0, 2.5, 0.5, 1.5, 2.0]}')
    (directory / "run.toml").write_text(CONFIG)
    return directory


@pytest.fixture
def gradmc(capfd: pytest.CaptureFixture[str]) -> Gradmc:
    """Run a command line in this process."""

    def call(*arguments: Any) -> Result:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run, not to be changed."""
    directory = make_project(tmp_path_factory.mktemp("finished") / "project")
    assert run(["sample", str(directory / "run.toml"), "--progress", "none"]) == 0
    return directory / "out"
