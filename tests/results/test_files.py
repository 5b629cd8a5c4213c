"""Files are replaced in one step, errors of the disk become advice, one process writes at a time."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gradmc.errors import ResumeError, UsageError
from gradmc.results.files import StorageError, atomic_write, make_parents, storage_errors
from gradmc.results.lock import holder, locked
from gradmc.results.manifest import config_changes, hash_data
from gradmc.results.run_directory import RunDirectory, open_run


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=r"the disk is full: cannot write .*`gradmc resume`"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_threads_that_write_one_file_at_once_leave_it_whole(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([65 + k]) * (200_000 if k % 2 else 20) for k in range(8)]

    def write(content: bytes) -> None:
        for _ in range(50):
            atomic_write(path, content, durable=False)
            assert path.read_bytes() in contents

    with ThreadPoolExecutor(len(contents)) as threads:
        list(threads.map(write, contents))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EROFS, "no permission to write"),
        (errno.EDQUOT, "the disk is full"),
        (errno.ENOENT, "has vanished during the run"),
        (errno.EIO, "cannot write"),
    ],
)
def test_errors_of_the_disk_become_advice(code: int, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught, storage_errors(Path("/x/y")):
        raise OSError(code, os.strerror(code))
    assert caught.value.exit_code == 75


def test_a_vanished_directory_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has vanished"):
        make_parents(tmp_path / "gone" / "a" / "b", tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    (tmp_path / "run" / "state").mkdir(parents=True)
    path = tmp_path / "run" / "state" / "lock"
    assert holder(path) is None
    with locked(path) as left:
        assert left is None
        with (
            pytest.raises(ResumeError, match=rf"{tmp_path}/run is in use by process {os.getpid()} on "),
            locked(path),
        ):
            pass
        owner = holder(path)
        assert owner is not None
        assert owner["pid"] == os.getpid()
    assert holder(path) is None
    with locked(path) as left:
        assert left is None


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import os, sys; from pathlib import Path; from gradmc.results.lock import locked\n"
        f"with locked(Path({str(path)!r})): os.kill(os.getpid(), 9)"
    )
    dead = subprocess.Popen([sys.executable, "-c", code])
    dead.wait()
    assert holder(path) is None
    with locked(path) as left:
        assert left is not None
        assert left["pid"] == dead.pid


def test_only_runs_are_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        open_run(tmp_path / "x")
    with pytest.raises(UsageError, match="is not a run directory"):
        open_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ResumeError, match=r"cannot read .*manifest.json"):
        open_run(tmp_path)


def test_a_manifest_that_is_gone_is_told_from_none(tmp_path: Path) -> None:
    """Also where no draw was stored yet: the log is written after it."""
    run = RunDirectory(tmp_path)
    run.prepare()
    run.write_json(run.manifest, {"a": 1})
    run.note("start", draws=3)
    run.manifest.unlink()
    with pytest.raises(ResumeError, match=r"manifest\.json is gone; restore it, or start a new run"):
        open_run(tmp_path)


def test_clearing_spares_what_is_not_of_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.prepare()
    run.write_json(run.manifest, {"a": 1})
    run.note("start", draws=3)
    (run.draws / "posterior").mkdir(parents=True)
    (run.state / "chain-0.checkpoint").touch()
    (tmp_path / "notes.txt").touch()
    assert json.loads(run.log.read_text())["draws"] == 3
    run.clear()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["notes.txt", "state"]


def test_config_changes_leave_out_what_is_free() -> None:
    before = {"sampler": {"draws": 1, "cores": 1}, "output": {"dir": "a"}, "stop": {"mcse": {}}}
    after = {"sampler": {"draws": 2, "cores": 2}, "output": {"dir": "b"}, "stop": {"mcse": {"x": 1}}}
    assert config_changes(before, after) == ["sampler.draws: 1 in the run, 2 now"]


def test_data_hashes_tell_values_types_and_names_apart() -> None:
    import numpy as np

    datasets = [
        {"y": np.array([1.0, 2.0])},
        {"y": np.array([2.0, 1.0])},
        {"y": np.array([1, 2])},
        {"z": np.array([1.0, 2.0])},
        {"y": np.array([[1.0, 2.0]])},
        {"y": {"a": 1.0}},
        {"y": {"a": 2.0}},
        {"y": "text"},
        {},
    ]
    assert len({hash_data(data) for data in datasets}) == len(datasets)
    assert hash_data(datasets[0]) == hash_data({"y": np.array([1.0, 2.0])})
