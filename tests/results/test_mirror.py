"""Runs at addresses: those of a directory, whatever becomes of the process, the store, or who else writes there."""

import io
import itertools
import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc import session
from gradmc.cli.main import run as cli
from gradmc.config.load import load_config
from gradmc.config.target import load_model
from gradmc.errors import ResumeError, UsageError
from gradmc.results import mirror
from gradmc.results.files import StorageError
from gradmc.results.place import Address
from gradmc.results.reading import open_draws
from gradmc.run import driver
from tests.run.test_shards import started, told

SHORT: dict[str, Any] = {"seed": 5, "chains": 2, "warmup": 40, "draws": 30, "progress": "none"}
SHORT |= {"kernel": "hmc", "metric": "diagonal", "start": "uniform"}
ADDRESS = "memory://mirror/run"


@gm.model
def bowl(mu: gm.Real, s: gm.Positive) -> float:
    return gm.lpdf.normal(mu, 0.0, 1.0) + gm.lpdf.gamma(s, 3.0, 2.0)


@pytest.fixture(scope="module")
def here() -> Any:
    return gm.sample(bowl, **{**SHORT, "draws": 300})


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store, and an empty directory for copies."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    memory = fsspec.filesystem("memory")
    yield memory
    if memory.exists("/mirror"):
        memory.rm("/mirror", recursive=True)


def same(one: Any, other: Any) -> bool:
    draws = one["posterior"].sizes["draw"]
    return all(one[g].ds.load().equals(other[g].ds.isel(draw=slice(draws))) for g in ("posterior", "sample_stats"))


def test_a_run_at_an_address_is_that_of_a_directory(here: Any, tmp_path: Path, files: Any) -> None:
    made = gm.sample(bowl, output=ADDRESS, **SHORT)
    assert same(made, here)
    longer = gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 50})
    assert longer["posterior"].sizes["draw"] == 50
    assert same(longer, here)
    assert list(tmp_path.iterdir()) == [], "copies do not stay"
    there = {str(path).removeprefix("/mirror/run/") for path in files.find("/mirror/run")}
    assert {"manifest.json", "given", "log.jsonl", "state/chain-0.checkpoint", "draws.zarr/zarr.json"} <= there
    assert not {path for path in there if path.startswith("writer") or path.endswith(("lock", "partial"))}
    with pytest.raises(UsageError, match=r"memory://mirror/run holds a run already; use resume=True"):
        gm.sample(bowl, output=ADDRESS, **SHORT)


def test_in_the_background(here: Any) -> None:
    handle = gm.start(bowl, output=ADDRESS, **SHORT)
    assert same(handle.result(), here)
    assert same(handle.draws(), here)
    handle.extend(20)
    assert handle.result()["posterior"].sizes["draw"] == 50
    assert same(handle.draws(), here)


class Diary:
    """Notes what is put to a store, so that any moment can be gone back to."""

    def __init__(self, files: Any, patch: pytest.MonkeyPatch) -> None:
        self.notes: list[tuple[str, bytes | None]] = []
        self.files = files
        write, delete = Address.write, Address.delete

        def noted(place: Address, name: str, content: bytes) -> None:
            write(place, name, content)
            self.notes.append((name, content))

        def gone(place: Address, name: str) -> None:
            delete(place, name)
            self.notes.append((name, None))

        patch.setattr(Address, "write", noted)
        patch.setattr(Address, "delete", gone)

    def go_back(self, notes: list[tuple[str, bytes | None]]) -> None:
        """Make the store what it was after these."""
        if self.files.exists("/mirror/run"):
            self.files.rm("/mirror/run", recursive=True)
        for name, content in notes:
            path = f"/mirror/run/{name}"
            if content is not None:
                self.files.pipe_file(path, content)
            elif self.files.exists(path):
                self.files.rm_file(path)


def test_a_machine_may_be_lost_at_any_moment(here: Any, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each file that is put the address has a run that goes on to the same draws; so has one that goes on."""
    monkeypatch.setattr(mirror, "PUT_SECONDS", 0.02)
    monkeypatch.setattr(mirror, "STALE_SECONDS", 0.0)
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(driver, "CHUNK_SECONDS", 0.005)
    diary = Diary(files, monkeypatch)

    def finish() -> list[tuple[str, bytes | None]]:
        """Go on to the end, and give what was put."""
        diary.notes = []
        assert same(gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 300}), here)
        return list(diary.notes)

    first = finish()
    states = sum(name == "state/chain-0.checkpoint" for name, _ in first)
    assert states > 1, "it was put while it went on"
    halves = [first[:2], *(first[: len(first) * k // 6] for k in range(1, 6))]
    for before in halves:
        diary.go_back(before)
        again = before + finish()
        cut = len(before) + 2 * (len(again) - len(before)) // 3
        diary.go_back(again[:cut])
        finish()


def marked(files: Any, age: float) -> None:
    told = {"token": "other", "pid": 12, "host": "elsewhere", "since": "today", "renewed": time.time() - age}
    files.pipe_file("/mirror/run/writer.json", json.dumps(told).encode())


def test_one_process_at_a_time_writes(here: Any, files: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gm.sample(bowl, output=ADDRESS, **SHORT)
    marked(files, age=5.0)
    with pytest.raises(ResumeError, match="mirror/run is in use by process 12 on elsewhere, since today; wait for it"):
        gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 50})
    wanted: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Address, "read", lambda place, name, read=Address.read: wanted.append(name) or read(place, name))
        assert cli(["status", ADDRESS]) == 0
    assert "manifest.json" in wanted
    assert not any(name.startswith("draws") for name in wanted), "which may be large"
    assert "(process 12 on elsewhere)" in capsys.readouterr().out
    marked(files, age=mirror.STALE_SECONDS + 1.0)
    assert gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 50})["posterior"].sizes["draw"] == 50

    record = session.Job._record
    monkeypatch.setattr(session.Job, "_record", lambda job, *given: (marked(files, age=0.0), record(job, *given))[1])
    with pytest.raises(ResumeError, match="in use by process 12"):
        gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 60})
    assert json.loads(files.cat_file("/mirror/run/writer.json"))["token"] == "other"


@pytest.mark.parametrize("error", [PermissionError(13, "Access Denied"), RuntimeError("no credentials")])
def test_a_store_that_refuses_costs_no_draw(here: Any, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, count = type(fsspec.filesystem("memory")), itertools.count()
    put = memory.pipe_file

    def refuse(files: Any, path: str, value: bytes, **options: Any) -> None:
        if next(count) > 20:
            raise error
        put(files, path, value, **options)

    monkeypatch.setattr(memory, "pipe_file", refuse)
    why = "Access Denied" if isinstance(error, OSError) else "no credentials"
    with pytest.raises(StorageError, match=f"cannot use memory://mirror/run/.*: {why}.*The run is kept in") as raised:
        gm.sample(bowl, output=ADDRESS, **SHORT)
    assert StorageError.exit_code == 75
    found = re.search("kept in ([^ :]*)", str(raised.value))
    assert found is not None
    assert same(gm.sample(bowl, output=found[1], resume=True, **SHORT), here)
    monkeypatch.setattr(memory, "pipe_file", put)
    monkeypatch.setattr(mirror, "STALE_SECONDS", 0.0)
    assert same(gm.sample(bowl, output=ADDRESS, resume=True, **SHORT), here)


def test_what_is_not_a_run_is_left_alone(here: Any, files: Any) -> None:
    files.pipe_file("/mirror/run/draws.zarr/thesis", b"years")
    for _ in range(2):
        with pytest.raises(UsageError, match="mirror/run holds something that is not a run; choose another"):
            gm.sample(bowl, output=ADDRESS, **SHORT)
    assert files.find("/mirror/run") == ["/mirror/run/draws.zarr/thesis"]


CONFIG = """
[model]
target = "model.py:bowl"
[sampler]
chains = 2
warmup = 40
draws = 30
seed = 5
kernel = "hmc"
metric = "diagonal"
start = "uniform"
[output]
dir = "memory://mirror/run"
"""
MODEL = """
import gradmc as gm


@gm.model
def bowl(mu: gm.Real, s: gm.Positive) -> float:
    return gm.lpdf.normal(mu, 0.0, 1.0) + gm.lpdf.gamma(s, 3.0, 2.0)
"""


def test_the_command_line(here: Any, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "run.toml").write_text(CONFIG)
    assert cli(["sample", str(tmp_path / "run.toml"), "--progress", "none"]) == 0
    assert f"Draws: {ADDRESS}/draws.zarr" in capsys.readouterr().out
    assert cli(["sample", str(tmp_path / "run.toml")]) == 2
    assert f"{ADDRESS} holds a run already" in capsys.readouterr().err
    assert cli(["extend", ADDRESS, "--draws", "20", "--progress", "none"]) == 0
    assert cli(["sample", str(tmp_path / "run.toml"), "--resume", "--sampler.draws", "50", "--progress", "none"]) == 0
    capsys.readouterr()
    assert cli(["summary", ADDRESS, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["directory"], shown["status"], shown["summary"]["draws"]) == (ADDRESS, "finished", 50)
    assert cli(["export", ADDRESS, str(tmp_path / "draws.csv")]) == 0
    assert len((tmp_path / "draws.csv").read_text().splitlines()) == 101
    assert cli(["report", ADDRESS]) == 2
    assert "name a file for the report" in capsys.readouterr().err
    assert cli(["report", ADDRESS, str(tmp_path / "report.html")]) == 0
    assert cli(["summary", "memory://mirror/nothing"]) == 2
    assert "no such run: memory://mirror/nothing" in capsys.readouterr().err
    assert cli(["summary", "nowhere://mirror/run"]) == 2
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} <= {"__pycache__"}, "no copies, no runs"


PREDICTING = """
[model]
target = "model.py:rows"
[data]
y = [1.0, 2.5, 0.5, 1.5, 2.0, 1.0]
[sampler]
chains = 2
warmup = 40
draws = 30
seed = 5
kernel = "hmc"
metric = "diagonal"
start = "uniform"
[optimize]
method = "adam"
epochs = 3
batch = { n = 2 }
dir = "memory://mirror/mode"
[output]
dir = "memory://mirror/run"
"""
ROWS = """
import gradmc as gm


@gm.model
def rows(mu: gm.Real, *, y: gm.Data["n"]) -> float:
    lp = gm.lpdf.normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", gm.lpdf.normal(y[i], mu, 1.0))
    return lp


@rows.simulator
def simulate(rng, mu, *, y):
    return {"y": rng.normal(mu, 1.0, size=len(y))}
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A configuration whose run and descent go to addresses."""
    (tmp_path / "model.py").write_text(ROWS)
    (tmp_path / "run.toml").write_text(PREDICTING)
    return tmp_path / "run.toml"


def test_prediction_export_and_warm_start_at_an_address(configured: Path, tmp_path: Path, capsys: Any) -> None:
    assert cli(["sample", str(configured), "--progress", "none"]) == 0
    assert cli(["predict", ADDRESS]) == 0
    assert f"Stored y in group posterior_predictive of {ADDRESS}" in capsys.readouterr().out
    draws = open_draws(f"{ADDRESS}/draws.zarr")
    assert draws["posterior_predictive"]["y"].shape == (2, 30, 6)

    for name in ("draws.zarr", "draws.csv"):
        assert cli(["export", ADDRESS, f"memory://mirror/copies/{name}"]) == 0
        assert cli(["export", ADDRESS, f"memory://mirror/copies/{name}"]) == 2
        assert f"memory://mirror/copies/{name} exists already; use --force" in capsys.readouterr().err
        assert cli(["export", ADDRESS, f"memory://mirror/copies/{name}", "--force"]) == 0
    copy = xr.open_datatree("memory://mirror/copies/draws.zarr", engine="zarr", consolidated=False)
    assert copy["posterior"].ds.load().equals(draws["posterior"].ds.load())
    assert copy["posterior_predictive"].ds.load().equals(draws["posterior_predictive"].ds.load())
    assert len(Address("memory://mirror/copies").read("draws.csv").splitlines()) == 61  # type: ignore[union-attr]

    local, there = ["--output.dir", str(tmp_path / "next")], ["--sampler.warm_start", ADDRESS]
    assert cli(["sample", str(configured), "--progress", "none", "--sampler.warmup", "10", *local, *there]) == 0
    manifest = json.loads((tmp_path / "next" / "manifest.json").read_text())
    assert manifest["config"]["sampler"]["warm_start"] == ADDRESS
    gone = ["--output.dir", str(tmp_path / "other"), "--sampler.warm_start", "memory://mirror/none"]
    assert cli(["sample", str(configured), "--progress", "none", *gone]) == 2
    assert "no such run: memory://mirror/none" in capsys.readouterr().err


def test_a_descent_at_an_address_goes_on_there(configured: Path, capsys: Any) -> None:
    command = ["optimize", str(configured), "--progress", "none"]
    assert cli([*command, "--optimize.epochs", "2"]) == 0
    names = Address("memory://mirror/mode").all_names()
    assert "optimum.npz" in names
    assert "writer.json" not in names
    assert cli(command) == 5
    assert "memory://mirror/mode holds a descent already" in capsys.readouterr().err
    assert cli([*command, "--resume"]) == 0
    at_once = gm.optimize(**descent_of(configured), epochs=3)
    found = np.load(io.BytesIO(Address("memory://mirror/mode").read("optimum.npz") or b""))
    assert len(found["history.log_density"]) == 3
    assert found["mu"] == at_once.values["mu"], "that of a descent without interruption"


def descent_of(path: Path) -> dict[str, Any]:
    """The arguments of `gm.optimize` for a configuration."""
    config = load_config(path, [], {}).config
    chosen = {"method": "adam", "batch": {"n": 2}, "seed": 5, "progress": "none"}
    return {"model": load_model(config.model.target), "data": {"y": config.data["y"]}, **chosen}


def at_s3(what: str) -> dict[str, Any]:
    """What came of it on a server of S3."""
    return told([started("tests.results.at_s3", what)])


@pytest.mark.slow
def test_a_server_of_s3() -> None:
    assert at_s3("run") == {"same": True, "copied": True, "status": "finished", "writer": False}


@pytest.mark.slow
def test_commands_on_a_server_of_s3() -> None:
    found = at_s3("commands")
    commands = ("sample", "status", "extend", "resume", "summary", "export", "report")
    assert [found[name] for name in commands] == [0] * 7, found
    assert (found["copied"], found["lines"]) == (50, 101)
    code, said = found["summary elsewhere"]
    assert (code, said.strip()) == (2, NO_RUN)
    code, said = found["sample elsewhere"]
    assert code == 75
    assert "cannot use s3://no-bucket/run/writer.json: The specified bucket does not exist" in said
    assert not found["made"], "no bucket is made for a typing error"


NO_RUN = "error: no such run: s3://no-bucket/run; expected the output directory of `gradmc sample`"


@pytest.mark.slow
def test_many_fits_on_a_server_of_s3() -> None:
    assert at_s3("many") == {"same": True, "fits": 3, "kept": True}


@pytest.mark.slow
@pytest.mark.parametrize(("what", "why"), [("gone", "Could not connect to the endpoint"), ("denied", "Access Key")])
def test_a_server_of_s3_that_refuses_costs_no_draw(what: str, why: str) -> None:
    found = at_s3(what)
    assert "cannot use s3://bucket/here/run/" in found["said"]
    assert why in found["said"]
    assert (found["code"], found["same"]) == (75, True)
