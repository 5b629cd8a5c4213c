"""A program that is sampled again is not traced again, unless something has changed that its trace depends on."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.density import known
from gradmc.program import tracing
from gradmc.run import preparing

X = [0.3, -1.2, 0.8]
Y = np.array([1.0, 2.0, 0.5])
RATE = 1.0


@gm.model
def line(a: gm.Real, b: gm.Positive, *, x: gm.Data, y: gm.Data["n"], k: gm.Data) -> float:
    lp = -RATE * b - 0.5 * a * a
    for i in range(len(y)):
        lp -= 0.5 * ((y[i] - a - k * b * x[i]) ** 2)
    return lp


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is traced and compiled within a test that begins with nothing known, on disk neither."""
    monkeypatch.setenv("GRADMC_CACHE", "off")
    made: list[str] = []
    known.forget()

    def counted(name: str, fn: Any) -> Any:
        @functools.wraps(fn)
        def call(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            return fn(*arguments, **options)

        return call

    monkeypatch.setattr(tracing, "trace", counted("trace", tracing.trace))
    monkeypatch.setattr(preparing, "compile_run", counted("compile", preparing.compile_run))
    yield made
    known.forget()


def data(**changed: Any) -> dict[str, Any]:
    return {"x": X, "y": Y, "k": 2} | changed


def test_new_data_of_the_same_shapes_are_seen(traces: list[str]) -> None:
    first = gm.density(line, data())
    other = gm.density(line, data(y=Y + 1))
    assert traces == ["trace"]
    want = -1.5 - 0.5 - 0.5 * sum((y - 1 - 3 * x) ** 2 for x, y in zip(X, Y + 1, strict=True))
    np.testing.assert_allclose(other.log_density({"a": 1.0, "b": 1.5}), want)
    assert first([0.1, 0.2]) != other([0.1, 0.2])


@pytest.mark.parametrize("changed", [{"x": [*X, 0.9]}, {"k": 3}, {"k": 2.0}, {"y": np.append(Y, 1), "x": [*X, 1]}])
def test_other_data_are_seen(changed: dict[str, Any], traces: list[str]) -> None:
    gm.density(line, data())
    other = gm.density(line, data(**changed))
    assert traces == ["trace", "trace"]
    known.forget()
    assert other([0.1, 0.2]) == gm.density(line, data(**changed))([0.1, 0.2])


def test_a_changed_global_is_seen(traces: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = gm.density(line, data())([0.1, 0.0])
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert gm.density(line, data())([0.1, 0.0]) == pytest.approx(before - 2.0)
    monkeypatch.undo()


@pytest.mark.filterwarnings("ignore::gradmc.SamplingWarning")
def test_the_second_run_compiles_nothing_and_draws_the_same(traces: list[str]) -> None:
    run = functools.partial(gm.sample, line, chains=2, warmup=20, draws=10, progress="none")
    first = run(data(), seed=1)
    assert sorted(traces) == ["compile", "trace", "trace"]
    other = run(data(y=Y + 1), seed=2)
    again = run(data(), seed=1)
    assert len(traces) == 3
    known.forget()
    anew = run(data(y=Y + 1), seed=2)
    assert len(traces) == 6
    for one, two in ((first, again), (other, anew)):
        for name in one.posterior:
            np.testing.assert_array_equal(one.posterior[name], two.posterior[name])
    np.testing.assert_array_equal(other.constant_data["y"], Y + 1)
    for name in ("self_check_value", "self_check_gradient"):
        assert first.attrs[name] == other.attrs[name] == again.attrs[name] == "agrees"


@pytest.mark.filterwarnings("ignore::gradmc.SamplingWarning")
def test_other_settings_compile_again(traces: list[str]) -> None:
    run = functools.partial(gm.sample, line, data(), seed=1, warmup=20, draws=10, progress="none")
    for settings in ({}, {"kernel": gm.Nuts(max_tree_depth=5)}, {"metric": "diagonal"}, {"keep_unconstrained": True}):
        run(**settings)
        compiled = len(traces)
        run(**settings)
        assert len(traces) == compiled
    assert traces.count("compile") == 4
    assert traces.count("trace") == 2
