"""Evaluating a program by calling it directly; JAX unrolls its loops."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from gradmc.program.marks import collecting


@dataclass(frozen=True, slots=True)
class Collected:
    observe: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


class ConcreteDataNeeded(Exception):
    names: frozenset[str] = frozenset()


def evaluate(
    fn: Any, args: tuple, kwargs: dict, *, collect: bool = False
) -> tuple[Any, Collected]:
    if not collect:
        return fn(
            *args,
            **{
                k: jnp.asarray(v) if hasattr(v, "shape") else v
                for k, v in kwargs.items()
            },
        ), Collected()
    with collecting() as marks:
        value = fn(
            *args,
            **{
                k: jnp.asarray(v) if hasattr(v, "shape") else v
                for k, v in kwargs.items()
            },
        )

    def stack(d: dict) -> dict:
        return {
            k: jnp.asarray(v[0]) if len(v) == 1 else jnp.stack(v) for k, v in d.items()
        }

    return value, Collected(stack(marks.observe), stack(marks.record))
