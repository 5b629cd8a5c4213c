"""The data of one chain on several devices and in several processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import ClusterError, UsageError
from gradmc.results.files import StorageError
from gradmc.run import peers
from tests.density.rows import data, line

ROOT = Path(__file__).resolve().parents[2]


def started(*arguments: Any, devices: int = 1) -> subprocess.Popen[str]:
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "XLA_FLAGS": ""}
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    said = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *told) for process, told in zip(processes, said, strict=True)]


def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def told(processes: Sequence[subprocess.Popen[str]]) -> dict[str, Any]:
    """What the first one prints."""
    outcomes = ended(processes)
    assert [code for code, *_ in outcomes] == [0] * len(outcomes), outcomes
    return json.loads(outcomes[0][1].splitlines()[-1])


@pytest.mark.slow
def test_eight_devices_give_value_gradient_and_draws_of_one() -> None:
    found = told([started("tests.run.shares", 1003, 20, devices=8)])
    assert found["devices"] == 8
    assert found["all_reduces"] == 1
    assert found["value"] < 1e-14
    assert found["gradient"] < 1e-12
    assert len(found["draws"]) == 2
    assert max(found["draws"].values()) < 1e-6, "to rounding, over 40 transitions"


def together(rows: int, processes: int) -> dict[str, Any]:
    place = address()
    return told([started("tests.run.shares", rows, 0, place, processes, k) for k in range(processes)])


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_who_is_aborted_because_another_one_has_died_ends_with_the_code_of_resuming(victim: int) -> None:
    """Outside of any sum, where JAX notices the death itself: that of the first one at once, else after a while."""
    place, does = address(), ["waits", "waits"]
    does[victim] = "dies"
    outcomes = ended([started("tests.run.waiting", place, k, does[k]) for k in range(2)])
    assert [outcome[1] for outcome in outcomes] == ["joined\n", "joined\n"]
    assert outcomes[victim][0] == -signal.SIGKILL
    code, _, errors = outcomes[1 - victim]
    assert code == 75, errors
    assert errors.splitlines()[-1].startswith("error: a process that computes with this one is gone; everything stored")
    assert errors.splitlines()[-1].endswith("start all processes again with --resume")


@pytest.mark.parametrize(("what", "code"), [("aborts", -signal.SIGABRT), ("stops", -signal.SIGTERM)])
def test_what_is_no_death_of_another_one_keeps_its_code(what: str, code: int) -> None:
    place = address()
    first, second = (started("tests.run.waiting", place, k, ("waits", what)[k]) for k in range(2))
    ((found, _, errors),) = ended([second])
    first.kill()
    ended([first])
    assert found == code, errors
    assert "is gone" not in errors


@pytest.mark.slow
def test_four_processes_give_value_and_gradient_of_one() -> None:
    found = together(10_001, 4)
    assert (found["devices"], found["all_reduces"]) == (4, 1)
    assert found["value"] < 1e-12
    assert found["gradient"] < 1e-12


@pytest.mark.campaign
def test_four_processes_give_value_and_gradient_of_a_million_rows() -> None:
    found = together(1_000_000, 4)
    assert (found["devices"], found["all_reduces"]) == (4, 1)
    assert found["value"] < 1e-12
    assert found["gradient"] < 1e-12


@pytest.mark.campaign
def test_draws_of_four_processes_have_the_moments_of_those_of_one() -> None:
    """Eight numbers at 5 standard errors: by chance once in 200,000 times."""
    place = address()
    four = [started("tests.run.moments", 100_000, 250, 1, place, 4, k) for k in range(4)]
    many, one = told(four), told([started("tests.run.moments", 100_000, 250, 2)])
    assert many.keys() == one.keys()
    for name, (mean, sd, *errors) in many.items():
        other_mean, other_sd, *other_errors = one[name]
        assert abs(mean - other_mean) < 5.0 * np.hypot(errors[0], other_errors[0]), name
        assert abs(sd - other_sd) < 5.0 * np.hypot(errors[1], other_errors[1]), name


@pytest.mark.parametrize(
    ("error", "code"), [(StorageError("full"), 75), (UsageError("wrong"), 2), (KeyError("a bug"), 1)]
)
def test_others_end_as_the_first_one_does(error: Exception, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[int]] = []
    monkeypatch.setattr(peers, "_told", lambda array: said.append(array.tolist()))
    with pytest.raises(type(error)), peers.dismissing():
        raise error
    with pytest.raises(ClusterError), peers.dismissing():
        raise ClusterError("one is gone")  # nobody hears any more
    with peers.dismissing() as end:
        end.code = 4
    assert said == [[peers.END, code], [peers.END, 4]]


def test_the_data_need_several_devices() -> None:
    with pytest.raises(UsageError, match="shard: there is one device"):
        gm.sample(line, data(7), shard="n", progress="none")
    with pytest.raises(UsageError, match="shard must be a name"):
        gm.sample(line, data(7), shard=2, progress="none")  # pyright: ignore[reportArgumentType]
