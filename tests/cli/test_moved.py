"""A run that was moved, with its project or without, is resumed, extended and predicted from."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Gradmc


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A project of its own, with a finished run in `out`."""
    shutil.copytree(finished.parent, tmp_path / "first")
    return tmp_path / "first"


def begun(gradmc: Gradmc, project: Path) -> Path:
    """A run that began in the project and was stopped."""
    result = gradmc("sample", project / "run.toml", "--output.dir", project / "short", "--sampler.draws", 150)
    assert result.code == 0
    return project / "short"


def goes_on(gradmc: Gradmc, run: Path) -> None:
    for command in (["extend", run, "--draws", 20, "--progress=none"], ["predict", run], ["resume", run]):
        result = gradmc(*command)
        assert result.code == 0, result.err


def test_the_manifest_holds_no_absolute_path_of_the_problem(project: Path) -> None:
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    assert manifest["config"]["model"]["target"] == "../model.py:line"
    assert manifest["config"]["data"]["file"] == "../data.json"
    assert manifest["config"]["output"]["dir"] == "."
    assert manifest["config_path"] == "../run.toml"
    assert sorted(manifest["files"]) == ["../data.json", "../model.py"]


@pytest.mark.slow
def test_a_run_that_is_moved_with_its_project(gradmc: Gradmc, project: Path, tmp_path: Path) -> None:
    begun(gradmc, project)
    project.rename(tmp_path / "second")
    goes_on(gradmc, tmp_path / "second" / "short")


@pytest.mark.slow
def test_a_run_that_is_moved_alone(gradmc: Gradmc, project: Path, tmp_path: Path) -> None:
    run = begun(gradmc, project)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    moved = Path(shutil.move(run, tmp_path / "elsewhere" / "deep"))
    goes_on(gradmc, moved)
    (tmp_path / "elsewhere" / "deep" / "model.py").write_text("raise ValueError('not the model of the run')")
    goes_on(gradmc, moved)


def test_a_run_whose_model_is_not_found(gradmc: Gradmc, project: Path, tmp_path: Path) -> None:
    begun(gradmc, project)
    moved = Path(shutil.move(project / "short", tmp_path))
    (project / "model.py").unlink()
    for command in (["extend", moved, "--draws", 5], ["predict", moved]):
        result = gradmc(*command)
        assert result.code == 5
        assert f"there is neither {tmp_path}/model.py nor {project}/model.py" in result.err


def test_a_copy_of_a_project_goes_on_with_its_own_configuration(gradmc: Gradmc, project: Path, tmp_path: Path) -> None:
    begun(gradmc, project)
    shutil.copytree(project, tmp_path / "copy")
    run = tmp_path / "copy" / "short"
    more = ["--output.dir", run, "--sampler.draws", 150]
    result = gradmc("sample", tmp_path / "copy" / "run.toml", "--resume", *more)
    assert result.code == 0, result.err
    assert "The run is complete" in result.out
