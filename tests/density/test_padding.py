"""Rows that are added and count nothing: value, gradient and results are those without them."""

import pickle
from typing import Any

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.density.padding import PaddedDensity, Padding, padded_along
from gradmc.errors import ProgramError, UsageError
from gradmc.lpdf import gamma, normal
from tests.density.rows import POINT, data, line


@gm.model
def rates(a: Real, shape: Positive, *, n: int, t: Data["n"], scale: Data["n"], w: Data["n", 2]):
    """Terms that are NaN at 0, as rows of zeros would be; several names, derived quantities, a size among the data."""
    lp = normal(a, 0.0, 1.0) + gamma(shape, 2.0, 2.0)
    for i in range(n):
        rate = gm.record("rate", np.exp(a / scale[i]))
        lp += gm.observe("t", np.log(t[i]) - rate * t[i])
        lp += gm.observe("w", gamma(w[i], shape, rate, pointwise=True)).sum()
    gm.record("twice", 2.0 * a)
    return lp


def times(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    arrays = {"t": rng.gamma(2.0, size=rows), "scale": np.ones(rows), "w": rng.gamma(2.0, size=(rows, 2))}
    return {"n": rows, **arrays}


@pytest.fixture(scope="module")
def paddings() -> dict[str, Padding]:
    return {
        "line": Padding.of(gm.density(line, data(9)), "n", 16),
        "rates": Padding.of(gm.density(rates, times(5)), "n", 6),
    }


def padded(model: Any, given: Any, padding: Padding) -> PaddedDensity:
    return PaddedDensity(model.bind(given), np.dtype(float), padding)


@pytest.mark.parametrize(
    ("name", "model", "given", "x"), [("line", line, data, POINT), ("rates", rates, times, np.array([0.3, -0.4]))]
)
def test_value_gradient_and_results_are_those_without(
    paddings: dict[str, Padding], name: str, model: Any, given: Any, x: np.ndarray
) -> None:
    padding = paddings[name]
    for rows in (1, 5, padding.multiple, padding.multiple + 3):
        alone, made = gm.density(model, given(rows)), padded(model, given(rows), padding)
        assert made.bound.sizes["n"] == padding.length(rows)
        for found, expected in zip(made.value_and_grad(x), alone.value_and_grad(x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
        values = alone.constrain(x)
        np.testing.assert_allclose(made.log_density(values), alone.log_density(values), rtol=1e-13)
        with alone.scope():
            ours, theirs = (jax.jit(d.expand)(x, d.arguments) for d in (made, alone))
        assert ours.keys() == theirs.keys()
        for group in theirs:
            assert ours[group].keys() == theirs[group].keys()
            for variable, want in theirs[group].items():
                shown = made.cut(group, variable, np.asarray(ours[group][variable]))
                np.testing.assert_allclose(shown, want, rtol=1e-12, atol=1e-13)


def test_a_row_that_counts_is_not_left_out(paddings: dict[str, Padding]) -> None:
    """An outlier moves the density, and so does a row outside of the support; the rows that are added do not."""
    far = times(5)
    far["t"][4] = 1e6
    x = np.array([0.3, -0.4])
    assert padded(rates, far, paddings["rates"])(x) < -1e5
    far["t"][4] = -1.0
    assert np.isnan(padded(rates, far, paddings["rates"])(x))


def test_data_of_several_lengths_are_one_program(paddings: dict[str, Padding]) -> None:
    short, long = (padded(line, data(rows), paddings["line"]) for rows in (3, 16))
    assert short.memory is long.memory
    assert short.memory is not padded(line, data(17), paddings["line"]).memory


def test_it_is_pickled(paddings: dict[str, Padding]) -> None:
    made = padded(line, data(5), paddings["line"])
    again = pickle.loads(pickle.dumps(made))
    assert again(POINT) == made(POINT)
    assert again.as_given.sizes["n"] == 5
    assert made.with_precision("float32")(POINT) == pytest.approx(made(POINT), rel=1e-5)


@gm.model
def backwards(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y) - 1, -1, -1):
        lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


@gm.model
def series(mu: Real, *, y: Data["n"]):
    lp, before = normal(mu, 0.0, 1.0), 0.0
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu * before, 1.0))
        before = y[i]
    return lp


@gm.model
def tempered(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += 0.5 * gm.observe("y", normal(y[i], mu, 1.0))
    return lp


@gm.model
def weighed(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + 0.1 * len(y) * mu
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


@gm.model
def doubled(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(2 * len(y)):
        lp += gm.observe("y", normal(y[i // 2], mu, 1.0 + i % 2))
    return lp


@gm.model
def totalled(mu: Real, *, y: Data["n"], c: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, 1.0))
    gm.record("total", mu + np.mean(c))
    return lp


@gm.model
def ended(mu: gm.Interval(0.0, lambda y: np.max(y)), *, y: Data["n"]):  # pyright: ignore[reportInvalidTypeForm]
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


Y = {"y": [0.1, 1.0, 2.0, 0.4]}


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (backwards, Y, "the terms 'y' do not stand in the order of the rows of 'n'"),
        (series, Y, "not a sum over 'n'"),
        (tempered, Y, "not marked by gm.observe depends on the rows"),
        (weighed, Y, "not marked by gm.observe depends on the rows"),
        (doubled, Y, "'y' has the shape \\(8,\\) for 4 rows of 'n' and \\(2,\\) for one"),
        (totalled, {**Y, "c": [3.0] * 4}, "'total' is computed from several rows of 'n'"),
        (ended, Y, "'y' decides where the support of a parameter ends"),
        (tempered, {"y": [1.0] * 4}, "no data set has two rows along 'n' that differ"),
    ],
)
def test_what_is_no_sum_over_rows_is_refused(model: Any, given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^pad: .*{message}"):
        Padding.of(gm.density(model, given), "n", 8)


@gm.model
def deciding(mu: Real, *, y: Data["n"], label: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        for _ in range(label[i]):
            lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


def test_rows_that_decide_lengths_are_refused() -> None:
    with pytest.raises(ProgramError, match="the number of iterations is not known while compiling"):
        Padding.of(gm.density(deciding, {**Y, "label": [1, 2, 1, 1]}), "n", 8)


@pytest.mark.parametrize("pad", [3, "", {}, {"n": 0}, {"n": 2, "m": 2}, {"n": "2"}, {2: 2}, ["n"]])
def test_options_that_are_none(pad: Any) -> None:
    with pytest.raises(UsageError, match=r"^pad must be"):
        padded_along(pad)


def test_no_rows_cannot_be_padded(paddings: dict[str, Padding]) -> None:
    with pytest.raises(UsageError, match="pad: there are no rows along 'n'"):
        padded(rates, times(0), paddings["rates"])
