"""Attributes of results, in ArviZ's names and in types that Zarr and NetCDF can both hold."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gradmc.results.labels import SAMPLE_DIMS, Labels
from gradmc.versions import library_version


def standard_attributes(labels: Labels) -> dict[str, Any]:
    """The attributes that ArviZ recommends for every group of draws."""
    own = library_version()
    return {
        "name": labels.name,
        "created_at": datetime.now(UTC).isoformat(),
        "creation_library": "gradmc",
        "creation_library_version": own,
        "creation_library_language": "Python",
        "inference_library": "gradmc",
        "inference_library_version": own,
    }


def group_attributes(group: str, labels: Labels, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of one group: the standard ones, and those of the run where they belong."""
    result = dict(attributes)
    if "data" in group:
        result["sample_dims"] = []
    else:
        result["sample_dims"] = list(SAMPLE_DIMS)
    if group.removeprefix("warmup_") in ("posterior", "unconstrained_posterior") and labels.sampled_variables:
        result["sampled_variables"] = list(labels.sampled_variables)
    return result


def storable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without booleans, nulls, long integers and nested values, which NetCDF cannot hold."""
    return {str(key): _storable(value) for key, value in attributes.items() if value is not None}


def _storable(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return _storable(value.tolist())
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return list(value)
    if isinstance(value, list | tuple) and all(
        isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in value
    ):
        return [_storable(v) for v in value]
    return json.dumps(value, default=str)
