"""Functions of the user's that JAX calls (`jax.vmap(f)`, `jax.lax.scan(f, ...)`).

What JAX traces inside of them must not be noted outside: where such a function fails or returns None, its results are
NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp

from gradmc.program.frontend import failing
from gradmc.program.frontend.convert import is_converted
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import CannotRoll, Nullable


@dataclass(frozen=True, eq=False)
class Callback:
    """A converted function as JAX calls it, with its failures in its results."""

    ev: Evaluation
    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.function.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        self.ev.given.append((len(self.ev.heap.frames), []))
        try:
            result = self.function(*args, **kwargs)
            if isinstance(result, Nullable):
                failing.note(self.ev, result.null, TypeError, AttributeError)
                result = result.value
        finally:
            _, failures = self.ev.given.pop()
        return _failing(result, failing.any_of(failures)) if failures else result


def to_jax(ev: Evaluation, value: Any) -> Any:
    """An argument of a function of JAX."""
    return Callback(ev, value) if isinstance(value, FunctionType) and is_converted(value.__code__) else value


def _failing(result: Any, failed: Any) -> Any:
    """The results of a function, NaN where it fails."""
    leaves = jax.tree.leaves(result)
    if not any(jnp.issubdtype(jnp.result_type(v), jnp.inexact) for v in leaves):
        raise CannotRoll("a function given to JAX may fail, and returns no real numbers", "Test before the call.")
    return jax.tree.map(
        lambda v: jnp.where(failed, jnp.nan, v) if jnp.issubdtype(jnp.result_type(v), jnp.inexact) else v, result
    )
