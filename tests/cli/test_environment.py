"""What the environment lacks, and files that cannot be, are said in one line with the remedy, and are no bugs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradmc.config.layers import environment_layer
from gradmc.run.compiling import cache_directory, unusable_cache
from tests.cli.conftest import CONFIG, Gradmc

SIZES = ["--sampler.draws=20", "--sampler.warmup=20", "--progress=none"]
CHEAP = ["--sampler.kernel=hmc", "--sampler.metric=diagonal", "--sampler.start=uniform"]
"""What compiles soonest, for processes that find nothing compiled."""


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("JAX_PLATFORMS", "cuda", "JAX finds no device to compute on"),
        ("JAX_PLATFORMS", "nonsense", "unset it, or set JAX_PLATFORMS=cpu"),
        ("JAX_ENABLE_X64", "maybe", "unset JAX_ENABLE_X64"),
        ("JAX_NUM_CPU_DEVICES", "some", "unset JAX_NUM_CPU_DEVICES"),
        ("JAX_DISABLE_JIT", "1", "unset JAX_DISABLE_JIT"),
        ("JAX_CHECK_TRACER_LEAKS", "1", "unset JAX_CHECK_TRACER_LEAKS"),
        ("XLA_FLAGS", "--nonsense", "Unknown flag in XLA_FLAGS: --nonsense"),
        ("XLA_FLAGS", "--xla_cpu_enable_fast_math=maybe", "unset XLA_FLAGS"),
    ],
)
def test_jax_that_does_not_start(project: Path, variable: str, value: str, message: str) -> None:
    if value == "cuda" and os.path.exists("/dev/nvidiactl"):
        pytest.skip("there may be a card")
    command = [sys.executable, "-m", "gradmc.cli.main", "sample", str(project / "run.toml")]
    result = subprocess.run(
        command, env={**os.environ, variable: value}, capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "bug" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_working_directory_that_is_gone(project: Path, tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from gradmc.cli.main import run; sys.exit(run(sys.argv[1:]))"
    gone = tmp_path / "gone"
    gone.mkdir()
    command = [sys.executable, "-c", code, "sample", str(project / "run.toml"), f"--output.dir={tmp_path / 'out'}"]
    result = subprocess.run(command, cwd=gone, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 2, result.stderr
    assert "does not exist any more" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_doctor_tells_of_flags_that_xla_does_not_take() -> None:
    command = [sys.executable, "-m", "gradmc.cli.main", "doctor", "--json"]
    environment = {**os.environ, "XLA_FLAGS": "--nonsense"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 2, result.stderr
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert not findings["devices"]["good"]
    assert "unset XLA_FLAGS" in findings["devices"]["text"]


@pytest.mark.slow
@pytest.mark.parametrize("lacking", ["home", "everything"])
def test_a_bare_environment(project: Path, lacking: str) -> None:
    environment = {
        "home": {**os.environ, "HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody/.cache"},
        "everything": {"LC_ALL": "nonsense", "TZ": "nonsense"},  # neither TERM nor PATH nor a home
    }[lacking]
    command = [sys.executable, "-m", "gradmc.cli.main", "sample", str(project / "run.toml"), *SIZES, *CHEAP]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 0, result.stderr
    lines = result.stderr.strip().splitlines()
    assert [line[:34] for line in lines] == (["warning: compiled code is not kept"] if lacking == "home" else [])


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unusable_cache() == ""
    assert cache_directory().is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "cannot be written (Not a directory)" in unusable_cache()


@pytest.mark.parametrize("name", ["warm_start", "other"])
def test_a_warm_start_that_is_not_there(gradmc: Gradmc, project: Path, name: str) -> None:
    earlier = project / "earlier"
    if name == "other":
        earlier.mkdir()
    for more in ([], ["--dry-run"]):
        result = gradmc("sample", project / "run.toml", "--sampler.warm_start", earlier, *more)
        assert result.code == 2
        assert str(earlier) in result.err
        assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("GRADMC_DATA__K", "data.K"),
        ("GRADMC_DATA__y", "data.y"),
        ("GRADMC_DATA__FILE", "data.file"),
        ("GRADMC_DATA__Y1__COLUMN", "data.Y1.column"),
        ("GRADMC_STOP__MCSE__Mu", "stop.mcse.Mu"),
        ("GRADMC_SAMPLER__INITIAL__Mu", "sampler.initial.Mu"),
        ("GRADMC_SAMPLER__INITIAL", "sampler.initial"),
        ("GRADMC_SAMPLER__KERNEL__NAME", "sampler.kernel.name"),
        ("GRADMC_SAMPLER.INITIAL.X__A", "sampler.initial.X.a"),
    ],
)
def test_names_of_the_models_keep_their_case(name: str, key: str) -> None:
    assert list(environment_layer({name: "3"})) == [key]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('dir = "out"', 'dir = "o\\u0000ut"', "output.dir: expected a path without NUL"),
        ("data.json", "da\\u0000ta.json", "data.file: expected a path without NUL"),
        ("model.py", "mo\\u0000del.py", "model.target: expected a path without NUL"),
        ('dir = "out"', f'dir = "{"x" * 5000}"', "File name too long: "),
        ("model.py", f"{'x' * 5000}.py", "no such file"),
        ("model.py:line", ".", "model.target: . is no module"),
        ("model.py:line", ":line", "model.target: nothing is no module"),
        ("model.py:line", "directory/", "directory/ is no module"),
    ],
)
def test_paths_that_cannot_be(gradmc: Gradmc, project: Path, old: str, new: str, message: str) -> None:
    (project / "run.toml").write_text(CONFIG.replace(old, new))
    result = gradmc("sample", project / "run.toml")
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("directory.csv", "is a directory; name a file"),
        ("x" * 300 + ".csv", "ame too long"),
        ("no/x.csv", "no such dir"),
    ],
)
def test_targets_that_cannot_be(gradmc: Gradmc, finished: Path, tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "directory.csv").mkdir()
    result = gradmc("export", finished, tmp_path / target, "--force")
    assert result.code == 2
    assert message in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["directory.csv"]


def test_a_key_of_many_parts(gradmc: Gradmc, project: Path) -> None:
    result = gradmc("config", "show", project / "run.toml", "--sampler.initial" + ".a" * 3000, "1")
    assert result.code == 2
    assert "nested more than 16 deep" in result.err
