"""Status, export, predict, optimize, completion, warm start, stop rules."""

import csv
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gradmc.results.lock import locked
from gradmc.results.sealed import seal
from gradmc.run import preparing
from gradmc.run.progress import ChainStatus, NoProgress
from gradmc.run.progress_file import FileProgress
from gradmc.run.stopping import Monitor
from tests.cli.conftest import Gradmc


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return Path(shutil.copytree(finished.parent, tmp_path / "copy")) / "out"


def test_status_of_a_finished_run(finished: Path, gradmc: Gradmc) -> None:
    result = gradmc("status", finished)
    assert result.code == 0
    assert f"{finished}: finished" in result.out
    assert "chain 1: done     400/400" in result.out
    content = gradmc("status", finished, "--json").json
    assert content["status"] == "finished"
    assert content["process"] is None
    assert content["progress"]["chains"][0]["done"] == 400


def test_the_ess_so_far_is_that_of_an_unfinished_run(copy: Path, gradmc: Gradmc) -> None:
    progress = copy / "state" / "progress.json"
    progress.write_text(json.dumps(seal(json.loads(progress.read_text()) | {"ess": 12.0})))
    assert "so far" not in gradmc("status", copy).out
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(seal(manifest | {"status": "running"})))
    assert "ESS 12 so far" in gradmc("status", copy).out


def test_status_tells_running_from_killed(copy: Path, gradmc: Gradmc) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(seal(manifest | {"status": "running"})))
    assert gradmc("status", copy, "--json").json["status"] == "killed"
    with locked(copy / "state" / "lock"):
        running = gradmc("status", copy, "--json").json
        assert gradmc("resume", copy).code == 5
    assert running["status"] == "running"
    assert running["process"]["pid"] > 0


def test_export_to_a_table(finished: Path, gradmc: Gradmc, tmp_path: Path) -> None:
    tree = xr.open_datatree(finished / "draws.zarr", engine="zarr")
    assert gradmc("export", finished, tmp_path / "d.csv", "-g", "posterior", "-g", "log_likelihood").code == 0
    with open(tmp_path / "d.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["chain", "draw", "mu", "sigma", "double", *(f"y[{i}]" for i in range(5))]
    assert [float(row["mu"]) for row in table] == tree["posterior"]["mu"].values.ravel().tolist()
    assert float(table[301]["y[3]"]) == tree["log_likelihood"]["y"].values[1, 1, 3]
    parquet = pytest.importorskip("pyarrow.parquet")
    assert gradmc("export", finished, tmp_path / "d.parquet").code == 0
    columns = parquet.read_table(tmp_path / "d.parquet")
    assert columns["sigma"].to_pylist() == [float(row["sigma"]) for row in table]


def test_export_to_netcdf(finished: Path, gradmc: Gradmc, tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf")
    pytest.importorskip("h5py")
    assert gradmc("export", finished, tmp_path / "d.nc").code == 0
    tree = xr.open_datatree(finished / "draws.zarr", engine="zarr")
    copy = xr.open_datatree(tmp_path / "d.nc", engine="h5netcdf")
    for node in tree.subtree:
        for name, array in node.data_vars.items():
            assert np.array_equal(array.values, copy[node.path][name].values)
    assert copy.attrs["seed"] == 5


@pytest.mark.parametrize(
    ("file", "message"),
    [("d.xls", "expected a file that ends in .nc, .zarr, .csv, .parquet"), ("no/d.csv", "no such directory")],
)
def test_export_refuses(finished: Path, gradmc: Gradmc, tmp_path: Path, file: str, message: str) -> None:
    result = gradmc("export", finished, tmp_path / file)
    assert result.code == 2
    assert message in result.err
    assert not list(tmp_path.iterdir())


def test_export_does_not_overwrite(finished: Path, gradmc: Gradmc, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("mine")
    assert gradmc("export", finished, tmp_path / "d.csv").code == 2
    assert (tmp_path / "d.csv").read_text() == "mine"
    assert "no group prior in the run" in gradmc("export", finished, tmp_path / "e.csv", "-g", "prior").err


def test_predictions_stand_beside_the_draws_until_there_are_more(copy: Path, gradmc: Gradmc) -> None:
    assert gradmc("predict", copy, "--seed", 3).code == 0
    tree = xr.open_datatree(copy / "draws.zarr", engine="zarr")
    y = tree["posterior_predictive"]["y"]
    assert y.dims == ("chain", "draw", "n")
    assert y.shape == (2, 300, 5)
    rng = np.random.default_rng([3, 1, 299])
    mu, sigma = (float(tree["posterior"][name].values[1, 299]) for name in ("mu", "sigma"))
    assert y.values[1, 299].tolist() == rng.normal(mu, sigma, size=5).tolist()
    before = y.values
    assert gradmc("predict", copy, "--seed", 4).code == 0
    after = xr.open_datatree(copy / "draws.zarr", engine="zarr")["posterior_predictive"]["y"]
    assert not np.array_equal(before, after.values)
    assert gradmc("extend", copy, "--draws", 10, "--progress=none").code == 0
    extended = xr.open_datatree(copy / "draws.zarr", engine="zarr")
    assert "posterior_predictive" not in extended.children
    assert extended["posterior"].sizes["draw"] == 310


def test_predict_without_a_simulator(project: Path, gradmc: Gradmc) -> None:
    model = project / "model.py"
    model.write_text(model.read_text().split("@line.simulator")[0])
    assert gradmc("sample", project / "run.toml", "--progress=none", "--sampler.draws=20").code == 0
    result = gradmc("predict", project / "out")
    assert result.code == 2
    assert "model line has no simulator; write one under `@line.simulator`" in result.err


def test_predict_shows_a_simulator_that_raises(project: Path, gradmc: Gradmc) -> None:
    model = project / "model.py"
    model.write_text(model.read_text().replace("size=len(y)", "size=len(z)"))
    assert gradmc("sample", project / "run.toml", "--progress=none", "--sampler.draws=20").code == 0
    result = gradmc("predict", project / "out")
    assert result.code == 3
    assert "NameError" in result.err


def test_optimize_finds_the_mode(project: Path, gradmc: Gradmc) -> None:
    """With a flat enough prior the mode of a normal is the mean and (biased) deviation of the data."""
    model = project / "model.py"
    flat = model.read_text().replace("normal(mu, 0.0, 10.0) + normal(sigma, 0.0, 5.0)", "0.0")
    model.write_text(flat)
    y = np.array([1.0, 2.5, 0.5, 1.5, 2.0])
    result = gradmc("optimize", project / "run.toml", "--json").json
    assert result["converged"]
    mu, sigma = result["parameters"]
    assert mu["mode"] == pytest.approx(y.mean(), abs=1e-5)
    assert sigma["mode"] == pytest.approx(y.std(), abs=1e-5)
    assert mu["se"] == pytest.approx(y.std() / np.sqrt(5), rel=1e-4)
    assert sigma["se"] == pytest.approx(y.std() / np.sqrt(10), rel=1e-3)
    drawn = gradmc("optimize", project / "run.toml", "--draws", 4000, "--json").json
    assert drawn["jacobian"]
    mean, error = drawn["parameters"][0]["mean"], drawn["parameters"][0]["sd"]
    assert abs(mean - drawn["parameters"][0]["mode"]) < 6 * error / np.sqrt(4000)


def test_optimize_says_where_there_is_no_maximum(project: Path, gradmc: Gradmc) -> None:
    (project / "data.json").write_text('{"y": [1.0, 1.0, 1.0]}')
    result = gradmc("optimize", project / "run.toml")
    assert result.code == 3
    assert "NOT CONVERGED" in result.out
    assert "sigma" in result.out


def test_optimize_descends_by_batches_and_goes_on(project: Path, gradmc: Gradmc) -> None:
    """Adam reaches the mode of L-BFGS, keeps it on disk, and with --resume ends where one run does."""
    y = np.random.default_rng(1).normal(1.5, 0.7, 60)
    (project / "data.json").write_text(json.dumps({"y": y.tolist()}))
    config = project / "run.toml"
    mode = gradmc("optimize", config, "--json").json
    config.write_text(
        config.read_text() + '\n[optimize]\nmethod = "adam"\nbatch = { n = 20 }\nepochs = 200\nlearning_rate = 0.05\n'
        'schedule = "cosine"\ndir = "mode"\n'
    )
    found = gradmc("optimize", config, "--progress=none", "--json").json
    assert found["method"] == "adam"
    assert len(found["history"]["log_density"]) == 200
    for row, wanted in zip(found["parameters"], mode["parameters"], strict=True):
        assert row["mode"] == pytest.approx(wanted["mode"], abs=wanted["se"] / 2)
    kept = np.load(project / "mode" / "optimum.npz")
    assert float(kept["mu"]) == found["parameters"][0]["mode"]
    assert gradmc("optimize", config, "--progress=none").code == 5, "it has been there already"
    again = gradmc("optimize", config, "--progress=none", "--resume", "--json").json
    assert again["parameters"] == found["parameters"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--optimize.dir", "mode"], "optimize.dir"),
        (["--optimize.epochs", "5", "--optimize.schedule", "cosine"], "optimize.epochs, optimize.schedule"),
        (["--resume"], "--resume"),
        (["--resume", "--optimize.method", "adam"], "optimize.dir"),
    ],
)
def test_optimize_refuses_by_their_names_here_what_it_would_not_heed(
    project: Path, gradmc: Gradmc, options: list[str], named: str
) -> None:
    result = gradmc("optimize", project / "run.toml", *options)
    assert result.code == 2
    assert named in result.err
    assert "output" not in result.err


def test_warm_start_keeps_the_mass_matrix(project: Path, copy: Path, gradmc: Gradmc) -> None:
    from gradmc.results.checkpoint import load_checkpoint

    options = ["--sampler.warmup=30", f"--sampler.warm_start={copy}", "--progress=none", "--sampler.draws=40"]
    assert gradmc("sample", project / "run.toml", *options).code == 0
    before, after = (load_checkpoint(run / "state", 1) for run in (copy, project / "out"))
    assert before is not None
    assert after is not None
    names = [name for name in before.arrays if name.startswith(".chain.adapted.metric")]
    assert names
    for name in names:
        assert np.array_equal(before.arrays[name], after.arrays[name])
    shutil.rmtree(copy)
    assert gradmc("extend", project / "out", "--draws", 5, "--progress=none").code == 0


def test_a_damaged_warm_start_is_named(project: Path, copy: Path, gradmc: Gradmc) -> None:
    damaged = sorted((copy / "state").glob("chain-*"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:50])
    result = gradmc("sample", project / "run.toml", f"--sampler.warm_start={copy}", "--progress=none")
    assert result.code == 5
    assert f"{damaged[0]} is damaged; restore it, or name another run" in result.err
    assert not (project / "out").exists()


def test_status_of_a_run_whose_progress_is_gone(copy: Path, gradmc: Gradmc) -> None:
    (copy / "state" / "progress.json").unlink()
    assert "how far its chains came is not known: state/progress.json is gone" in gradmc("status", copy).out


@pytest.mark.parametrize("start", ["nowhere", "dense"])
def test_warm_start_from_something_else(project: Path, copy: Path, gradmc: Gradmc, start: str) -> None:
    options = {
        "nowhere": [f"--sampler.warm_start={copy}x"],
        "dense": [f"--sampler.warm_start={copy}", "--sampler.metric=dense"],
    }[start]
    result = gradmc("sample", project / "run.toml", *options, "--progress=none")
    assert result.code == 2
    assert {"nowhere": "no such directory", "dense": "use the same sampler.metric"}[start] in result.err


def test_a_target_stops_the_run_early(project: Path, gradmc: Gradmc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradmc.run.driver.CHUNK_SECONDS", 0.02)
    monkeypatch.setattr("gradmc.results.zarr_store.FLUSH_SECONDS", 0.05)
    y = np.random.default_rng(0).normal(size=2000).tolist()  # so that a draw takes a while
    (project / "data.json").write_text(json.dumps({"y": y}))
    limits = ["--stop.ess=200", "--sampler.draws=300000", "--output.exclude=['log_likelihood/*']"]
    options = [*limits, "--progress=none", "--json"]
    result = gradmc("sample", project / "run.toml", *options)
    assert result.code == 0
    assert result.json["status"] == "reached"
    draws = result.json["summary"]["draws"]
    assert 100 <= draws < 300000
    assert all(min(r["ess_bulk"], r["ess_tail"]) > 150 for r in result.json["summary"]["rows"])
    resumed = gradmc("resume", project / "out", "--json").json
    assert resumed["summary"]["draws"] == draws


def test_the_time_budget_counts_compiling(project: Path, gradmc: Gradmc, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float] = []
    compiling: list[float] = []

    def compile_run(*arguments: Any, **options: Any) -> Any:
        compiling.append(time.monotonic())
        return gradmc_compile_run(*arguments, **options)

    def monitor(*arguments: Any, **options: Any) -> Monitor:
        made = Monitor(*arguments, **options)
        began.append(made.began)
        return made

    gradmc_compile_run = preparing.compile_run
    monkeypatch.setattr(preparing, "compile_run", compile_run)
    monkeypatch.setattr("gradmc.run.recorded.Monitor", monitor)
    assert gradmc("sample", project / "run.toml", "--stop.seconds=100", "--progress=none").code == 0
    assert max(began) < min(compiling)


def test_completion(gradmc: Gradmc) -> None:
    for shell in ("bash", "zsh", "fish"):
        result = gradmc("completion", shell)
        assert result.code == 0
        assert "gradmc" in result.out


def test_progress_for_other_processes(tmp_path: Path) -> None:
    display = FileProgress(tmp_path / "progress.json", NoProgress())
    display.start(1)
    display.update(ChainStatus(0, "sampling", 5, 10))
    display.show_ess(3.5)
    display.close()
    content = json.loads((tmp_path / "progress.json").read_text())
    assert content["ess"] == 3.5
    assert content["chains"][0]["step_size"] is None
    gone = FileProgress(tmp_path / "gone" / "progress.json", NoProgress())
    gone.start(1)
    gone.update(ChainStatus(0, "sampling", 5, 10))
    gone.close()
