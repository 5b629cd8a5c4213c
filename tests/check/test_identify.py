"""The search for the mode keeps to its own thread: BLAS's others would wait for work, and take a processor each."""

import numpy as np
import pytest
import scipy.linalg  # noqa: F401, it brings a BLAS of its own
from threadpoolctl import threadpool_info, threadpool_limits

import gradmc as gm
from gradmc import Real
from gradmc.check.identify import find_mode
from gradmc.check.subject import Points, Subject
from gradmc.lpdf import normal


@gm.model
def apart(x: Real[3]):
    return normal(x, [1.0, 2.0, 3.0], 1.0)


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.skipif(not threads(), reason="this BLAS cannot be told how many threads to use")
def test_the_mode_is_searched_for_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, within = Subject(gm.density(apart)), []
    at = subject.at

    def noting(x: np.ndarray) -> Points:
        if len(x) == 1:  # of the search, not of the differences that give it its scale
            within.append(threads())
        return at(x)

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert len(subject.typical.x)
        monkeypatch.setattr(subject, "at", noting)
        mode = find_mode(subject)
        assert threads() == before
    assert mode is not None
    np.testing.assert_allclose(mode, [1.0, 2.0, 3.0], atol=1e-4)
    assert within
    assert all(found == [1] * len(before) for found in within)
