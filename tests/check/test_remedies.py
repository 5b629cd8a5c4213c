"""Each remedy that a finding names has been tried: where it is followed, the finding goes and nothing else comes.

A program of this file is one of the zoo's in which what `Code.remedy` says has been done, word for word where it is
code. Supports are declared as the finding itself says.
"""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

import gradmc as gm
from gradmc import Circular, Data, Interval, Positive, Real, UnitInterval
from gradmc.check import check
from gradmc.check.codes import CODES
from gradmc.lpdf import bernoulli, gamma, half_cauchy, half_normal, lognormal, normal
from gradmc.program.model import Model
from tests.check import AMPLE
from tests.check.zoo import Ill, Y, load

FOLLOWED: list[tuple[str, Model, dict[str, Any], bool]] = []
NO_CODE = {"program": "its remedy is that of the error message; tests/frontend/test_refusals.py has those"}
BITS = np.array([1, 0, 1, 1])
GROUP = np.array([0, 1, 1, 2])
X = np.array([100.0, 101.0, 102.0, 103.0])
TABLE, GRID = np.array([0.0, 0.5, 2.0]), np.array([0.0, 1.0, 2.0])


def followed(code: str, *, fast: bool = True, **data: Any) -> Callable[[Model], Model]:
    """Expect that no finding of this code is left, no error and no warning; `fast`: by the fast checks."""

    def register(model: Model) -> Model:
        FOLLOWED.append((code, model, data, fast))
        return model

    return register


@followed("plateau", y=Y)
@gm.model
def sum_over_the_values(mu: Real, *, y: Data["n"]):
    each = np.array([normal(y, k, 1.0) - 0.5 * (mu - k) ** 2 for k in range(-3, 4)])
    return normal(mu, 0.0, 1.0) + logsumexp(each)


@followed("plateau", y=Y)
@gm.model
def smooth_level(mu: Real, *, y: Data["n"]):
    threshold, width = 0.5, 0.3
    weight = 1 / (1 + math.exp(-(mu - threshold) / width))
    return normal(mu, 0.0, 1.0) + normal(y, weight, 1.0)


@followed("step", y=Y)
@gm.model
def smooth_switch(x: Real, *, y: Data["n"]):
    threshold, width = 0.5, 0.2
    weight = 1 / (1 + math.exp(-(x - threshold) / width))
    return normal(x, 0.0, 1.0) + normal(y, x + 2.0 * weight, 1.0)


@followed("selection", y=Y)
@gm.model
def smooth_choice(x: Real["n"], *, y: Data["n"]):
    weights = np.exp(x - logsumexp(x))
    return normal(x, 0.0, 1.0) + normal(y, np.sum(weights * np.arange(len(y))), 1.0)


@followed("lookup", y=Y, grid=GRID, table=TABLE)
@gm.model
def interpolated(x: Interval(0.0, 2.0), *, y: Data["n"], grid: Data["k"], table: Data["k"]):
    value = np.interp(x, grid, table)
    return normal(y, value, 1.0)


@followed("stop-gradient", y=Y)
@gm.model
def not_stopped(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)


@followed("sawtooth", y=Y)
@gm.model
def angle(phase: Circular, *, y: Data["n"]):
    lp = 0.0
    for t in range(len(y)):
        lp += normal(y[t], math.sin(t + phase) + math.cos(phase), 1.0)
    return lp


@followed("kink", y=Y)
@gm.model
def smooth_maximum(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, np.logaddexp(mu, 0.0), 1.0)


@followed("kink", y=Y)
@gm.model
def smooth_size(x: Real, *, y: Data["n"]):
    e = 0.1
    return normal(x, 0.0, 1.0) + normal(y, math.sqrt(x**2 + e**2), 1.0)


@followed("jump", y=Y)
@gm.model
def sides_that_agree(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    if mu > 0.5:
        lp += normal(y, mu, 1.0)
    else:
        lp += normal(y, 0.25 + mu * mu, 1.0)
    return lp


@followed("jump", y=Y)
@gm.model
def mixture_of_the_sides(mu: Real, p: UnitInterval, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        first, second = normal(y[i], mu, 1.0), normal(y[i], 2.0, 1.0)
        lp += np.logaddexp(math.log(p) + first, math.log(1 - p) + second)
    return lp


@jax.custom_jvp
def softened(x):
    return jax.numpy.log1p(jax.numpy.exp(x))


@softened.defjvp
def _softened_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softened(x), t * jax.nn.sigmoid(x)


@followed("wrong-gradient", y=Y)
@gm.model
def corrected_rule(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, softened(mu), 1.0)


@followed("nan", y=Y)
@gm.model
def difference_that_is_positive(b: Positive, excess: Positive, *, y: Data["n"]):
    lp = normal(b + excess, 1.0, 1.0) + normal(b, 1.0, 1.0)
    return lp + normal(y, math.log(excess), 1.0)


@followed("nan", y=Y)
@gm.model
def another_form(x: Real, *, y: Data["n"]):
    return normal(x, 0.0, 1.0) + normal(y, np.sinc(x / math.pi), 1.0)


@followed("bad-gradient", y=Y)
@gm.model
def away_from_the_point(x: Real, *, y: Data["n"]):
    return normal(x, 0.0, 1.0) + normal(y, math.sqrt(x**2 + 1e-12), 1.0)


@followed("bad-gradient", y=np.abs(Y))
@gm.model
def guarded_before(x: Real, *, y: Data["n"]):
    def add(total, a):
        safe = x > 0.0
        return total + jax.numpy.where(safe, jax.numpy.where(safe, x, 1.0) ** 1.5, 0.0) * a, None

    total, _ = jax.lax.scan(add, 0.0, y)
    return normal(x, 0.0, 1.0) + normal(y, total, 1.0)


@followed("far-away", y=Y)
@gm.model
def in_logarithms(a: Real, b: Real, *, y: Data["n"]):
    lp = normal(a, 0.0, 1.0) + normal(b, 0.0, 1.0)
    return lp + normal(y, np.logaddexp(a, b), 1.0)


@followed("hole", y=Y)
@gm.model
def ends_that_exclude_it(a: Interval(0, 1), b: Interval(0, lambda a: 1 - a), *, y: Data["n"]):
    lp = 0.0
    for t in range(1, len(y)):
        lp += normal(y[t], a * y[t - 1] + b, 1.0)
    return lp


@followed("flat-parameter", y=Y)
@gm.model
def with_a_prior(mu: Real, slope: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0) + normal(slope, 0.0, 1.0)


@followed("unused-parameter", bits=BITS)
@gm.model
def used(p: UnitInterval, q: UnitInterval, *, bits: Data["n"]):
    return bernoulli(bits, p) + gm.lpdf.beta(q, 2.0, 2.0)


@followed("hand-jacobian", y=Y)
@gm.model
def line_removed(mu: Real, sigma: Positive, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + half_cauchy(sigma, 2.0) + normal(y, mu, sigma)


@followed("hand-jacobian", y=Y)
@gm.model
def written_as_a_prior(x: Positive, *, y: Data["n"]):
    lp = normal(y, 0.0, x)
    lp += -math.log(x)
    return lp


@followed("fractional-count", times=np.array([0.5, 1.5, 2.0, 3.0]))
@gm.model
def density_for_real_data(rate: Positive, *, times: Data["n"]):
    lp = half_normal(rate, 3.0) + lognormal(times, 0.0, rate)
    for i in range(len(times)):
        lp += gamma(times[i], 2.0, rate) + normal(times[i], rate, 1.0)
    return lp


@followed("index-as-number", y=Y, group=GROUP, dose=1.0 * GROUP)
@gm.model
def covariate_of_its_own(effect: Real[3], slope: Real, *, y: Data["n"], group: Data["n"], dose: Data["n"]):
    lp = normal(effect, 0.0, 1.0) + normal(slope, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]] + slope * dose[i], 1.0)
    return lp


@followed("negative-label", y=Y, group=np.array([0, 3, 1, 2]))
@gm.model
def entry_of_their_own(effect: Real[4], *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)
    return lp


@followed("label-from-1", y=Y, group=np.array([1, 2, 2, 3]) - 1)
@gm.model
def labels_from_0(effect: Real[3], *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)
    return lp


@followed("label-from-1", y=Y, group=np.array([1, 2, 2, 3]))
@gm.model
def entry_0_is_used_by_place(effect: Real[4], *, y: Data["n"], group: Data["n"]):
    lp = 0.0
    for k in range(4):
        lp += normal(effect[k], 0.0, 1.0) + normal(y[k], effect[k], 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)
    return lp


@followed("plain-differs", y=Y)
@gm.model
def function_of_its_arguments(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, 2.0 + mu, 1.0)


@followed("plain-fails", y=Y)
@gm.model
def functions_of_numpy(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, np.float64(1.0) * np.exp(mu), 1.0)


@followed("no-start", y=Y)
@gm.model
def term_corrected(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, mu, math.log(2.0 + mu**2))


@followed("not-identified", fast=False, y=Y)
@gm.model
def proper_priors(a: Real, b: Real, *, y: Data["n"]):
    return normal(y, a + b, 1.0) + normal(a, 0.0, 1.0) + normal(b, 0.0, 1.0)


@followed("not-identified", fast=False, y=Y)
@gm.model
def combination(both: Real, *, y: Data["n"]):
    return normal(y, both, 1.0)


@followed("correlated", fast=False, y=Y, x=X)
@gm.model
def covariate_centred(intercept: Real, slope: Real, *, y: Data["n"], x: Data["n"]):
    lp = normal(intercept, 0.0, 1000.0) + normal(slope, 0.0, 10.0)
    return lp + normal(y, intercept + slope * (x - np.mean(x)), 1.0)


@followed("scales", fast=False, y=Y, x=10.0 * Y)
@gm.model
def in_other_units(kilometres: Real, microns: Real, *, y: Data["n"], x: Data["n"]):
    length, width = 1e3 * kilometres, 1e-5 * microns
    lp = normal(kilometres, 0.0, 1.0) + normal(microns, 0.0, 1.0)
    return lp + normal(y, 1e5 * width, 1.0) + normal(x, 0.001 * length, 1.0)


@followed("funnel", fast=False, y=Y)
@gm.model
def not_centred(mu: Real, tau: Positive, z: Real["n"], *, y: Data["n"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        theta = mu + tau * z[j]
        lp += normal(z[j], 0.0, 1.0) + normal(y[j], theta, 3.0)
    return lp


@pytest.mark.parametrize(("code", "model", "data", "fast"), FOLLOWED, ids=[f"{c}-{m.name}" for c, m, *_ in FOLLOWED])
def test_the_finding_goes(code: str, model: Model, data: dict[str, Any], fast: bool) -> None:
    report = check(model, data, fast=fast, seconds=AMPLE)
    assert code not in {finding.code for finding in report.findings}, str(report)
    assert report.clean, str(report)


def declared_as_told(model: Model, remedy: str) -> Model:
    """The model with the declarations of a remedy in place of its own."""
    fn = model.fn
    new = FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    told = (line.strip().split(": ", 1) for line in remedy.splitlines() if line.startswith("    "))
    new.__kwdefaults__, new.__annotations__ = (
        fn.__kwdefaults__,
        fn.__annotations__ | {name: eval(declaration, vars(gm)) for name, declaration in told},
    )
    return gm.model(new)


@pytest.mark.parametrize("case", [c for c in load() if c.code == "support"], ids=lambda case: case.model.name)
def test_the_support_that_is_told(case: Ill) -> None:
    (finding,) = (f for f in check(case.model, case.data, fast=True, seconds=AMPLE).findings if f.code == "support")
    report = check(declared_as_told(case.model, finding.remedy), case.data, fast=True, seconds=AMPLE)
    assert "support" not in {f.code for f in report.findings}, str(report)
    assert report.clean, str(report)


def test_every_remedy_has_been_followed() -> None:
    nothing_to_do = {code for code, entry in CODES.items() if entry.remedy == "Nothing need be done."}
    assert nothing_to_do | {code for code, *_ in FOLLOWED} | {"support"} | set(NO_CODE) == set(CODES)
