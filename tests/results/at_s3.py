"""Runs at addresses of S3, on a server that speaks its protocol: run by `test_mirror` in a process of its own.

What is done there is named by the first argument.
"""

import contextlib
import io
import itertools
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import moto.settings
import xarray as xr
from moto.server import ThreadedMotoServer

import gradmc as gm
from gradmc.cli.main import run as cli
from gradmc.results.files import StorageError
from gradmc.results.mirror import reading
from gradmc.results.place import Address
from gradmc.results.reading import open_draws
from tests.results.test_mirror import CONFIG, MODEL, SHORT, bowl

ADDRESS = "s3://bucket/here/run"


@contextlib.contextmanager
def served() -> Iterator[ThreadedMotoServer]:
    """A server with one bucket, which fsspec takes for S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    secrets = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(secrets, AWS_ENDPOINT_URL=f"http://{host}:{port}", AWS_MAX_ATTEMPTS="1")
    fsspec.filesystem("s3").mkdir("bucket")
    yield server
    with contextlib.suppress(RuntimeError):  # it is stopped already
        server.stop()


def run(server: ThreadedMotoServer) -> dict[str, Any]:
    """A run there, and the same one that goes on, beside that of a directory."""
    here = gm.sample(bowl, **{**SHORT, "draws": 50})
    gm.sample(bowl, output=ADDRESS, **SHORT)
    longer = gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 50})
    with reading(ADDRESS) as made:
        status = made.read_manifest()["status"]
        copied = open_draws(made.draws)["posterior"].ds.load()
    return {
        "same": longer["posterior"].ds.load().equals(here["posterior"].ds),
        "copied": copied.equals(here["posterior"].ds),
        "status": status,
        "writer": fsspec.filesystem("s3").exists(f"{ADDRESS}/writer.json"),
    }


def commands(server: ThreadedMotoServer) -> dict[str, Any]:
    """Exit codes of the commands on a run there, and of those that name a bucket that is not there."""
    codes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "model.py").write_text(MODEL)
        (place / "run.toml").write_text(CONFIG.replace("memory://mirror/run", ADDRESS))
        quiet = ["--progress", "none"]
        for name, *given in (
            ("sample", str(place / "run.toml"), *quiet),
            ("status", ADDRESS),
            ("extend", ADDRESS, "--draws", "20", *quiet),
            ("resume", ADDRESS, *quiet),
            ("summary", ADDRESS),
            ("export", ADDRESS, "s3://bucket/copies/draws.zarr"),
            ("export", ADDRESS, "s3://bucket/copies/draws.csv"),
            ("report", ADDRESS, str(place / "report.html")),
        ):
            codes[name] = cli([name, *given])
        copy = xr.open_datatree("s3://bucket/copies/draws.zarr", engine="zarr", consolidated=False)
        codes["copied"] = copy["posterior"].sizes["draw"]
        lines = (Address("s3://bucket/copies").read("draws.csv") or b"").splitlines()
        codes["lines"] = len(lines)
        nowhere = "s3://no-bucket/run"
        for name, *given in (
            ("summary", nowhere),
            ("sample", str(place / "run.toml"), "--output.dir", nowhere, *quiet),
        ):
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                codes[f"{name} elsewhere"] = [cli([name, *given]), told.getvalue()]
    codes["made"] = fsspec.filesystem("s3").exists("no-bucket")
    return codes


def many(server: ThreadedMotoServer) -> dict[str, Any]:
    """Many fits there, and how many of them the same call makes again."""
    data = {name: {"y": [float(k), k + 1.0]} for k, name in enumerate("abc")}

    @gm.model
    def site(mu: gm.Real, *, y: gm.Data["n"]) -> float:
        return gm.lpdf.normal(mu, 0.0, 1.0) + gm.lpdf.normal(y, mu, 1.0)

    short = {"chains": 2, "warmup": 40, "draws": 30, "kernel": "hmc", "metric": "diagonal", "start": "uniform"}
    here = gm.sample_many(site, data, **short)["posterior"].ds
    there = gm.sample_many(site, data, output="s3://bucket/many", **short)["posterior"].ds.load()
    stamps = fsspec.filesystem("s3").find("bucket/many/fits", detail=True)
    gm.sample_many(site, data, output="s3://bucket/many", **short)
    fsspec.filesystem("s3").invalidate_cache()
    again = fsspec.filesystem("s3").find("bucket/many/fits", detail=True)
    same = {name: f["LastModified"] for name, f in stamps.items()} == {n: f["LastModified"] for n, f in again.items()}
    return {"same": there.equals(here), "fits": len(stamps), "kept": same}


def gone(server: ThreadedMotoServer) -> dict[str, Any]:
    """The server is gone in the middle of a run."""
    return refused(server.stop)


def denied(server: ThreadedMotoServer) -> dict[str, Any]:
    """The server takes the key no longer, in the middle of a run."""

    def deny() -> None:
        """Let it ask from now on whose key it is, which is nobody's."""
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    return refused(deny)


def refused(refuse: Callable[[], None]) -> dict[str, Any]:
    """What is said of a run whose fifth file, and what comes after, is refused, and whether its copy goes on."""
    here = gm.sample(bowl, **SHORT)
    write, count = Address.write, itertools.count()

    def cut(place: Address, name: str, content: bytes) -> None:
        if next(count) == 4:
            refuse()
        write(place, name, content)

    Address.write = cut
    try:
        gm.sample(bowl, output=ADDRESS, **SHORT)
    except StorageError as error:
        said = str(error)
    else:
        return {"said": "nothing"}
    copy = Path(said.partition("kept in ")[2].partition(":")[0])
    again = gm.sample(bowl, output=copy, resume=True, **SHORT)["posterior"].ds.load()
    shutil.rmtree(copy.parent)
    return {"said": said, "code": StorageError.exit_code, "same": again.equals(here["posterior"].ds)}


if __name__ == "__main__":
    with served() as made:
        found = {"run": run, "commands": commands, "many": many, "gone": gone, "denied": denied}[sys.argv[1]](made)
    print(json.dumps(found))
