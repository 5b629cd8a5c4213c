"""Every shipped model: its files; its density against plain Python and finite differences; its simulator."""

import arviz_stats
import numpy as np
import pytest

import gradmc as gm
from gradmc.config.target import load_model
from tests.models.shipped import ALL, FOLDER, NAMES, SYSTEMS, as_floats, shipped

every = pytest.mark.parametrize("name", NAMES)
WITHOUT_SIMULATOR = ("constants_from_tests",)
"""Its data are expectations."""


def test_all_models_are_found() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/model.py")}
    assert folders == set(ALL), "a model folder without run.toml"
    assert {"eight_schools", "garch11", "hmm", "lotka_volterra"} <= folders


@pytest.mark.parametrize("name", ALL)
def test_readme_names_the_data_and_their_source(name: str) -> None:
    text = (FOLDER / name / "README.md").read_text()
    data_files = [path.name for path in (FOLDER / name).iterdir() if path.suffix in (".csv", ".json", ".npz")]
    assert data_files
    assert all(f"`{file}`" in text for file in data_files)
    assert ("**Data.**" in text and "Source" in text) or "Computed from" in text
    assert "**What to expect.**" in text
    assert f"`{name}`" in (FOLDER / "README.md").read_text()


@every
def test_compiled_equals_plain_python(name: str) -> None:
    model = shipped(name)
    bound = model.model.bind(model.data)
    for x in model.positions(3, seed=1):
        values = model.density.constrain(x)
        plain = float(model.model(**as_floats(values), **bound.data))
        assert np.isfinite(plain)
        np.testing.assert_allclose(model.density.log_density(values), plain, rtol=1e-12)


@every
def test_gradient_equals_finite_differences(name: str) -> None:
    model = shipped(name)
    (x,) = model.positions(1, seed=2)
    value, gradient = model.density.value_and_grad(x)
    step = 1e-5
    slopes = [
        (model.density(x + step * unit) - model.density(x - step * unit)) / (2 * step)
        for unit in np.eye(model.density.dim)
    ]
    np.testing.assert_allclose(value, model.density(x), rtol=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())


@every
def test_observed_terms_and_the_prior_sum_to_the_density(name: str) -> None:
    model = shipped(name)
    (x,) = model.positions(1, seed=3)
    values = model.density.constrain(x)
    with model.density.scope():
        groups = model.density.expand(x, model.density.arguments)
    assert set(values) <= set(groups["posterior"])
    total = sum(float(np.sum(np.asarray(terms))) for terms in groups["log_likelihood"].values())
    np.testing.assert_allclose(
        float(groups["log_prior"]["log_prior"]) + total, model.density.log_density(values), rtol=1e-10
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_SIMULATOR])
def test_simulator_makes_data_of_the_same_shape(name: str) -> None:
    model = shipped(name)
    bound = model.model.bind(model.data)
    (x,) = model.positions(1, seed=4)
    values = as_floats(model.density.constrain(x))
    parameters = [values[parameter.name] for parameter in model.model.parameters]
    assert model.model.simulate is not None
    first, second = (model.model.simulate(np.random.default_rng(5), *parameters, **bound.data) for _ in range(2))
    assert first
    assert set(first) <= set(bound.data)
    for key, new in first.items():
        assert np.shape(new) == np.shape(bound.data[key])
        assert np.all(np.isfinite(new))
        np.testing.assert_array_equal(new, second[key])


def test_centred_and_noncentred_eight_schools_are_one_posterior() -> None:
    noncentred = shipped("eight_schools")
    centred = gm.density(load_model(f"{FOLDER / 'eight_schools' / 'model.py'}:eight_schools_centred"), noncentred.data)
    for x in noncentred.positions(3, seed=6):
        values = noncentred.density.constrain(x)
        moved = {
            "mu": values["mu"],
            "tau": values["tau"],
            "theta": values["mu"] + values["tau"] * values["z"],
        }
        difference = noncentred.density.log_density(values) - centred.log_density(moved)
        np.testing.assert_allclose(difference, 8 * np.log(values["tau"]), rtol=1e-10)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.campaign if name in SYSTEMS else pytest.mark.slow) for name in NAMES]
)
def test_run_toml_gives_draws_to_trust(name: str) -> None:
    """The seeds are fixed: R-hat below 1.01 and 100 effective draws per chain is what `gradmc diagnose` asks for."""
    model = shipped(name)
    sampler = model.config.sampler
    tree = gm.sample(
        model.density,
        seed=sampler.seed,
        chains=sampler.chains,
        warmup=sampler.warmup,
        draws=sampler.draws,
        target_accept=sampler.target_accept,
        progress="none",
    )
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    table = arviz_stats.summary(tree, kind="diagnostics", round_to="none")
    assert table["r_hat"].max() < 1.01
    assert table[["ess_bulk", "ess_tail"]].min().min() >= 100 * sampler.chains
