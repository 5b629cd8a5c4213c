"""No command ends with 0 because a model's module or program ended it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Gradmc

COMMANDS = ["sample", "check", "optimize", "calibrate"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("statement", ["import sys; sys.exit()", "raise KeyboardInterrupt", "raise SystemExit(0)"])
@pytest.mark.parametrize("place", ["module", "program"])
def test_a_model_that_ends_the_process_is_at_fault(
    gradmc: Gradmc, project: Path, command: str, statement: str, place: str
) -> None:
    model = project / "model.py"
    before = "@gm.model" if place == "module" else '    """Normal data."""'
    indent = "" if place == "module" else "    "
    model.write_text(model.read_text().replace(before, f"{indent}{statement}\n{before}"))
    result = gradmc(command, project / "run.toml")
    assert result.code == 3
    line = model.read_text().splitlines().index(f"{indent}{statement}") + 1
    assert f"model.py:{line}" in result.err + result.out
    assert statement in result.err + result.out


def test_a_module_that_is_imported_by_name_is_at_fault(
    gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ending.py").write_text("import gradmc\nexit()\n")
    monkeypatch.chdir(project)
    result = gradmc("sample", project / "run.toml", "--model.target", "ending:line")
    assert result.code == 3
    assert "ending.py:2" in result.err


def test_ctrl_c_while_the_model_is_imported_interrupts(gradmc: Gradmc, project: Path) -> None:
    (project / "model.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    result = gradmc("sample", project / "run.toml")
    assert result.code == 130
    assert "error: interrupted" in result.err
