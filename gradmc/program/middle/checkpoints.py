"""Going back over the iterations of a loop whose number is known only at run time.

The states of all iterations do not fit into memory of a fixed size, so few are kept and the others computed
again: level l keeps up to SLOTS states, SLOTS ** (l - 1) iterations apart, and level l - 1 goes back over each
stretch between two of them. LEVELS levels reach SLOTS ** LEVELS iterations with LEVELS * SLOTS states, each
iteration being computed at most LEVELS + 1 times. Griewank & Walther, Evaluating Derivatives (2008), chapter 12.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, jaxpr_as_fun

SLOTS = 64
LEVELS = 3
BOUND = SLOTS**LEVELS
"""The most iterations; beyond, the cotangents are NaN."""


def is_inexact(x: Any) -> bool:
    """Whether a value has a derivative."""
    return jnp.issubdtype(x.dtype, jnp.inexact)


class Back:
    """The way back over a loop's iterations."""

    def __init__(self, body: Jaxpr, n_consts: int, which: Sequence[int], consts: Sequence[Any]) -> None:
        self.step, self.which, self.consts = jaxpr_as_fun(body), which, list(consts)
        self.floats = [k for k, a in enumerate(body.out_avals) if is_inexact(a)]

    def run(self, init: list[Any], count: Any, cts: list[Any]) -> tuple[list[Any], list[Any]]:
        """The cotangents of the constants and of the carry, from those after `count` iterations from `init`."""
        sums = [jnp.zeros_like(self.consts[k]) for k in self.which]
        sums, cts = self.segment(LEVELS, init, jnp.minimum(count, BOUND), sums, cts)
        poison = jnp.where(count <= BOUND, 0.0, jnp.nan)
        return [s + poison.astype(s.dtype) for s in sums], [c + poison.astype(c.dtype) for c in cts]

    def forward(self, carry: list[Any], steps: Any) -> list[Any]:
        """The carry some iterations later."""
        return lax.fori_loop(0, steps, lambda _, c: self.step(*self.consts, *c), carry)

    def segment(self, level: int, start: list[Any], length: Any, sums: list[Any], cts: list[Any]) -> tuple:
        """Back over `length` iterations from the state `start`."""
        if level == 0:
            return self.once(start, sums, cts)
        apart = SLOTS ** (level - 1)
        parts = (length + apart - 1) // apart

        def keep(k: Any, state: Any) -> Any:
            carry, kept = state
            kept = [lax.dynamic_update_index_in_dim(b, c, k, 0) for b, c in zip(kept, carry, strict=True)]
            ahead = jnp.where(k + 1 < parts, apart, 0)
            return self.forward(carry, ahead), kept

        empty = [jnp.zeros((SLOTS, *np.shape(c)), c.dtype) for c in start]
        _, kept = lax.fori_loop(0, parts, keep, (start, empty))

        def back(j: Any, state: Any) -> Any:
            k = parts - 1 - j
            begin = [lax.dynamic_index_in_dim(b, k, 0, keepdims=False) for b in kept]
            return self.segment(level - 1, begin, jnp.minimum(apart, length - k * apart), *state)

        return lax.fori_loop(0, parts, back, (sums, cts))

    def once(self, carry: list[Any], sums: list[Any], cts: list[Any]) -> tuple:
        """Back over the one iteration that starts from `carry`."""

        def of(some_consts: Any, some_carry: Any) -> list[Any]:
            consts, full = list(self.consts), list(carry)
            for k, c in zip(self.which, some_consts, strict=True):
                consts[k] = c
            for k, c in zip(self.floats, some_carry, strict=True):
                full[k] = c
            out = self.step(*consts, *full)
            return [out[k] for k in self.floats]

        point = [self.consts[k] for k in self.which], [carry[k] for k in self.floats]
        const_cts, cts = jax.vjp(of, *point)[1](cts)
        return [a + b for a, b in zip(sums, const_cts, strict=True)], cts
