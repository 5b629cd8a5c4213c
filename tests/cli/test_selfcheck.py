"""The self-check of `gradmc sample`: exit code 3, the way around it, and what is kept of it."""

import inspect
import json
import math
import shutil
from pathlib import Path

import jax.numpy as jnp
import pytest

from gradmc.program.frontend.libraries import standard_library
from gradmc.results.reading import open_draws
from gradmc.selfcheck import SelfCheck
from gradmc.selfcheck import comparison as selfcheck
from tests.cli.conftest import CONFIG, Gradmc
from tests.selfcheck import faults


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, plain runs may end."""
    monkeypatch.setattr(selfcheck, "SECONDS", 60.0)


def test_wrong_value_stops_the_run(tmp_path: Path, gradmc: Gradmc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(standard_library.TABLE, math.log, jnp.log10)
    source = inspect.getsource(faults.logarithm.fn)
    (tmp_path / "model.py").write_text(f"import math\nimport gradmc as gm\nfrom gradmc import Positive\n\n{source}")
    config = CONFIG.replace("line", "logarithm").replace('[data]\nfile = "data.json"', "")
    (tmp_path / "run.toml").write_text(config)
    result = gradmc("sample", tmp_path / "run.toml", "--progress", "none")
    assert result.code == 3
    assert f"{tmp_path / 'model.py'}:8" in result.err
    assert 'check = "off"' in result.err
    again = gradmc("sample", tmp_path / "run.toml", "--progress", "none", "--force", "--sampler.check", "off")
    assert again.code == 0


def test_outcome_is_kept(finished: Path, tmp_path: Path, gradmc: Gradmc, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished.parent, tmp_path / "project")
    directory = tmp_path / "project" / "out"
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["self_check"]["self_check_gradient"] == "agrees"

    def again(*arguments: object, **options: object) -> None:
        raise AssertionError("a run checks itself once")

    monkeypatch.setattr(SelfCheck, "__init__", again)
    assert gradmc("extend", directory, "--draws", "10", "--progress", "none").code == 0
    attributes = open_draws(directory / "draws.zarr").attrs
    assert {name: attributes[name] for name in manifest["self_check"]} == manifest["self_check"]
    checks = gradmc("diagnose", directory, "--json").json["checks"]
    (own,) = (check for check in checks if check["name"] == "self_check")
    assert own["finding"] == check_text(manifest["self_check"]["self_check_value"])


def check_text(value: str) -> str:
    """What `diagnose` says; on a busy machine the plain run of a finished run may have been stopped."""
    if value == "agrees":
        return "the value agrees with plain Python and the gradient with differences"
    return f"the run did not check its value ({value.removeprefix('unchecked: ')})"
