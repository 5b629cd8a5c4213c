"""Arguments by the names they have in Stan, NumPyro and PyMC are answered with ours."""

import inspect

import pytest

import gradmc as gm
from gradmc.elsewhere import ARGUMENTS, meant
from gradmc.errors import UsageError
from gradmc.run.settings import Settings


@gm.model
def line(mu: gm.Real, *, y: gm.Data["n"]):
    return -((y - mu) ** 2).sum() / 2


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("num_samples", "draws"),
        ("iter", "draws"),
        ("tune", "warmup"),
        ("adapt_delta", "target_accept"),
        ("max_treedepth", "max_tree_depth"),
        ("random_seed", "seed"),
        ("progressbar", "progress"),
        ("drawz", "draws"),
    ],
)
def test_a_foreign_argument_gets_ours(given: str, ours: str) -> None:
    with pytest.raises(UsageError, match=f"gm.sample has no argument '{given}'; did you mean {ours}\\?"):
        gm.sample(line, {"y": [1.0]}, **{given: 100})


def test_several_at_once_and_one_that_nothing_is_like() -> None:
    with pytest.raises(UsageError, match=r"'tune'; did you mean warmup\?\n.*'xyzzy'; its arguments are adaptation, "):
        gm.sample(line, {"y": [1.0]}, tune=1, xyzzy=2)


def test_data_as_arguments_of_their_own() -> None:
    with pytest.raises(UsageError, match=r'y: data come as one dictionary: gm.sample\(model, {"y": ...}\)'):
        gm.sample(line, y=[1.0])


@pytest.mark.parametrize("name", ["check", "density", "optimize", "calibrate", "predict", "sample_prior", "sample"])
def test_every_function_that_takes_a_model_explains(name: str) -> None:
    with pytest.raises(UsageError, match=f"gm.{name} has no argument 'random_state'"):
        getattr(gm, name)(line, random_state=1)
    assert "model" in inspect.signature(getattr(gm, name)).parameters  # what an editor shows


def test_the_list_knows_our_names_and_no_name_twice() -> None:
    ours = {*inspect.signature(gm.sample).parameters, *inspect.signature(gm.optimize).parameters, "thin", "output"}
    assert set(ARGUMENTS) <= ours | set(Settings.__dataclass_fields__)
    theirs = [name for names in ARGUMENTS.values() for name in names]
    assert len(set(theirs)) == len(theirs)
    assert not set(theirs) & ours
    assert meant("qqq", ours) == ""
