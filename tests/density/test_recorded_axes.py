"""`record` names the axes of what it collects, in the results too."""

from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import ProgramError, UsageError
from gradmc.lpdf import half_normal, normal

DATA = {"y": np.array([0.3, -0.5, 1.2])}


@gm.model
def schools(mu: Real, tau: Positive, z: Real["school"], *, y: Data["school"]):
    lp = normal(mu, 0.0, 1.0) + half_normal(tau, 1.0) + normal(z, 0.0, 1.0)
    for j in range(len(y)):
        theta = gm.record("theta", mu + tau * z[j], dims="school")
        gm.record("powers", [theta, theta * theta], dims={"school": None, "power": ["one", "two"]})
        lp += normal(y[j], theta, 1.0)
    gm.record("pair", z[:2] * tau, dims=["end"])
    gm.record("plain", z * tau)
    return lp


def test_axes_and_labels_stand_in_the_results() -> None:
    data = {**DATA, "school": ["a", "b", "c"]}
    tree = gm.sample(schools, data, seed=1, chains=1, warmup=50, draws=20, progress="none")
    posterior = tree["posterior"]
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert posterior["theta"]["school"].values.tolist() == ["a", "b", "c"]
    assert posterior["powers"].dims == ("chain", "draw", "school", "power")
    assert posterior["powers"]["power"].values.tolist() == ["one", "two"]
    assert posterior["pair"].dims == ("chain", "draw", "end")
    assert posterior["pair"]["end"].values.tolist() == [0, 1]
    assert posterior["plain"].dims == ("chain", "draw", "plain_dim_0")
    b = posterior.sel(school="b")
    np.testing.assert_allclose(b["powers"].sel(power="two"), b["theta"] ** 2)


def test_plain_python_takes_no_notice() -> None:
    assert schools(0.0, 1.0, np.zeros(3), **DATA) == pytest.approx(float(schools(0.0, 1.0, np.zeros(3), **DATA)))
    assert gm.record("x", 2.0, dims="a") == 2.0


def recorded(value: str, dims: Any) -> gm.Model:
    """A model that records one of several values with `dims`."""

    @gm.model
    def program(mu: Real, z: Real["school"], *, y: Data["school"]):
        lp = normal(mu, 0.0, 1.0) + normal(z, y, 1.0)
        if value == "vector":
            gm.record("r", z * mu, dims=dims)
        elif value == "loop":
            for j in range(len(y)):
                gm.record("r", z[j], dims=dims)
        elif value == "twice":
            gm.record("r", z, dims="school")
            gm.record("r", z, dims=dims)
        else:
            gm.record("r", z[:2], dims=dims)
        return lp

    return program


@pytest.mark.parametrize(
    ("value", "dims", "error", "message"),
    [
        ("vector", ("a", "b"), ProgramError, r"dims names 2 axes \(a, b\), what is collected has the shape \(3,\)"),
        ("loop", (), ProgramError, r"dims names 0 axes .* shape \(3,\)"),
        ("slice", "school", ProgramError, r"the axis 'school' has 2 entries here, elsewhere 3"),
        ("vector", {"side": ["left", "right"]}, ProgramError, r"2 labels for 3 entries along 'side'"),
        ("vector", "mu", ProgramError, r"the results have another use for the name 'mu'"),
        ("vector", "draw", ProgramError, r"another use for the name 'draw'"),
        ("vector", 3, UsageError, r"dims must be names of axes, got 3; write dims=\[\"school\"\]"),
        ("vector", ("a", "a"), UsageError, r"dims must be different names"),
        ("twice", "other", UsageError, r"dims are \['school'\] in one place and \['other'\] here"),
    ],
)
def test_names_that_do_not_fit(value: str, dims: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        assert not gm.density(recorded(value, dims), DATA).group_dims
