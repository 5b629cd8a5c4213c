"""The ArviZ DataTree of a run, built with xarray alone."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from gradmc.results.attrs import group_attributes, storable
from gradmc.results.labels import (
    SAMPLE_DIMS,
    Labels,
    group_rank,
    resolve_axes,
    split_data,
    variable_order,
)
from gradmc.results.lengths import Rectangle


def build_tree(
    groups: Mapping[str, Mapping[str, np.ndarray]],
    *,
    chains: Mapping[str, Rectangle],
    labels: Labels,
    attributes: Mapping[str, Any],
) -> xr.DataTree:
    """A DataTree of groups whose arrays have the axes (chain, draw, ...).

    Args:
        groups: group -> variable -> array.
        chains: the chains that the first axis of each group stands for.
        labels: names of the other axes, and the data of the model.
        attributes: attributes of the run, given to the root and to each group.
    """
    attributes = storable(attributes)
    datasets = {
        group: draws_dataset(groups[group], chains[group].chains, labels, group_attributes(group, labels, attributes))
        for group in sorted(groups, key=group_rank)
    }
    observed = [name for group, variables in groups.items() if group.endswith("log_likelihood") for name in variables]
    datasets |= data_datasets(labels, observed, attributes)
    tree = xr.DataTree.from_dict(datasets, name=labels.name)
    tree.attrs = dict(attributes)
    return tree


def draws_dataset(
    variables: Mapping[str, np.ndarray],
    chains: tuple[int, ...],
    labels: Labels,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """One group of draws."""
    variables = {name: variables[name] for name in variable_order(variables, labels)}
    axes = resolve_axes({name: array.shape[2:] for name, array in variables.items()}, labels)
    draws = next(iter(variables.values())).shape[1]
    return xr.Dataset(
        {name: ((*SAMPLE_DIMS, *axes.dims[name]), array) for name, array in variables.items()},
        coords={"chain": np.asarray(chains), "draw": np.arange(draws), **axes.coords},
        attrs=dict(attributes),
    )


def data_datasets(labels: Labels, observed: Iterable[str], attributes: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    """The groups `observed_data` and `constant_data`, where there are such data."""
    datasets: dict[str, xr.Dataset] = {}
    for group, arrays in zip(("observed_data", "constant_data"), split_data(labels, observed), strict=True):
        if arrays:
            axes = resolve_axes({name: array.shape for name, array in arrays.items()}, labels)
            datasets[group] = xr.Dataset(
                {name: (axes.dims[name], array) for name, array in arrays.items()},
                coords=axes.coords,
                attrs=group_attributes(group, labels, attributes),
            )
    return datasets
