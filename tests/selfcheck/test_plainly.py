"""Programs as ordinary Python: in silence, on numbers without limit, leaving the data as they are."""

import math
import threading
import time

import numpy as np
import pytest

from gradmc.program.plainly import Interrupted, interrupt, run_plainly


def test_value_of_floats_and_arrays() -> None:
    made = run_plainly(lambda a, b, *, y: a * b.sum() + y[1], [2.0, np.array([1.0, 3.0])], {"y": np.array([5.0, 7.0])})
    assert made.value == 15.0


def test_whole_numbers_have_no_limit() -> None:
    def product(a, *, n, table):
        made = 1
        for row in table:
            for entry in row:
                made *= entry
        for k in range(len(n)):
            made *= n[k]
        return a * made

    made = run_plainly(product, [1.0], {"n": np.array([2**40, 3]), "table": np.array([[2**40, 1], [2**40, 1]])})
    assert made.value == 3.0 * 2.0**120


def test_whole_numbers_of_numpy_where_they_are_asked_for() -> None:
    made = run_plainly(lambda a, *, n: a + n[0].astype(float), [1.0], {"n": np.array([4])})
    assert made.value == 5.0


def test_data_stay_as_they_are() -> None:
    def changes(a, *, y, words):
        y[0] = 9.0
        words.append("more")
        return a

    data = {"y": np.array([1.0]), "words": ["one"]}
    assert run_plainly(changes, [1.0], data).value == 1.0
    assert data["y"][0] == 1.0
    assert data["words"] == ["one"]


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def talks(a):
        print("the value is", a)
        return a

    assert run_plainly(talks, [1.0], {}).value == 1.0
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("returned", [None, np.ones(3), 1 + 2j])
def test_what_is_no_number(returned: object) -> None:
    made = run_plainly(lambda a: returned, [1.0], {})
    assert made.value is None
    assert made.error is None
    assert made.returned


def test_exception() -> None:
    assert isinstance(run_plainly(lambda a: math.log(-a), [1.0], {}).error, ValueError)


def test_interrupted() -> None:
    ended: list[str] = []

    def endless(a):
        while True:
            try:
                a = a + 1.0
            except Exception:
                a = 0.0

    def work() -> None:
        try:
            run_plainly(endless, [1.0], {})
        except Interrupted:
            ended.append("interrupted")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)
    interrupt(thread, __file__)
    assert ended == ["interrupted"]
