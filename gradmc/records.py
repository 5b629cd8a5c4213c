"""Frozen records that cross `jit`: dataclasses registered as JAX pytrees.

A record is built by keyword and changed with `dataclasses.replace`; it is never unpacked by position.
"""

import dataclasses
from typing import Any, dataclass_transform

import jax


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record[T](cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass whose fields are pytree leaves or subtrees."""
    frozen = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    return jax.tree_util.register_dataclass(frozen)


def of_numpy[R](kind: type[R], **leaves: Any) -> R:
    """A record of NumPy arrays: compiled functions take them as JAX's own, and making them compiles nothing."""
    return kind(**leaves)
