"""Densities that do not come from a gradmc program: the checks that make sense are made, the others named."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax import lax

import gradmc as gm
from tests.check import AMPLE

Y = np.array([1.0, 2.0, 3.0, 0.3])


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(k for k, line in enumerate(lines) if text in line)


def found(report):
    return {(f.code, f.location.line if f.location else None) for f in report.findings if f.severity != "note"}


def schools(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", 4):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
    numpyro.sample("y", dist.Normal(theta, 1.0), obs=y)


def test_a_numpyro_model_is_checked_and_costed_by_site():
    report = gm.check(gm.from_numpyro(schools, Y), seconds=AMPLE)
    assert report.clean
    (funnel,) = report.findings
    assert (funnel.code, funnel.location.line) == ("funnel", line_of(schools, '"theta"'))
    assert {"differentiable", "support", "finite", "gradient", "modes", "identifiability"} <= set(report.checks)
    assert set(report.skipped) >= {"plain", "source"}
    assert "Not checked: plain (the density is a JAX function" in str(report)
    assert [row["name"] for row in report.costs["terms"]] == ["mu", "tau", "theta", "y"]
    assert all(row["seconds"] > 0 for row in report.costs["terms"])
    assert report.as_json()["skipped"] == report.skipped


def floored(y):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    level = jnp.where(mu > 0, 1.0, 2.0)
    numpyro.sample("nu", dist.Normal(jnp.floor(mu), 5))
    numpyro.sample("y", dist.Normal(level, 1.0), obs=y)


def test_plateaus_and_jumps_of_a_numpyro_model():
    report = gm.check(gm.from_numpyro(floored, Y), fast=True)
    assert found(report) == {("plateau", line_of(floored, "jnp.floor")), ("jump", line_of(floored, "where"))}
    assert report.exit_code == 3


@jax.jit
def rounded(x):
    return jnp.round(x)


def in_loops(p):
    def step(total, a):
        return total + jnp.floor(p["x"] * a), None

    total, _ = lax.scan(step, 0.0, jnp.arange(3.0))
    return -(p["x"] ** 2) - p["y"] ** 2 + rounded(p["y"]) + total


def branching(p):
    bonus = lax.cond(p["x"] > 0.2, lambda: 1.0, lambda: 0.0)
    return -(p["x"] ** 2) - p["y"] ** 2 + bonus


def walled(p):
    return -p["x"] - jnp.log(p["x"]) ** 2 - p["y"] ** 2


def untaken(p):
    root = jnp.where(p["x"] > 0, jnp.sqrt(p["x"]), 0.0)
    return -(p["x"] ** 2) - p["y"] ** 2 - root


def unused(p):
    return -(p["x"] ** 2)


@jax.custom_jvp
def cube(x):
    return x**3


cube.defjvp(lambda primals, tangents: (cube(primals[0]), 2.0 * primals[0] ** 2 * tangents[0]))


def wrong(p):
    return -(p["x"] ** 2) - p["y"] ** 2 + 0.1 * cube(p["x"])


def only_the_sum(p):
    return -((p["x"] + p["y"]) ** 2)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (in_loops, {("plateau", "jnp.floor"), ("plateau", "rounded")}),
        (branching, {("jump", "lax.cond")}),
        (walled, {("support", "return")}),
        (untaken, {("bad-gradient", "jnp.where")}),
        (unused, {("flat-parameter", "def unused")}),
        (wrong, {("wrong-gradient", "cube(")}),
        (only_the_sum, {("not-identified", "return")}),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_functions_get_the_finding_they_deserve(function, expected):
    report = gm.check(
        gm.from_logdensity(function, {"x": 1.0, "y": 2.0}), fast=function is not only_the_sum, seconds=AMPLE
    )
    lines = {(code, line_of(function, text)) for code, text in expected if text != "rounded"}
    if function is in_loops:
        lines.add(("plateau", line_of(rounded.__wrapped__, "jnp.round")))
        assert "jumps within loops of JAX" in report.skipped
    assert found(report) == lines, str(report)


def without_a_gradient(p):
    doubled = lax.while_loop(lambda v: v < 4.0, lambda v: 2.0 * v, jnp.abs(p["y"]) + 1.0)
    return -(p["x"] ** 2) - doubled


def test_a_function_without_a_reverse_mode_is_a_finding():
    report = gm.check(gm.from_logdensity(without_a_gradient, {"x": 1.0, "y": 2.0}), seconds=AMPLE)
    assert [f.code for f in report.findings] == ["program"]
    assert "Reverse-mode differentiation does not work for lax.while_loop" in str(report)
    assert report.verdict() == "without_a_gradient: 1 error."


def test_the_remedy_for_a_wall_is_a_transformation():
    report = gm.check(gm.from_logdensity(walled, {"x": 1.0, "y": 2.0}), fast=True)
    (finding,) = report.errors
    assert finding.message == "the density is 0 for negative values of x, in coordinates that should be free"
    assert "x = jnp.exp(z); return log_density(x) + z" in finding.remedy


@pytest.mark.parametrize("make", [lambda: jnp.linalg.norm, lambda: __import__("functools").partial(branching)])
def test_functions_without_source_are_checked_too(make):
    function = make()
    example = np.zeros(3) if function is jnp.linalg.norm else {"x": 1.0, "y": 2.0}
    report = gm.check(gm.from_logdensity(function, example), fast=True)
    assert report.checks
    assert str(report)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gm.from_logdensity(wrong, {"x": 1.0, "y": 2.0}, precision="float32"),
        lambda: gm.from_numpyro(floored, Y, precision="float32"),
    ],
)
def test_single_precision_is_checked_in_double(make):
    density = make()
    report = gm.check(density, fast=True)
    assert "single precision" in report.skipped
    assert {code for code, _ in found(report)} in ({"wrong-gradient"}, {"plateau", "jump"})
    assert density.dtype == np.float32
