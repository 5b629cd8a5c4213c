"""Declarations: what a signature may say, and what is refused at the definition."""

import copy
import inspect
import math
import pickle
import textwrap

import numpy as np
import pytest

from gradmc.errors import DeclarationError
from gradmc.lpdf import normal
from gradmc.program.data import Data
from gradmc.program.model import Model, model
from gradmc.program.supports import Interval, Ordered, Positive, Real, Simplex


@model
def eight_schools(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    """Effects of coaching (Rubin 1981).

    More text.
    """
    lp = normal(mu, 0.0, 5.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau) + normal(y[j], theta[j], sigma[j])
    return lp


def test_a_declaration_is_read():
    assert isinstance(eight_schools, Model)
    assert eight_schools.name == "eight_schools"
    assert [p.name for p in eight_schools.parameters] == ["mu", "tau", "theta"]
    assert [d.name for d in eight_schools.data] == ["y", "sigma"]
    assert eight_schools.doc == "Effects of coaching (Rubin 1981)."
    assert len(eight_schools.source_hash) == 16
    assert model(eight_schools) is eight_schools


def test_a_model_is_still_a_plain_function():
    value = eight_schools(0.0, 1.0, [1.0, 2.0], y=[3.0, 4.0], sigma=[1.0, 1.0])
    assert type(value) is float
    assert value == pytest.approx(eight_schools.fn(0.0, 1.0, [1.0, 2.0], y=[3.0, 4.0], sigma=[1.0, 1.0]))


def test_a_model_is_a_key_like_a_function():
    twins = [model(eight_schools.fn) for _ in range(2)]
    assert len({*twins, *twins}) == 2


def test_a_model_shows_what_its_function_shows():
    assert eight_schools.__name__ == "eight_schools"
    assert inspect.getdoc(eight_schools).endswith("More text.")
    assert list(inspect.signature(eight_schools).parameters) == ["mu", "tau", "theta", "y", "sigma"]
    start, end = "<model eight_schools(mu: Real, tau: Positive, theta: Real['school'], *, ", "sigma: Data['school'])>"
    assert repr(eight_schools) == f"{start}y: Data['school'], {end}"


def test_a_model_is_copied_and_pickled_like_a_function():
    assert copy.copy(eight_schools) is eight_schools
    assert copy.deepcopy({"model": eight_schools})["model"] is eight_schools
    assert pickle.loads(pickle.dumps(eight_schools)) is eight_schools


def test_a_model_without_a_name_elsewhere_is_pickled_by_value():
    """As is what is defined in a notebook or a function."""

    @model
    def local(mu: Real, *, y, n: int = 2):
        return -mu * mu * n * y

    again = pickle.loads(pickle.dumps(local))
    assert again is not local
    assert again(3.0, y=2.0) == local(3.0, y=2.0) == -36.0
    assert repr(again) == repr(local)
    assert [field.required for field in again.data] == [True, False]


def test_string_annotations_are_evaluated():
    source = """
    from __future__ import annotations
    from gradmc.program.data import Data
    from gradmc.program.model import model
    from gradmc.program.supports import Interval, Real

    @model
    def program(mu: Real, s: Interval(0, lambda mu: mu + 1)["n"], *, y: Data["n"]):
        return mu
    """
    scope = {"__name__": "written"}
    exec(compile(textwrap.dedent(source), "written.py", "exec"), scope)
    found = scope["program"]
    assert repr(found.parameters[1].support) == "Interval(0, lambda)['n']"
    assert found.bind({"y": [1.0, 2.0]}).parameters[1].shape == (2,)


def test_string_annotations_see_the_enclosing_function():
    upper = 3.0

    @model
    def program(mu: "Interval(0, upper)"):
        return mu * upper

    assert program.parameters[0].support.upper == 3.0


WRONG = {
    "no support": ("def f(mu): pass", r"parameter 'mu' has no support; annotate it, for example `mu: Real`"),
    "no parameters": ("def f(*, y): pass", "no parameters; write them as positional arguments"),
    "other annotation": (
        "def f(mu: float): pass",
        "annotation of the parameter 'mu' must be a support, got <class 'float'>",
    ),
    "interval not called": ("def f(mu: Interval): pass", r"call it: Interval\(lo, hi\)"),
    "data among parameters": (
        "def f(y: Data): pass",
        r"'y' is annotated as data but stands among the parameters",
    ),
    "support among data": (
        "def f(mu: Real, *, y: Real): pass",
        "'y' has the support Real but stands among the data",
    ),
    "default": ("def f(mu: Real = 1.0): pass", "parameter 'mu' has a default value"),
    "star": ("def f(*mu: Real): pass", r"\*mu cannot be declared"),
    "double star": ("def f(mu: Real, **kw): pass", r"\*kw cannot be declared"),
    "no size": (
        "def f(p: Simplex): pass",
        r"Simplex needs its size in brackets, for example `p: Simplex\[3\]`",
    ),
    "reserved": ("def f(chain: Real): pass", "the name 'chain' is reserved by ArviZ"),
    "parameter and dimension": (
        'def f(n: Real, *, y: Data["n"]): pass',
        "'n' names both a parameter and a dimension",
    ),
    "data and dimension": (
        'def f(mu: Real, *, n: Data["n"]): pass',
        "'n' names both a data array and a dimension",
    ),
    "bound unknown": (
        'def f(mu: Interval(0, "top")): pass',
        "depends on 'top', which is neither a datum nor an earlier",
    ),
    "bound later": ("def f(a: Interval(0, lambda b: b), b: Real): pass", "depends on 'b', which comes later"),
    "bound with stars": ("def f(a: Interval(0, lambda *b: 1)): pass", r"must name its arguments, got \*b"),
    "unknown string": (
        'def f(mu: "Reel"): pass',
        r"annotation 'Reel' of 'mu' cannot be evaluated \(NameError",
    ),
    "wrong string": ('def f(mu: "Real[0]"): pass', "the annotation of 'mu': .*a size must be at least 1"),
    "generator": ("def f(mu: Real): yield mu", "expected a plain function, got a generator"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_declarations_name_the_argument(name):
    source, message = WRONG[name]
    scope = {"Real": Real, "Data": Data, "Interval": Interval, "Simplex": Simplex}
    exec(compile(source, "wrong.py", "exec"), scope)
    with pytest.raises(DeclarationError, match=message) as caught:
        model(scope["f"])
    assert "wrong.py:1, model f" in str(caught.value)


@pytest.mark.parametrize("other", [3, "f", print, math.sin, Real])
def test_only_functions_are_models(other):
    with pytest.raises(DeclarationError, match=r"@gm\.model expects a plain function"):
        model(other)


def test_a_simulator_is_attached_and_checked():
    @model
    def program(mu: Real, s: Positive, *, y: Data["n"]):
        return mu

    assert program.simulate is None

    @program.simulator
    def simulate(rng, mu, s, *, y):
        return {"y": rng.normal(mu, s, len(y))}

    assert program.simulate is simulate
    with pytest.raises(DeclarationError, match=r"takes \(rng, mu, s\) as positional arguments, got \(rng, s, mu\)"):
        program.simulator(lambda rng, s, mu: {})

    def other(rng, mu, s, *, z):
        return {}

    with pytest.raises(DeclarationError, match="asks for 'z', which is not among the data of program"):
        program.simulator(other)
    with pytest.raises(DeclarationError, match="expects a function"):
        program.simulator(3)


def test_the_hash_follows_the_source():
    def one(mu: Real):
        return mu

    def two(mu: Real):
        return mu + 1

    assert model(one).source_hash != model(two).source_hash
    assert model(one).source_hash == model(one).source_hash


@pytest.mark.parametrize(
    ("annotation", "sizes", "shape"),
    [
        (Real["T - 1", 2], {"T": 5}, (4, 2)),
        (Real[np.int64(3)], {}, (3,)),
        (Real["T + K"], {"T": 5, "K": 2}, (7,)),
        (Real["2 * K - T"], {"T": 1, "K": 2}, (3,)),
        (Ordered["K"], {"K": 2}, (2,)),
        (Real[3], {}, (3,)),
    ],
)
def test_shapes_are_computed(annotation, sizes, shape):
    source = f"def program(x, *, {', '.join(sizes) or 'unused=0'}): return 0.0"
    scope: dict = {}
    exec(source, scope)
    scope["program"].__annotations__["x"] = annotation
    bound = model(scope["program"]).bind(sizes)
    assert bound.parameters[0].shape == shape
    assert all(bound.sizes[name] == size for name, size in sizes.items())


def test_bounds_may_depend_on_data_and_earlier_parameters():
    @model
    def program(a: Interval(0, "top"), b: Interval(lambda a, low: a + low, None), *, top, low):
        return 0.0

    bound = program.bind({"top": 3.0, "low": np.float64(1.0)})
    assert [p.name for p in bound.parameters] == ["a", "b"]
