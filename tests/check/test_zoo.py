"""Every broken program of the zoo gets the one finding that it deserves, with its line."""

import pytest

from gradmc.check import CheckReport, check
from gradmc.check.codes import CODES
from tests.check import AMPLE
from tests.check.zoo import Ill, load

CASES = load()
ABOVE_NOTE = ("error", "warning")


def named(case: Ill) -> str:
    return f"{case.code}-{case.model.name}"


def complaints(report: CheckReport, severities: tuple[str, ...]) -> set[tuple[str, int | None]]:
    return {(f.code, f.location.line if f.location else None) for f in report.findings if f.severity in severities}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_one_finding(case: Ill) -> None:
    report = check(case.model, case.data, fast=case.fast, seconds=AMPLE)
    expected = {(case.code, case.line)}
    severity = CODES[case.code].severity
    severities = ("note",) if severity == "note" else ABOVE_NOTE
    assert complaints(report, severities) == expected, str(report)
    if severity == "note":
        assert report.clean, str(report)
    assert report.exit_code == (3 if severity == "error" else 0)
    shown = str(report)
    assert f"{severity}[{case.code}]" in shown
    if case.line is not None:
        assert f"{case.model.fn.__code__.co_filename}:{case.line}" in shown


def test_the_zoo_is_large() -> None:
    assert len(CASES) >= 40
