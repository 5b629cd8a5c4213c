"""What a program prints: plain numbers while it is compiled; what is not known, by plain Python only."""

import warnings

import numpy as np
import pytest

from gradmc.program.frontend import user_line
from gradmc.program.frontend.text import UnknownPrintWarning
from tests.frontend.laws import agree


def printing(a, *, x):
    print("rows", len(x))
    lp = -np.sum((x - a) ** 2)
    if lp > 1e9:
        print("never")
    print(f"{lp:.3f} at {a=}", "%g" % a, str(a))  # noqa: UP031
    return lp


def test_printing_is_told_once_and_does_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UnknownPrintWarning, match=r"test_text.py:\d+: this print is left out") as said:
        agree(printing, (0.4,), {"x": np.arange(3.0)}, differences=False)
    assert len(said) == 2
    told = capsys.readouterr().out.splitlines()
    assert sorted(set(told)) == ["-3.080 at a=0.4 0.4 0.4", "rows 3"]


def test_the_same_line_is_not_told_again() -> None:
    user_line._SAID.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(2):
            agree(printing, (0.4,), {"x": np.arange(3.0)}, differences=False)
    assert len(said) == 2
