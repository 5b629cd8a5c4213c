"""The report in its forms."""

import json
import math

import pytest

import gradmc as gm
from gradmc import Data, Real
from gradmc.density.prior import prior_density
from gradmc.errors import UsageError
from gradmc.lpdf import normal


@gm.model
def floored(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, math.floor(mu), 1.0)


@gm.model
def healthy(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)


@gm.model
def shifted(mu: Real[3], *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        terms = [-0.5 * (y[i] - mu[k]) ** 2 for k in range(3)]
        top = max(terms)
        total = 0.0
        for k in range(3):
            total += math.exp(terms[k] - top)
        lp += top + math.log(total)
    return lp


DATA = {"y": [0.5, 1.5]}


def test_text_json_and_html_agree() -> None:
    report = gm.check(floored, DATA, fast=True)
    (finding,) = report.errors
    content = json.loads(json.dumps(report.as_json()))
    assert content["passed"] is False
    assert content["findings"][0]["location"]["line"] == finding.location.line
    assert content["findings"][0]["parameters"] == ["mu"]
    for text in (str(report), report._repr_html_()):
        assert "math.floor(mu)" in text
        assert finding.message.split("`")[1] in text
    expected = "`floor` of a value that depends on mu has derivative 0, and the log density jumps by 5 at mu = -1."
    assert str(report).splitlines()[0] == f"error[plateau]: {expected}"
    assert report.verdict() == "floored: 1 error."


def test_a_healthy_model_passes() -> None:
    report = gm.check(healthy, DATA, fast=True)
    assert report.passed
    assert report.clean
    assert not report.findings
    assert "nothing to complain about" in str(report)


def test_the_shift_of_a_log_sum_exp_is_no_corner() -> None:
    assert not gm.check(shifted, DATA, fast=True).findings


def test_other_things_are_refused() -> None:
    with pytest.raises(UsageError, match="got function; a log density written in JAX becomes one by"):
        gm.check(lambda mu: mu)
    with pytest.raises(UsageError, match="a density has its data already"):
        gm.check(gm.density(healthy, DATA), DATA)
    with pytest.raises(UsageError, match="the prior of healthy alone cannot be checked: check the model"):
        gm.check(prior_density(healthy, DATA))


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", "a"), ("chains", 0), ("transitions", 2.5)])
def test_numbers_out_of_range_are_refused(name, value) -> None:
    with pytest.raises(UsageError, match=f"{name} must be a whole number of at least [01], got"):
        gm.check(healthy, DATA, **{name: value})


def test_a_program_in_single_precision_is_checked_in_double() -> None:
    report = gm.check(gm.density(healthy, DATA, precision="float32"), fast=True)
    assert report.clean, str(report)
    assert list(report.skipped) == ["single precision"]


def test_the_same_report_every_time() -> None:
    first, second = (gm.check(floored, DATA, fast=True) for _ in range(2))
    assert first.findings == second.findings
