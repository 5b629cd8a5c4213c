"""A run at an address of S3, on a server that speaks its protocol: run by `test_mirror` in a process of its own."""

import json
import logging
import os

import fsspec
from moto.server import ThreadedMotoServer

import gradmc as gm
from gradmc.results.mirror import reading
from gradmc.results.reading import open_draws
from tests.results.test_mirror import SHORT, bowl

ADDRESS = "s3://bucket/here/run"


def main() -> None:
    """Print what came of a run there, and of the same one that goes on."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    secrets = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(secrets, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    files = fsspec.filesystem("s3")
    files.mkdir("bucket")
    here = gm.sample(bowl, **{**SHORT, "draws": 50})
    gm.sample(bowl, output=ADDRESS, **SHORT)
    longer = gm.sample(bowl, output=ADDRESS, resume=True, **{**SHORT, "draws": 50})
    with reading(ADDRESS) as run:
        status = run.read_manifest()["status"]
        copied = open_draws(run.draws)["posterior"].ds.load()
    told = {
        "same": longer["posterior"].ds.load().equals(here["posterior"].ds),
        "copied": copied.equals(here["posterior"].ds),
        "status": status,
        "writer": files.exists(f"{ADDRESS}/writer.json"),
    }
    print(json.dumps(told))
    server.stop()


if __name__ == "__main__":
    main()
