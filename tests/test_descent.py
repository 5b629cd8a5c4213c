"""`gm.optimize` by the methods of Optax: the mode, early stopping, resuming, interruption, and wrong arguments."""

import numpy as np
import optax
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import ResumeError, UsageError
from gradmc.lpdf import half_normal, normal
from gradmc.run import descending
from gradmc.session import SamplingWarning

RNG = np.random.default_rng(3)
X = RNG.normal(size=200)
DATA = {"x": X, "y": 0.5 - 1.5 * X + 0.4 * RNG.normal(size=200)}


@gm.model
def line(a: Real, b: Real, sigma: Positive, *, x: Data["n"], y: Data["n"]):
    lp = normal(a, 0.0, 5.0) + normal(b, 0.0, 5.0) + half_normal(sigma, 5.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], a + b * x[i], sigma))
    return lp


BATCHED = {"method": "adam", "batch": {"n": 50}, "epochs": 60, "learning_rate": 0.05, "schedule": "cosine", "seed": 4}


@pytest.fixture(scope="module")
def density():
    return gm.density(line, DATA)


@pytest.fixture(scope="module")
def mode(density):
    return gm.optimize(density)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "adam", "epochs": 1500, "learning_rate": 0.05, "schedule": "exponential"},
        {"method": optax.chain(optax.clip_by_global_norm(10.0), optax.adam(optax.exponential_decay(0.05, 1500, 1e-2)))},
    ],
)
def test_all_data_at_every_step_reach_the_mode(density, mode, arguments):
    found = gm.optimize(density, **{"epochs": 1500, **arguments})
    assert found.converged, found.message
    np.testing.assert_allclose(found.position, mode.position, atol=1e-4)
    np.testing.assert_allclose(found.errors["b"], mode.errors["b"], rtol=1e-3)


def test_batches_come_near_the_mode(density, mode):
    found = gm.optimize(density, **BATCHED, progress="none")
    np.testing.assert_allclose(found.position, mode.position, atol=0.02)
    assert not found.converged
    assert found.history["log_density"].shape == found.history["learning_rate"].shape == (60,)
    assert found.history["learning_rate"][-1] < 1e-3
    again = gm.optimize(density, **BATCHED, progress="none")
    np.testing.assert_array_equal(found.position, again.position)


def test_a_descent_that_is_stopped_goes_on_as_if_it_had_not_been(density, tmp_path, monkeypatch):
    whole = gm.optimize(density, **BATCHED, progress="none")
    monkeypatch.setattr(descending, "CHUNK_SECONDS", 0.0)  # a step at a time
    monkeypatch.setattr(descending, "CHECKPOINT_SECONDS", 0.0)
    chunk, calls = descending.Steps.chunk, []

    def interrupted(self, walk, epoch):
        calls.append(epoch)
        if len(calls) == 38:
            raise KeyboardInterrupt
        return chunk(self, walk, epoch)

    monkeypatch.setattr(descending.Steps, "chunk", interrupted)
    with pytest.warns(SamplingWarning, match="interrupted, and this is the best so far"):
        part = gm.optimize(density, **BATCHED, output=tmp_path, progress="none")
    assert len(part.history["log_density"]) == 9
    with pytest.raises(ResumeError, match="holds a descent already"):
        gm.optimize(density, **BATCHED, output=tmp_path)
    with pytest.raises(ResumeError, match="seed changed"):
        gm.optimize(density, **{**BATCHED, "seed": 5}, output=tmp_path, resume=True)
    rest = gm.optimize(density, **BATCHED, output=tmp_path, resume=True, progress="none")
    np.testing.assert_array_equal(rest.position, whole.position)
    np.testing.assert_array_equal(rest.history["log_density"], whole.history["log_density"])


def test_rows_held_out_end_the_descent():
    """A polynomial of degree 9 in 20 points: the longer, the worse for others."""

    @gm.model
    def polynomial(c: Real[10], *, x: Data["n"], y: Data["n"]):
        lp = normal(c, 0.0, 30.0)
        for i in range(len(y)):
            mean = 0.0
            for k in range(10):
                mean += c[k] * x[i] ** k
            lp += gm.observe("y", normal(y[i], mean, 0.3))
        return lp

    x = np.linspace(-1.0, 1.0, 40)
    y = np.sin(3 * x) + 0.3 * np.random.default_rng(2).normal(size=40)
    settings = {"method": "adam", "batch": {"n": 20}, "epochs": 3000, "learning_rate": 0.03, "seed": 1}
    found = gm.optimize(
        polynomial, {"x": x, "y": y}, **settings, held_out=range(0, 40, 2), patience=100, initial=0.1, progress="none"
    )
    scores = found.history["held_out"]
    assert len(scores) < 3000
    assert found.converged is None
    assert "no better score" in found.message
    assert len(scores) == np.argmax(scores) + 101
    held = gm.density(polynomial, {"x": x[::2], "y": y[::2]})
    with held.scope():
        terms = np.asarray(held.expand(found.position, held.arguments)["log_likelihood"]["y"])
    np.testing.assert_allclose(np.mean(terms), scores.max(), rtol=1e-10)


def test_sampling_and_descending_start_from_an_optimum(density, mode):
    found = gm.optimize(density, method="sgd", batch={"n": 100}, learning_rate=1e-9, epochs=1, initial=mode)
    np.testing.assert_allclose(found.position, mode.position, atol=1e-6)
    draws = gm.sample(density, initial=mode, warmup=100, draws=20, chains=1, seed=1, progress="none")
    assert abs(float(draws["posterior"]["b"].mean()) - float(mode.values["b"])) < 0.2


def test_a_rate_that_is_too_high_is_said(density):
    with pytest.warns(SamplingWarning, match="lower the learning rate"):
        found = gm.optimize(density, method="sgd", learning_rate=1e6, epochs=50)
    assert found.converged is False
    assert np.all(np.isfinite(found.position))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "adamw"}, "method must be 'lbfgs' or one of"),
        ({"batch": {"n": 5}}, "batch is for the methods of Optax"),
        ({"method": "adam", "batch": {"n": 5, "m": 6}}, "batch must name one dimension"),
        ({"method": "adam", "patience": 3}, "give held_out too"),
        ({"method": "adam", "held_out": 0.1}, "held_out needs batch"),
        ({"method": "adam", "schedule": "linear"}, "schedule must be one of constant, cosine, exponential"),
        ({"method": "adam", "learning_rate": -1.0}, "learning_rate must be a number greater than 0"),
        ({"method": optax.sgd(0.1), "learning_rate": 0.1}, "give them to the object"),
        ({"method": "adam", "resume": True}, "pass output too"),
        ({"method": "adam", "batch": {"n": 100}, "held_out": 0.9}, "of which 20 are not held out"),
    ],
)
def test_wrong_arguments(density, arguments, message):
    with pytest.raises(UsageError, match=message):
        gm.optimize(density, **arguments)
