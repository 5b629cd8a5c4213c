"""Checkpoints and draws of other chains and runs are refused with exit code 5, whatever the command."""

import json
import shutil
from pathlib import Path

import pytest

from gradmc.results.sealed import seal
from tests.cli.conftest import Gradmc


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent, tmp_path / "project")
    return tmp_path / "project" / "out"


@pytest.mark.parametrize("tampered", ["state", "draws", "run"])
def test_extending_what_is_not_the_runs_own(gradmc: Gradmc, copy: Path, tampered: str) -> None:
    if tampered == "state":
        shutil.copy(copy / "state" / "chain-1.checkpoint", copy / "state" / "chain-0.checkpoint")
    if tampered == "draws":
        mu = copy / "draws.zarr" / "posterior" / "mu" / "c"
        shutil.copytree(mu / "1", mu / "0", dirs_exist_ok=True)
    if tampered == "run":
        manifest = json.loads((copy / "manifest.json").read_text())
        (copy / "manifest.json").write_text(json.dumps(seal(manifest | {"run": "another"})))
    result = gradmc("extend", copy, "--draws", 20, "--progress=none")
    assert result.code == 5
    expected = {
        "state": "chain-0.checkpoint is the checkpoint of chain 1",
        "draws": "the draws of chain 0 in posterior/mu are not those before",
        "run": "draws.zarr holds the draws of another run",
    }
    assert expected[tampered] in result.err
    assert json.loads((copy / "manifest.json").read_text())["status"] == "failed"


def test_resuming_a_finished_run_with_the_checkpoint_of_another_chain(gradmc: Gradmc, copy: Path) -> None:
    shutil.copy(copy / "state" / "chain-1.checkpoint", copy / "state" / "chain-0.checkpoint")
    result = gradmc("resume", copy, "--progress=none")
    assert result.code == 5
    assert "chain-0.checkpoint is the checkpoint of chain 1" in result.err


@pytest.mark.parametrize("command", ["summary", "diagnose", "export", "predict"])
def test_reading_draws_that_were_changed(gradmc: Gradmc, copy: Path, command: str) -> None:
    (copy / "summary.json").unlink()
    energy = copy / "draws.zarr" / "sample_stats" / "energy" / "c"
    shutil.copytree(energy / "1", energy / "0", dirs_exist_ok=True)
    more = [copy.parent / "draws.csv"] if command == "export" else []
    result = gradmc(command, copy, *more)
    assert result.code == 5
    assert "the draws of chain 0 in" in result.err
    assert "energy are not those that the run wrote" in result.err


def test_a_run_of_an_older_version_is_read_but_not_gone_on_with(gradmc: Gradmc, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["run"], manifest["checksum"]
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    root = json.loads((copy / "draws.zarr" / "zarr.json").read_text())
    for name in ("gradmc_run", "gradmc_checksums", "gradmc_files", "gradmc_seal"):
        del root["attributes"][name]
    (copy / "draws.zarr" / "zarr.json").write_text(json.dumps(root))
    assert gradmc("summary", copy).code == 0
    for command in (["resume", copy], ["extend", copy, "--draws", 5]):
        result = gradmc(*command)
        assert result.code == 5
        assert "in format 1; this version goes on with runs of format 3" in result.err
