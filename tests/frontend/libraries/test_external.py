"""Functions that the host computes, and programs whose plain run is exact to a tolerance only."""

import numpy as np
import pytest
import scipy.integrate

import gradmc as gm
from gradmc.check import plain
from gradmc.check.subject import Subject
from gradmc.errors import ProgramError
from gradmc.run.kept_code import settle
from tests.frontend.libraries.comparing import compare

TIMES = np.linspace(0.0, 4.0, 5)


def _value(x, scale):
    return -float(np.sum(x**2)) / scale


def _gradient(x, scale):
    return -2.0 * x / scale, float(np.sum(x**2)) / scale**2


black_box = gm.external(_value, gradient=_gradient)
vector = gm.external(lambda x: np.array([x, x * x, 1.0]), gradient=lambda x: np.array([1.0, 2.0 * x, 0.0]))
flat = gm.external(lambda x: x * x)


def test_external_functions_have_their_own_gradients() -> None:
    assert black_box(np.ones(2), 2.0) == -1.0
    compare(
        {
            "two arguments": lambda a, b, c: black_box(np.array([a, b]), c),
            "an array": lambda a, b, c: np.sum(vector(a) * [1.0, b, c]),
            "in a loop": lambda a, b, c: sum(black_box(np.array([a, i * b]), c) for i in range(20)),
        }
    )


def test_a_run_calls_the_host_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Its compiled functions cannot be kept for the next process, and need not."""

    @gm.model
    def through_the_host(x: gm.Real[2]):
        return black_box(x, 2.0)

    tree = gm.sample(through_the_host, chains=2, warmup=200, draws=500, seed=1, progress="none")
    settle()
    assert capfd.readouterr().err == ""
    moments = (
        tree["posterior"]["x"].mean(["chain", "draw"]).values,
        tree["posterior"]["x"].var(["chain", "draw"]).values,
    )
    assert np.allclose(moments[0], 0.0, atol=0.35)
    assert np.allclose(moments[1], 1.0, atol=0.35)


def test_an_external_function_without_gradient_is_refused_where_one_is_needed() -> None:
    @gm.model
    def program(a: gm.Real):
        return flat(a)

    density = gm.density(program)
    assert float(density(np.array([0.7]))) == pytest.approx(0.49)
    with pytest.raises(ProgramError, match=r"the derivative of the external function .* is needed"):
        density.value_and_grad(np.array([0.7]))


def test_a_gradient_of_another_shape_is_an_error() -> None:
    wrong = gm.external(lambda x: float(np.sum(x)), gradient=lambda x: np.ones(3))

    @gm.model
    def program(x: gm.Real[2]):
        return wrong(x)

    with pytest.raises(Exception, match=r"has shape \(3,\), not \(2,\)"):
        gm.density(program).value_and_grad(np.zeros(2))


def test_an_integrator_s_tolerance_is_no_difference_but_another_value_is() -> None:
    @gm.model
    def decay(k: gm.Positive, *, t):
        y = scipy.integrate.odeint(lambda y, t: -k * y, [1.0], t, rtol=1e-5, atol=1e-5)
        return -100.0 * np.sum((y[:, 0] - 0.3) ** 2)

    density = gm.density(decay, {"t": TIMES})
    x, k = np.zeros(1), 1.0
    compiled, plain_value = float(density.log_density({"k": k})), decay(k, t=TIMES)
    assert abs(compiled - plain_value) > 1e-7 * (1.0 + abs(compiled))  # so there is something to tolerate
    subject = Subject(density)
    assert plain._agree(subject, x, plain_value, compiled)
    assert not plain._agree(subject, x, compiled + 1.0, compiled)
