"""A damaged file of a run is named with exit code 5, unless nothing was read from it or there is another copy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gradmc.results.manifest import FORMAT
from gradmc.results.sealed import seal
from tests.cli.conftest import Gradmc


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": flipped,
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "foreign": lambda content: b'{"a": 1}',
    "list": lambda content: b"[]",
    "binary": lambda content: bytes(range(256)),
}
FATAL = ["manifest.json", "draws.zarr/zarr.json"]
DRAWN = [
    "posterior/mu/c/0/0",
    "posterior/draw/c/0",
    "posterior/chain/c/0",
    "log_likelihood/n/c/0",
    "observed_data/y/c/0",
    "sample_stats/diverging/c/1/0",
]


@pytest.fixture(scope="module")
def out(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without a kept summary, whose files are put back by each test."""
    copy = tmp_path_factory.mktemp("damage") / "project"
    shutil.copytree(finished.parent, copy)
    (copy / "out" / "summary.json").unlink(missing_ok=True)
    return copy / "out"


@pytest.mark.parametrize("name", [*FATAL, *(f"draws.zarr/{name}" for name in DRAWN)])
def test_damage_is_named(gradmc: Gradmc, out: Path, tmp_path: Path, name: str) -> None:
    file, table = out / name, tmp_path / "draws.csv"
    content = file.read_bytes()
    for damage in (*DAMAGES, "gone"):
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(DAMAGES[damage](content))
        result = gradmc("export", out, table)
        file.write_bytes(content)
        assert result.code == 5, (damage, result.err)
        assert name in result.err, (damage, result.err)
        assert not table.exists()


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_kept_summary_is_not_that_of_damaged_draws(
    gradmc: Gradmc, finished: Path, tmp_path: Path, damage: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    assert gradmc("summary", run).code == 0
    file = run / "draws.zarr" / DRAWN[0]
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for command in ("summary", "diagnose", "resume"):
        result = gradmc(command, run)
        assert result.code == 5, (command, result.err)
        assert DRAWN[0] in result.err


@pytest.mark.parametrize("name", FATAL)
def test_damage_is_named_by_every_command(gradmc: Gradmc, out: Path, name: str) -> None:
    file = out / name
    content = file.read_bytes()
    for damage in ("flipped", "foreign", "gone"):
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(DAMAGES[damage](content))
        commands = ["summary", "diagnose", "predict", "resume"] + (["status"] if name == FATAL[0] else [])
        results = {command: gradmc(command, out) for command in commands}
        file.write_bytes(content)
        for command, result in results.items():
            assert result.code == 5, (command, damage, result.err)
            assert name in result.err
    assert gradmc("status", out).code == 0


@pytest.mark.parametrize("name", ["summary.json", "state/progress.json"])
def test_what_can_be_made_again_is_made_again(gradmc: Gradmc, out: Path, name: str) -> None:
    before = gradmc("summary", out).out
    content = (out / name).read_bytes()
    for damage in DAMAGES.values():
        (out / name).write_bytes(damage(content))
        assert gradmc("summary", out).out == before
        assert gradmc("status", out).code == 0
    (out / name).write_bytes(content)
    (out / "summary.json").unlink()


def test_two_damaged_checkpoints_are_named(gradmc: Gradmc, out: Path) -> None:
    kept = {path: path.read_bytes() for path in (out / "state").glob("chain-1.*")}
    manifest = (out / "manifest.json").read_bytes()
    assert len(kept) == 2
    for path, content in kept.items():
        path.write_bytes(flipped(content))
    result = gradmc("extend", out, "--draws", 5, "--progress=none")
    for path, content in kept.items():
        path.write_bytes(content)
    (out / "manifest.json").write_bytes(manifest)
    assert result.code == 5
    assert "chain-1.checkpoint and the one before it, chain-1.previous, are damaged" in result.err


@pytest.mark.parametrize("damage", ["flipped", "binary", "empty"])
def test_a_damaged_configuration_of_the_run_is_named(gradmc: Gradmc, out: Path, damage: str) -> None:
    file = out / "config.toml"
    content = file.read_bytes()
    file.write_bytes(DAMAGES[damage](content))
    result = gradmc("extend", out, "--draws", 5)
    file.write_bytes(content)
    assert result.code == 5
    assert "config.toml" in result.err


@pytest.mark.parametrize("command", ["summary", "export", "resume", "status", "predict"])
def test_a_run_of_a_newer_version_is_refused(gradmc: Gradmc, out: Path, tmp_path: Path, command: str) -> None:
    file = out / "manifest.json"
    content = file.read_bytes()
    newer = json.loads(content) | {"format": FORMAT + 1, "versions": {"gradmc": "9.0"}}
    file.write_text(json.dumps(seal(newer)))
    result = gradmc(command, out, *([tmp_path / "draws.csv"] if command == "export" else []))
    file.write_bytes(content)
    assert result.code == 5
    assert f"of format {FORMAT + 1}, written by gradmc 9.0" in result.err


def test_a_run_that_lost_its_draws_is_not_overwritten(gradmc: Gradmc, out: Path) -> None:
    root = out / "draws.zarr" / "zarr.json"
    content = root.read_bytes()
    root.unlink()
    result = gradmc("sample", out.parent / "run.toml")
    root.write_bytes(content)
    assert result.code == 2
    assert "holds a run already" in result.err
