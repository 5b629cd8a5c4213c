"""Parts by name, by table, and as objects; options are those of one list."""

import inspect
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import UsageError
from gradmc.run.parts import CONTRACT, PARTS, make_part, name_of, settings_of
from gradmc.run.settings import Settings
from tests.run.doubles import run, whole


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PARTS for name in PARTS[kind]])
def test_a_registered_part_keeps_its_contract(kind: str, name: str) -> None:
    made = make_part(kind, name)
    assert callable(getattr(made, CONTRACT[kind]))
    assert name_of(kind, made) == name
    assert make_part(kind, {"name": name}) == made
    assert make_part(kind, made) is made
    assert type(made) is getattr(gm, type(made).__name__)


def test_settings_of_a_named_part() -> None:
    assert Settings(max_tree_depth=7).part("kernel") == gm.Nuts(max_tree_depth=7)
    assert Settings(kernel="hmc", integration_time=2.0).part("kernel") == gm.Hmc(integration_time=2.0)
    assert Settings(kernel={"name": "nuts", "max_tree_depth": 7}).part("kernel") == gm.Nuts(max_tree_depth=7)
    assert Settings(metric={"name": "low_rank", "rank": 3}).part("metric") == gm.LowRank(rank=3)
    assert settings_of(gm.Nuts(max_tree_depth=7)) == {"max_tree_depth": 7, "max_energy_error": 1000.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kernel": gm.Nuts(), "max_tree_depth": 3},
            "max_tree_depth is a setting of the kernel here: give it to Nu",
        ),
        ({"kernel": {"name": "hmc"}, "integration_time": 3.0}, "integration_time is a setting of the kernel here"),
        ({"adaptation": gm.Warmup(), "target_accept": 0.9}, "target_accept is a setting of the adaptation here"),
        ({"adaptation": gm.Warmup(), "metric": "dense"}, "metric is a setting of the adaptation here"),
        ({"adaptation": "warmup"}, "adaptation must be an object such as gm.Warmup"),
        ({"kernel": gm.LowRank()}, "kernel must be one of"),
    ],
)
def test_what_does_not_go_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gm.Nuts(max_tree_depth=0), "max_tree_depth must be a whole number between 1 and 30"),
        (lambda: gm.Hmc(jitter=2), "jitter must be a number between 0 and 1"),
        (lambda: gm.Microcanonical(integration_time=0), "integration_time must be a number greater than 0"),
        (lambda: gm.LowRank(rank=0), "rank must be a whole number"),
        (lambda: gm.Pathfinder(paths=0), "paths must be a whole number"),
        (lambda: gm.Warmup(target_accept=1), "target_accept must be a number between 0 and 1"),
        (
            lambda: make_part("kernel", {"name": "nuts", "depth": 3}),
            "kernel 'nuts' has no setting 'depth'",
        ),
        (
            lambda: make_part("start", {"name": "uniform", "paths": 3}),
            "has no setting 'paths'; it has none",
        ),
    ],
)
def test_settings_of_parts_are_checked(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_an_object_draws_what_its_name_draws() -> None:
    named, _ = run(kernel="hmc", integration_time=1.2, metric="diagonal", target_accept=0.7, start="uniform")
    objects, sampler = run(
        kernel=gm.Hmc(integration_time=1.2),
        adaptation=gm.Warmup(gm.Diagonal(), target_accept=0.7),
        start=gm.Uniform(),
        executor=gm.Threads(),
    )
    assert sampler.started == {"start": "uniform"}
    np.testing.assert_array_equal(whole(objects, 0), whole(named, 0))


def test_the_arguments_of_sample_are_the_options() -> None:
    """In name and default; `gm.sample` has besides what is no matter of a sampler."""
    signature = {name: p.default for name, p in inspect.signature(gm.sample).parameters.items()}
    own = {"model", "data", "initial", "precision", "check", "progress", "output", "resume", "keep", "stop"}
    settings = {name: p.default for name, p in inspect.signature(Settings).parameters.items()}
    assert {name: default for name, default in signature.items() if name not in own} == settings
