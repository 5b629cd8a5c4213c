"""Work on other people's engines, with processes that really are others: Dask, joblib, spawned pools."""

import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import gradmc as gm
from gradmc import session
from gradmc.cli.main import run
from gradmc.errors import UsageError
from gradmc.results.reading import open_draws
from gradmc.run import remote
from gradmc.tasks import versions

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::gradmc.session.SamplingWarning"),
    pytest.mark.filterwarnings("ignore:::distributed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Y = [1.0, 2.0, 3.0, -1.0]
CHEAP: dict[str, Any] = {"kernel": "hmc", "metric": "diagonal", "start": "uniform", "chains": 2}  # to compile
SHORT: dict[str, Any] = {**CHEAP, "seed": 3, "warmup": 100, "draws": 400, "progress": "none"}


def declared() -> gm.Model:
    """A model that has no name in a module."""

    @gm.model
    def school(mu: gm.Real, tau: gm.Positive, *, y: gm.Data["n"]) -> float:
        lp = gm.lpdf.normal(mu, 0.0, 5.0) + gm.lpdf.half_cauchy(tau, 5.0)
        for j in range(len(y)):
            lp += gm.observe("y", gm.lpdf.normal(y[j], mu, tau))
        return lp

    return school


SCHOOL = declared()


def value(model: gm.Model) -> float:
    return float(gm.density(model, {"y": Y})([0.5, 0.1]))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two processes of Dask."""
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, **options) as cluster, distributed.Client(cluster) as made:
        yield made


@functools.cache
def local() -> Any:
    """The draws of this process."""
    return gm.sample(SCHOOL, {"y": Y}, **SHORT)


@pytest.mark.parametrize("engine", ["joblib", "spawn", "dask"])
def test_a_model_goes_to_processes(engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "joblib":
        found = joblib.Parallel(2)(joblib.delayed(value)(model) for model in [SCHOOL])
    elif engine == "spawn":
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(value, [SCHOOL]))
    else:
        model, package = SCHOOL, gm

        def fit(k: int) -> float:  # a closure over the package and a model
            return float(package.density(model, {"y": Y})([0.5, 0.1])) + k

        client = request.getfixturevalue("client")
        found = client.gather(client.map(fit, [0]))
        assert client.submit(lambda d: float(d([0.5, 0.1])), gm.density(model, {"y": Y})).result() == value(SCHOOL)
    assert found == [value(SCHOOL)]


def compiled() -> int:
    """How many sampling loops a worker has compiled."""
    from gradmc.density import known

    keys = (key for entries in known._table.values() for entry in entries for key in entry.memory._made)
    return sum(isinstance(key, tuple) and key[0] == "run" for key in keys)


def test_many_fits_on_dask(client: Any) -> None:
    before = client.run(compiled)
    data = [{"y": np.random.default_rng(k).normal(k, 1.0, 4)} for k in range(6)]
    short = {**CHEAP, "warmup": 60, "draws": 20}
    far = gm.sample_many(SCHOOL, data, executor=client, **short)
    assert far["posterior"].ds.equals(gm.sample_many(SCHOOL, data, **short)["posterior"].ds)
    after = client.run(compiled)
    assert all(after[worker] - before[worker] <= 1 for worker in before)
    assert any(after[worker] > before[worker] for worker in before)


@pytest.mark.campaign
def test_calibration_on_dask(client: Any) -> None:
    model = declared()

    @model.simulator
    def simulate(rng: Any, mu: float, tau: float, *, y: Any) -> dict[str, Any]:
        return {"y": rng.normal(mu, tau, len(y))}

    short = {"replications": 20, "ranked": 15, "warmup": 50}
    far = gm.calibrate(model, {"y": Y}, executor=client, **short)
    here = gm.calibrate(model, {"y": Y}, **short)
    for name, ranks in here.ranks.items():
        np.testing.assert_array_equal(far.ranks[name], ranks)


def test_chains_on_dask_make_the_same_draws(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LEG_SECONDS", 0.05)
    far = gm.sample(SCHOOL, {"y": Y}, executor=client, **SHORT)
    for group in ("posterior", "sample_stats", "log_likelihood"):
        assert far[group].ds.equals(local()[group].ds)


@pytest.mark.campaign
def test_workers_that_are_killed_cost_nothing(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL three times in the middle of legs: no draw is lost, none comes twice, and all are the same."""
    killed: list[int] = []
    legs = itertools.count()
    run_chunk = remote.RemoteDriver._run_chunk

    def kill() -> None:
        while not (pids := [pid for pid in client.run(os.getpid).values() if pid not in killed]):
            time.sleep(0.1)
        killed.append(pids[0])
        os.kill(pids[0], signal.SIGKILL)

    def chunk(driver: Any, lane: Any) -> None:
        if next(legs) in (2, 6, 10):
            threading.Timer(0.01, kill).start()
        run_chunk(driver, lane)

    monkeypatch.setattr(remote, "LEG_SECONDS", 0.05)
    monkeypatch.setattr(remote.RemoteDriver, "_run_chunk", chunk)
    options = {**SHORT, "draws": 300_000, "keep": gm.Keep(thin=100)}
    far = gm.sample(SCHOOL, {"y": Y}, executor=client, output=tmp_path / "run", **options)
    assert len(killed) == 3
    here = gm.sample(SCHOOL, {"y": Y}, **options)
    assert far["posterior"].ds.load().equals(here["posterior"].ds)
    assert far["posterior"].sizes["draw"] == 3000


def test_a_worker_of_another_version_is_told(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "versions", lambda: {**versions(), "jax": "0.0.1"})
    with pytest.raises(UsageError, match=r"a worker has jax .* instead of 0\.0\.1: draws could differ; install"):
        gm.sample(SCHOOL, {"y": Y}, executor=client, **SHORT)


def test_a_scheduler_that_dies_leaves_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LEG_SECONDS", 0.05)
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    context = multiprocessing.get_context("spawn")
    address = context.Queue()
    process = context.Process(target=scheduler, args=(address,))
    process.start()
    options = {**SHORT, "draws": 150_000, "output": tmp_path / "run", "keep": gm.Keep(thin=50)}
    try:
        with distributed.Client(address.get(timeout=60)) as client:
            client.wait_for_workers(1, timeout=60)
            run_chunk, legs = remote.RemoteDriver._run_chunk, itertools.count()

            def chunk(driver: Any, lane: Any) -> None:
                if next(legs) == 4:
                    process.kill()
                run_chunk(driver, lane)

            monkeypatch.setattr(remote.RemoteDriver, "_run_chunk", chunk)
            with pytest.raises(remote.ClusterError, match=r"the processes that run the chains are gone .* resume"):
                gm.sample(SCHOOL, {"y": Y}, executor=client, **options)
    finally:
        process.kill()
        process.join()
    assert (tmp_path / "run" / "state" / "chain-0.checkpoint").exists()
    went_on = gm.sample(SCHOOL, {"y": Y}, resume=True, **options)
    options.pop("output")
    assert went_on["posterior"].ds.load().equals(gm.sample(SCHOOL, {"y": Y}, **options)["posterior"].ds)


def scheduler(address: Any) -> None:
    """A scheduler and a worker in one process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
    ) as made:
        address.put(made.scheduler_address)
        time.sleep(600)


MODEL = """
import gradmc as gm


@gm.model
def school(mu: gm.Real, tau: gm.Positive, *, y: gm.Data["n"]):
    lp = gm.lpdf.normal(mu, 0.0, 5.0) + gm.lpdf.half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += gm.observe("y", gm.lpdf.normal(y[j], mu, tau))
    return lp
"""
CONFIG = """
[model]
target = "model.py:school"
[data]
y = [1.0, 2.0, 3.0, -1.0]
[sampler]
chains = 2
warmup = 100
draws = 200
seed = 3
kernel = "hmc"
metric = "diagonal"
start = "uniform"
"""


def test_the_command_line_on_a_cluster(client: Any, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "run.toml").write_text(CONFIG)
    place, address = str(tmp_path / "run.toml"), client.scheduler.address
    far, here = str(tmp_path / "far"), str(tmp_path / "here")
    quiet = ["--progress", "none", "--json"]
    assert run(["sample", place, "--output.dir", far, "--cluster.scheduler", address, *quiet]) == 0
    assert run(["extend", far, "--draws", "100", *quiet]) == 0
    assert run(["sample", place, "--output.dir", here, "--sampler.draws", "300", *quiet]) == 0
    found = [open_draws(Path(d) / "draws.zarr")["posterior"].ds.load() for d in (far, here)]
    assert found[0].equals(found[1])
    assert found[0].sizes["draw"] == 300
    assert (
        run(["sample", place, "--output.dir", far, "--cluster.scheduler", "tcp://127.0.0.1:9", *quiet, "--force"]) == 2
    )
