"""Marks: values pass through unchanged, and are collected only when somebody listens."""

import pytest

from gradmc.errors import UsageError
from gradmc.program.marks import Marks, collecting, naming, observe, record


def test_marks_return_their_value_and_cost_nothing_unheard():
    value = object()
    assert observe("y", value) is value
    assert record("z", value) is value


def test_marks_are_collected_in_call_order():
    with collecting() as marks:
        for i in range(3):
            observe("y", i)
        record("z", "once")
    observe("y", 99)
    assert marks.observe == {"y": [0, 1, 2]}
    assert marks.record == {"z": ["once"]}


def test_collectors_nest():
    outer = Marks()
    with collecting(outer):
        observe("y", 1)
        with collecting() as inner:
            observe("y", 2)
        observe("y", 3)
    assert outer.observe == {"y": [1, 3]}
    assert inner.observe == {"y": [2]}


@pytest.mark.parametrize("name", [3, "", None])
def test_names_must_be_strings(name):
    with collecting(), pytest.raises(UsageError, match=r"observe\(name, value\) expects a name"):
        observe(name, 1.0)


@pytest.mark.parametrize("mark", [observe, record])
def test_names_are_no_paths(mark):
    with collecting(), pytest.raises(UsageError, match=r"\('a/b', ...\): the results are a tree .* write 'a_b'"):
        mark("a/b", 1.0)


@pytest.mark.parametrize("name", ["..", ".a", "zarr.json", "\ud800", "a\0", "a\n", "x" * 201])
def test_names_can_be_those_of_directories(name):
    with collecting(), pytest.raises(UsageError, match="the results are stored in directories of these names"):
        record(name, 1.0)
    with naming(), pytest.raises(UsageError, match=r"record\('a', ...\): the axis .* directories of these names"):
        record("a", [1.0], dims=[name])


def test_names_of_axes_are_no_paths():
    with naming(), pytest.raises(UsageError, match=r"the axis 'a/b': the results are a tree .* write 'a_b'"):
        record("a", [1.0], dims={"a/b": None})


def test_one_name_cannot_be_both():
    with collecting(), pytest.raises(UsageError, match=r"'y' is used by both observe\(\) and record\(\)"):
        observe("y", record("y", 1.0))
    with collecting():
        observe("y", 1.0)
        with pytest.raises(UsageError, match=r"'y' is used by both record\(\) and observe\(\)"):
            record("y", 1.0)
