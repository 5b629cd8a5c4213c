"""Prediction: a model's simulator run for draws of its posterior or of its prior."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.arguments import check_whole
from gradmc.density.prior import prior_density
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.program.model import Model
from gradmc.results.labels import Labels
from gradmc.results.prediction import predict_draws
from gradmc.sample import sample


@explaining
def predict(model: Model, data: Mapping[str, Any] | None, draws: Any, *, seed: int = 0) -> Any:
    """Simulate new data for every posterior draw.

    Args:
        model: a model with a simulator (`@model.simulator`).
        data: the model's data, of which those are enough that the simulator asks for; other covariates of the same
            kind predict for them.
        draws: a DataTree with the group `posterior`, as `gm.sample` returns.
        seed: non-negative integer; what is simulated is a function of it.

    Returns:
        `draws` with the group `posterior_predictive` added or replaced, each variable of shape (chain, draw, ...).

    Raises:
        UsageError: the model has no simulator, `draws` no posterior, or the seed is no whole number.
        DataError: the data do not fit the model.
        ProgramError: the simulator raised, or its results change shape.
    """
    _check_model(model)
    return _with_predictions(model, data, draws, seed, source="posterior", target="posterior_predictive")


@explaining
def sample_prior(
    model: Model, data: Mapping[str, Any] | None = None, *, draws: int = 1000, seed: int | None = None
) -> Any:
    """Draw from a model's prior, and simulate data from it.

    The prior is the program without the terms that it marks with `observe`; NUTS samples it.

    Args:
        model: a model that marks its likelihood; with a simulator there are predictions too.
        data: the model's data; sizes and covariates come from them. What the model observes is not used, but has to
            be there, with any values of the right shape.
        draws: draws per chain, of 4 chains.
        seed: non-negative integer; None chooses one.

    Returns:
        A DataTree with the groups `prior`, `prior_sample_stats` and, with a simulator, `prior_predictive`.

    Raises:
        UsageError, DataError, ProgramError, StartError: as `gm.sample`; an improper prior has no valid draws.
    """
    _check_model(model)
    tree = sample(prior_density(model, data), draws=draws, seed=seed, progress="none")
    import xarray as xr

    groups = {"prior": tree["posterior"].to_dataset(), "prior_sample_stats": tree["sample_stats"].to_dataset()}
    prior = xr.DataTree.from_dict(groups, name=tree.name)
    prior.attrs = dict(tree.attrs)
    if model.simulate is None:
        return prior
    return _with_predictions(model, data, prior, int(tree.attrs["seed"]), source="prior", target="prior_predictive")


def _check_model(model: Any) -> None:
    if not isinstance(model, Model):
        raise UsageError(f"expected a model declared with @gm.model, got {model!r} of type {type(model).__name__}")


def _with_predictions(
    model: Model, data: Mapping[str, Any] | None, draws: Any, seed: int, *, source: str, target: str
) -> Any:
    from gradmc.results.attrs import standard_attributes
    from gradmc.results.tree import draws_dataset

    if source not in getattr(draws, "children", ()):
        raise UsageError(f"the draws have no group {source!r}; pass what gm.sample returned")
    check_whole("seed", seed, 0, None)
    bound = model.bind_simulator(data)
    chains: dict[int, list[dict[str, np.ndarray]]] = {}
    for chain, values in predict_draws(bound, {"posterior": draws[source]}, seed):
        chains.setdefault(chain, []).append(values)
    variables = {
        name: np.stack([np.concatenate([piece[name] for piece in pieces]) for pieces in chains.values()])
        for name in next(iter(chains.values()))[0]
    }
    labels = Labels.of(bound)
    numbers = tuple(int(chain) for chain in draws[source]["chain"].values)
    result = draws.copy()
    result[target] = draws_dataset(variables, numbers, labels, standard_attributes(labels))
    return result
