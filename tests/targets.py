"""Analytic targets for the engine, without any program.

A `Target` is the little that the engine needs of a density.  `FAMILY` is one log density of three dimensions whose
argument says which of several laws it is, so that one compiled function serves tests of all of them; every law has
exact draws and a transformation to uniforms (Rosenblatt 1952), which turns exactness into a test of uniformity.
"""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gradmc.adaptation.schedule import Schedule
from gradmc.density.memo import Memo
from gradmc.kernels.kernel import Draw, Info

DOUBLE = np.dtype(np.float64)


@dataclasses.dataclass(frozen=True)
class Target:
    """What the engine needs of a density, for a JAX function of a flat vector."""

    function: Callable[[jax.Array, Any], jax.Array]
    dim: int
    dtype: np.dtype = DOUBLE
    arguments: Any = ()
    start_radius: float = 2.0
    memory: Memo = dataclasses.field(default_factory=Memo, compare=False)

    def scope(self) -> AbstractContextManager[Any]:
        """JAX in the target's precision."""
        return jax.enable_x64(self.dtype == np.float64)

    def logdensity(self, x: jax.Array, arguments: Any) -> jax.Array:
        """Log density at x."""
        return self.function(x, arguments)

    def expand(self, x: jax.Array, arguments: Any) -> dict[str, dict[str, jax.Array]]:
        """The vector itself."""
        del arguments
        return {"posterior": {"x": x}}

    def unconstrained_by_name(self, x: jax.Array) -> dict[str, jax.Array]:
        """The vector itself, as if it were transformed."""
        return {"x": x}

    def describe_failure(self, x: np.ndarray) -> str:
        """Say where."""
        return f"not finite at {np.round(x, 3).tolist()}"


def standard_normal(x: jax.Array, arguments: Any) -> jax.Array:
    """Independent standard normals."""
    del arguments
    return -0.5 * jnp.sum(x * x)


def scaled_normal(x: jax.Array, scale: jax.Array) -> jax.Array:
    """Independent normals with standard deviations `scale`."""
    return -0.5 * jnp.sum((x / scale) ** 2)


def correlated_normal(x: jax.Array, precision: jax.Array) -> jax.Array:
    """A normal with a precision matrix."""
    return -0.5 * jnp.sum(x[:, None] * precision * x[None, :])


# -- the family ------------------------------------------------------------------------------------------------

DIM = 3
CHOLESKY = np.array([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [-0.6, 0.4, 0.7]])
PRECISION = np.linalg.inv(CHOLESKY @ CHOLESKY.T)
STEP = 1.0  # in x[1]: beyond it the wall's density is zero


def _normal(x: jax.Array) -> jax.Array:
    return correlated_normal(x, jnp.asarray(PRECISION, x.dtype))


def _funnel(x: jax.Array) -> jax.Array:
    """Neal's (2003) funnel, mild: x0 ~ Normal(0, 1), x1 and x2 ~ Normal(0, exp(x0 / 2))."""
    return -0.5 * x[0] ** 2 - x[0] - 0.5 * jnp.exp(-x[0]) * (x[1] ** 2 + x[2] ** 2)


def _wall(x: jax.Array) -> jax.Array:
    """x0 ~ Gamma(2, 1), not a number below 0; x1 ~ Normal cut off at STEP; x2 ~ Normal(x1**2, 1)."""
    inside = jnp.where(x[1] < STEP, -0.5 * x[1] ** 2, -jnp.inf)
    return jnp.log(x[0]) - x[0] + inside - 0.5 * (x[2] - x[1] ** 2) ** 2


@jax.custom_jvp
def _misled(x: jax.Array) -> jax.Array:
    """The normal, with a gradient of the wrong sign in one coordinate."""
    return _normal(x)


@_misled.defjvp
def _misled_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    flipped = tangents[0] * jnp.asarray([1, 1, -1], primals[0].dtype)
    return jax.jvp(_normal, primals, (flipped,))


def _nowhere(x: jax.Array) -> jax.Array:
    """No density anywhere."""
    return -jnp.inf * jnp.sum(x * x)


MEMBERS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "normal": _normal,
    "funnel": _funnel,
    "wall": _wall,
    "misled": _misled,
    "nowhere": _nowhere,
    "unit": lambda x: standard_normal(x, ()),
}
NAMES = tuple(MEMBERS)


def family(x: jax.Array, member: jax.Array) -> jax.Array:
    """The log density of the member with a number (see `member`)."""
    return jax.lax.switch(member, tuple(MEMBERS.values()), x)


def member(name: str) -> np.ndarray:
    """The argument of `family` that stands for a law."""
    return np.asarray(NAMES.index(name), np.int32)


def target_of(law: str, dtype: type = np.float64) -> Target:
    """A member as a target of its own; all members share their compiled code."""
    return Target(function=family, dim=DIM, dtype=np.dtype(dtype), arguments=member(law))


FAMILY = target_of("normal")


def exact_draws(name: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """Independent draws of a member, shape (count, 3)."""
    z = rng.standard_normal((count, DIM))
    if name in ("normal", "misled"):
        return z @ CHOLESKY.T
    if name == "funnel":
        return np.column_stack([z[:, 0], np.exp(z[:, :1] / 2) * z[:, 1:]])
    first = rng.gamma(2.0, size=count)
    second = stats.norm.ppf(rng.uniform(size=count) * stats.norm.cdf(STEP))
    return np.column_stack([first, second, second**2 + z[:, 2]])


def to_uniforms(name: str, x: np.ndarray) -> np.ndarray:
    """Rosenblatt's transformation: draws of a member become uniform on the cube."""
    if name in ("normal", "misled"):
        return stats.norm.cdf(np.linalg.solve(CHOLESKY, x.T).T)
    if name == "funnel":
        return stats.norm.cdf(np.column_stack([x[:, 0], x[:, 1:] / np.exp(x[:, :1] / 2)]))
    first = stats.gamma(2.0).cdf(x[:, 0])
    second = stats.norm.cdf(x[:, 1]) / stats.norm.cdf(STEP)
    return np.column_stack([first, second, stats.norm.cdf(x[:, 2] - x[:, 1] ** 2)])


# -- no adaptation ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FixedMetric:
    """A stand-in for the adaptation of the metric: the chain keeps the metric that it has."""

    metric: Any  # a metric of NumPy arrays; frozen dataclasses compare by identity of arrays

    def initial(self, position: jax.Array, gradient: jax.Array) -> tuple[Any, tuple[()]]:
        """The metric."""
        del gradient
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, position.dtype), self.metric), ()

    def history_rows(self, dim: int, itemsize: int) -> int:
        """None."""
        del dim, itemsize
        return 0

    def update(
        self, metric: Any, state: tuple[()], draw: Draw, info: Info, transition: jax.Array, schedule: Schedule
    ) -> tuple[Any, tuple[()], jax.Array]:
        """Nothing changes."""
        del draw, info, transition, schedule
        return metric, state, jnp.bool_(False)
