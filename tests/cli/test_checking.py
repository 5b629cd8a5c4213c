"""`gradmc check` and `gradmc calibrate` as a user meets them."""

from pathlib import Path

from tests.cli.conftest import Gradmc

FLOORED = """
import math
import gradmc as gm
from gradmc.lpdf import normal

@gm.model
def line(mu: gm.Real, sigma: gm.Positive, *, y: gm.Data["n"]):
    level = math.floor(mu)
    return normal(mu, 0.0, 10.0) + normal(sigma, 0.0, 5.0) + normal(y, level, sigma)
"""


def test_check_passes_a_healthy_model(project: Path, gradmc: Gradmc) -> None:
    result = gradmc("check", project / "run.toml", "--fast")
    assert result.code == 0, result.out
    assert "line: nothing to complain about" in result.out


def test_check_exits_with_3_and_names_the_line(project: Path, gradmc: Gradmc) -> None:
    (project / "model.py").write_text(FLOORED)
    result = gradmc("check", project / "run.toml", "--fast")
    assert result.code == 3
    assert "error[plateau]: `floor` of a value that depends on mu has derivative 0" in result.out
    assert f"{project / 'model.py'}:8, in line" in result.out
    as_json = gradmc("check", project / "run.toml", "--fast", "--json")
    assert as_json.code == 3
    assert as_json.json["findings"][0]["code"] == "plateau"
    assert as_json.json["findings"][0]["location"]["line"] == 8


def test_calibrate_exits_with_4_when_the_simulator_is_wrong(project: Path, gradmc: Gradmc) -> None:
    model = (project / "model.py").read_text()
    model = model.replace("normal(sigma, 0.0, 5.0)", "normal(sigma, 1.0, 0.3)")
    (project / "model.py").write_text(model)
    options = ("--replications", 60, "--ranked", 31, "--warmup", 200)
    right = gradmc("calibrate", project / "run.toml", *options, "--json")
    assert right.code == 0, right.out
    assert right.json["passed"] is True
    (project / "model.py").write_text(model.replace("rng.normal(mu, sigma", "rng.normal(mu, sigma**2 + 3.0"))
    wrong = gradmc("calibrate", project / "run.toml", *options)
    assert wrong.code == 4
    assert "line is NOT calibrated" in wrong.out


NO_GRADIENT = """
import math
import gradmc as gm
from gradmc.lpdf import normal

@gm.model
def line(mu: gm.Real, sigma: gm.Positive, *, y: gm.Data["n"]):
    away = mu - mu
    lp = normal(mu, 0.0, 10.0) + normal(sigma, 0.0, 5.0) + normal(y, mu, sigma)
    return lp - math.sqrt(away * away)
"""


def test_a_start_that_fails_exits_with_3_and_names_the_operation(project: Path, gradmc: Gradmc) -> None:
    (project / "model.py").write_text(NO_GRADIENT)
    result = gradmc("sample", project / "run.toml")
    assert result.code == 3
    said = " ".join(result.err.split())  # the terminal's width breaks lines
    assert "but its gradient with respect to mu is not finite" in said
    assert "The first operation that is not finite is the derivative of sqrt of 0 at" in said
    assert "model.py:10, in line return lp - math.sqrt(away * away)" in said
    assert "Traceback" not in result.err
    assert "gradmc/program" not in result.err
