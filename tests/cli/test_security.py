"""Nothing is executed that the user did not name, and nothing from data reaches a terminal unescaped."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from gradmc.check.finding import CheckReport, Finding
from gradmc.diagnostics.render import render_table
from gradmc.diagnostics.summary import Row, Summary
from gradmc.diagnostics.verdict import Check, Diagnosis
from gradmc.errors import DataError, ProgramError
from gradmc.printable import one_line, printable
from gradmc.results.checkpoint import MAGIC, _digest, decode
from gradmc.results.labels import Labels
from gradmc.session import SamplingWarning, _warn
from tests.cli.conftest import Gradmc

ESCAPE = "\x1b]0;title\x07\x1b[2J\u202e"


@pytest.mark.parametrize("command", ["summary", "diagnose", "status", "export"])
def test_looking_at_a_run_imports_no_model(gradmc: Gradmc, finished: Path, tmp_path: Path, command: str) -> None:
    project = Path(shutil.copytree(finished.parent, tmp_path / "project"))
    (project / "model.py").write_text("raise SystemExit('executed')")
    (project / "out" / "summary.json").unlink(missing_ok=True)
    sys.modules.pop("gradmc_model_model", None)
    result = gradmc(command, project / "out", *([tmp_path / "draws.csv"] if command == "export" else []))
    assert result.code in (0, 4), result.err
    assert "gradmc_model_model" not in sys.modules


def test_control_characters_are_shown() -> None:
    assert printable("a\tb\nc µ") == "a\tb\nc µ"
    assert printable(ESCAPE) == "\\x1b]0;title\\x07\\x1b[2J\\u202e"
    assert printable("\x9b2J\r\ud800") == "\\x9b2J\\r\\ud800"
    assert one_line("a\nb") == "a\\nb"


def test_labels_do_not_reach_a_terminal(gradmc: Gradmc, project: Path) -> None:
    model = project / "model.py"
    model.write_text(model.read_text().replace('gm.Data["n"]', f"gm.Data[{'n'!r}]"))
    summary = Summary(chains=1, draws=4, columns=("mean",), rows=(Row(name=f"x[{ESCAPE}\n]", values={"mean": 1.0}),))
    assert "\x1b" not in render_table(summary)
    assert len(render_table(summary).splitlines()) == 2
    (project / "data.json").write_text(json.dumps({"y": [1.0], ESCAPE: 1}))
    result = gradmc("sample", project / "run.toml")
    assert result.code == 2
    assert "\x1b" not in result.err
    assert "x1b]0;title" in result.err


def test_python_shows_them_too() -> None:
    for error in (DataError(f"no {ESCAPE}"), ProgramError(f"no {ESCAPE}", remedy=ESCAPE)):
        assert "\x1b" not in str(error)
        assert "x1b]0;title" in str(error)
    diagnosis = Diagnosis(
        (Check("r_hat", False, 1.1, 1.01, f"chains disagree about x[{ESCAPE}]", f"look at {ESCAPE}"),)
    )
    note = Diagnosis((Check("chains", None, None, 0.0, ESCAPE),))
    finding = Finding(code="jump", severity="error", message=ESCAPE, meaning=ESCAPE, remedy=ESCAPE)
    for shown in (str(diagnosis), repr(diagnosis), str(note), str(finding)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "x1b]0;title" in shown
    with pytest.warns(UserWarning, match="leave out") as said:
        Labels(data={ESCAPE: object()}).warn_of_left_out()
    assert "\x1b" not in str(said[0].message)
    with pytest.warns(SamplingWarning) as said:
        _warn(ESCAPE)
    assert "\x1b" not in str(said[0].message)


def test_reports_in_notebooks_are_escaped() -> None:
    shown = CheckReport(model="<script>", findings=(), checks=("<b>",), seconds={}, costs={}, skipped={"<i>": "<u>"})
    assert "<script>" not in shown._repr_html_()
    assert "<u>" not in shown._repr_html_()


@pytest.mark.parametrize("arrays", [[["x", "|O", [1]]], [["x", "<f8", [2**60]]], [["x", "<f8", [-1]]], [3], 7])
def test_a_checkpoint_takes_no_memory_that_it_does_not_fill(arrays: object) -> None:
    header = json.dumps({"arrays": arrays, "meta": {}}).encode()
    body = MAGIC + len(header).to_bytes(8, "little") + header + bytes(16)
    assert decode(body + _digest(body)) is None
