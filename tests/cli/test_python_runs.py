"""Runs begun by `gm.sample(..., output=...)` are taken up by the command line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc.cli.python_runs import job_of
from gradmc.config.target import load_model
from gradmc.errors import ResumeError
from gradmc.results.given import read_given
from gradmc.results.run_directory import RunDirectory
from tests.cli.conftest import Gradmc

QUICK: dict[str, Any] = {"seed": 3, "chains": 2, "warmup": 60, "progress": "none"}

pytestmark = pytest.mark.filterwarnings("ignore::gradmc.SamplingWarning")


@pytest.fixture
def begin(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin a run in Python, with the model of the project."""
    line = load_model(f"{project / 'model.py'}:line")

    def sample(**settings: Any) -> Any:
        return gm.sample(line, {"y": [1.0, 2.5, 0.5]}, output=project / "run", **(QUICK | settings))

    return sample


def draws(project: Path) -> Any:
    return xr.open_datatree(project / "run" / "draws.zarr", engine="zarr")["posterior"].to_dataset().load()


def test_extended_and_resumed(project: Path, gradmc: Gradmc, begin: Any) -> None:
    plain: dict[str, Any] = {"initial": [{"mu": 1.0, "sigma": 1.0}] * 2, "max_tree_depth": 6}
    settings = {**plain, "keep": gm.Keep(exclude=("double",))}
    begin(draws=40, **settings)
    result = gradmc("resume", project / "run")
    assert (result.code, "gradmc extend" in result.out) == (0, True), result.err
    assert gradmc("extend", project / "run", "--draws", 30, "--progress", "none").code == 0
    extended = draws(project)
    assert dict(extended.sizes) == {"chain": 2, "draw": 70}
    line = load_model(f"{project / 'model.py'}:line")
    whole = gm.sample(line, {"y": [1.0, 2.5, 0.5]}, **QUICK, draws=70, **plain)
    np.testing.assert_array_equal(extended["mu"], whole.posterior["mu"])
    begin(draws=70, **settings, resume=True)


def test_a_density_is_computed_as_it_was(project: Path, gradmc: Gradmc) -> None:
    """An explicit `gradient` and a bound of loops belong to the density, not to the settings of a run."""
    line = load_model(f"{project / 'model.py'}:line")
    chosen: dict[str, Any] = {"gradient": "forward", "max_loop_iterations": 77}
    density = gm.density(line, {"y": [1.0, 2.5, 0.5]}, **chosen)
    gm.sample(density, output=project / "run", draws=40, **QUICK)
    run = RunDirectory(project / "run")
    job = job_of(run, run.read_manifest(), extra_draws=30)
    assert job.work.density.bound.gradient == "forward"
    assert job.work.density.bound.max_loop_iterations == 77
    assert gradmc("extend", project / "run", "--draws", 30, "--progress", "none").code == 0
    np.testing.assert_array_equal(draws(project)["mu"], gm.sample(density, **QUICK, draws=70).posterior["mu"])
    other = gm.density(line, {"y": [1.0, 2.5, 0.5]}, max_loop_iterations=77)
    with pytest.raises(ResumeError, match=r"sampler\.gradient: 'forward' in the run, 'auto' now"):
        gm.sample(other, output=project / "run", draws=80, resume=True, **QUICK)


def test_predicted_from(project: Path, gradmc: Gradmc, begin: Any) -> None:
    begin(draws=30)
    result = gradmc("predict", project / "run", "--json")
    assert result.code == 0, result.err
    assert result.json["variables"] == ["y"]
    tree = xr.open_datatree(project / "run" / "draws.zarr", engine="zarr")
    assert tree["posterior_predictive"]["y"].shape == (2, 30, 3)
    text = (project / "model.py").read_text()
    (project / "model.py").write_text(text.replace("normal(mu, 0.0, 10.0)", "normal(mu, 0.0, 11.0)"))
    for command in (("predict", project / "run"), ("extend", project / "run", "--draws", 5)):
        result = gradmc(*command)
        assert result.code == 5
        assert "model changed" in result.err


def test_not_by_a_configuration(project: Path, gradmc: Gradmc, begin: Any) -> None:
    begin(draws=20)
    result = gradmc("sample", project / "run.toml", "--resume", "--output.dir", project / "run")
    assert result.code == 5
    assert "begun by gm.sample" in result.err


def test_what_cannot_be_kept_is_said(project: Path, gradmc: Gradmc, begin: Any, tmp_path: Path) -> None:
    begin(draws=20, kernel=gm.Nuts(max_tree_depth=5))
    result = gradmc("extend", project / "run", "--draws", 5)
    assert result.code == 5
    assert "its kernel was given as an object; in Python the same call with resume=True goes on" in result.err

    @gm.model
    def local(a: gm.Real) -> float:
        return -a * a

    gm.sample(local, output=tmp_path / "local", draws=20, **QUICK)
    result = gradmc("resume", tmp_path / "local")
    assert result.code == 5
    assert "the model local stands in no file" in result.err
    (tmp_path / "local" / "given").write_bytes(b"damaged")
    assert "given is damaged" in gradmc("extend", tmp_path / "local", "--draws", 1).err


SCRIPT = """
import gradmc as gm

@gm.model
def labelled(a: gm.Real["city"], b: gm.Real["k"], *, y: gm.Data["city"], how: dict, K: int = 2):
    return -(a ** 2).sum() - how["scale"] * (b ** 2).sum() - (y * y).sum()
"""


def test_data_of_every_kind_are_kept(tmp_path: Path) -> None:
    (tmp_path / "labels.py").write_text(SCRIPT)
    model = load_model(f"{tmp_path / 'labels.py'}:labelled")
    data = {"y": np.array([1.0, 2.0]), "how": {"scale": 0.5, "names": ["a"]}, "city": ["Bonn", "Ulm"], "k": 3}
    with pytest.warns(UserWarning, match="leave out how"):
        gm.sample(model, data, output=tmp_path / "run", draws=20, **QUICK)
    given = read_given(tmp_path / "run" / "given")
    again, first = gm.density(model, given.data).bound, gm.density(model, data).bound
    assert again is not None
    assert first is not None
    assert again.coords == first.coords
    assert again.sizes == first.sizes
    assert again.data.keys() == first.data.keys()
    assert again.data["how"] == first.data["how"]


@pytest.mark.parametrize("guarded", [True, False])
def test_a_script_that_samples_when_it_is_imported_is_not_imported(guarded: bool, tmp_path: Path) -> None:
    call = f'gm.sample(labelled, {{"y": [1.0], "how": {{"scale": 1.0}}, "k": 2}}, output={str(tmp_path / "run")!r}, '
    call += 'draws=5, seed=1, chains=1, warmup=20, kernel="hmc", metric="diagonal", start="uniform", progress="none")\n'
    guard = f'if __name__ == "__main__":\n    {call}' if guarded else call
    (tmp_path / "script.py").write_text(SCRIPT + guard)
    subprocess.run([sys.executable, "-W", "ignore", str(tmp_path / "script.py")], check=True)
    if guarded:
        assert read_given(tmp_path / "run" / "given").target == f"{tmp_path / 'script.py'}:labelled"
    else:
        with pytest.raises(ResumeError, match="would sample again"):
            read_given(tmp_path / "run" / "given")
