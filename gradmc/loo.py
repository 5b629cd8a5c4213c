"""Leave-one-out cross-validation with moment matching: `gm.loo`.

Pareto smoothed importance sampling takes the draws of the posterior for draws of each posterior without one observation
(Vehtari, Gelman & Gabry 2017).  Where an observation moves the posterior too much for that (Pareto k above its limit),
moment matching moves the draws to the mean and covariance that the weights give, which needs the log density at points
that are no draws (Paananen, Piironen, Bürkner & Vehtari 2021).  ArviZ does both; the density is ours.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.density import Density
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError

LAST_DIGITS = 1e-12
"""Of a term, relatively: what is nothing beside the error of the estimate."""


@explaining
def loo(draws: Any, density: Density, *, name: str | None = None, moment_match: bool = True) -> Any:
    """Estimate how well a model predicts observations that it has not seen, leaving out one at a time.

    Args:
        draws: a DataTree with all parameters in `posterior`, and `log_likelihood`, as `gm.sample` returns.
        density: the density that they are draws of (`gm.density(model, data)`).
        name: of the observed terms; it may be left out where there is one name.
        moment_match: move the draws for the observations whose Pareto k is too large; False leaves the plain estimate.

    Returns:
        ArviZ's `ELPDData`: `elpd` (sum over observations of the log density of each given the others), its standard
        error `se`, and by observation `elpd_i`, `pareto_k` after and `influence_pareto_k` before the draws were moved.

    Warns:
        UserWarning: (ArviZ) Pareto k stays above its limit for some observation.

    Raises:
        UsageError: `density` is none, or `draws` are not of it or have no such observed terms.
    """
    from arviz_stats.loo import loo as by_importance
    from arviz_stats.loo import loo_moment_match

    name = _observed(draws, density, name)
    with warnings.catch_warnings():
        if moment_match:
            warnings.simplefilter("ignore")  # of what is mended below
        found: Any = by_importance(_with_tails(draws, name), var_name=name, pointwise=True)
    if not moment_match or not np.any(found.pareto_k.values > found.good_k):
        return found
    target = Target(density, name)
    return loo_moment_match(
        draws,
        found,
        log_prob_upars_fn=target.log_density,
        log_lik_i_upars_fn=target.term,
        upars=target.positions(draws["posterior"].to_dataset()),
        var_name=name,
        pointwise=True,
    )


def _observed(draws: Any, density: Any, name: str | None) -> str:
    """The name of the observed terms.

    Raises:
        UsageError: `density` is none, or `draws` are not of it or have no such observed terms.
    """
    if not isinstance(density, Density):
        raise UsageError(f"expected the density of the draws, gm.density(model, data); got {type(density).__name__}")
    for group in ("posterior", "log_likelihood"):
        if group not in getattr(draws, "children", ()):
            raise UsageError(
                f"the draws have no group {group!r}; pass what gm.sample returned for a model that observes"
            )
    lacking = [parameter for parameter in density.shapes if parameter not in draws["posterior"].data_vars]
    if lacking:
        raise UsageError(f"the draws have no {', '.join(lacking)}: they are of another model, or left it out")
    names = [str(known) for known in draws["log_likelihood"].data_vars]
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise UsageError(f"name must be one of the observed terms {', '.join(names)}; got {name!r}")
    return name


def _with_tails(draws: Any, name: str) -> Any:
    """The draws, where terms without a tail, as those that no parameter changes, differ in their last digits.

    ArviZ fits a law to the smallest terms of each observation, and refuses those that are all the same.
    """
    import xarray as xr

    terms = draws["log_likelihood"][name].transpose("chain", "draw", ...)
    values = np.array(terms.values, float)
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    least = np.sort(flat, axis=0)[: max(2, len(flat) // 5)]
    equal = np.ptp(least, axis=0) == 0
    if not np.any(equal):
        return draws
    ramp = np.random.default_rng(len(flat)).permutation(np.linspace(-1.0, 1.0, len(flat)))[:, None]
    flat[:, equal] += LAST_DIGITS * np.maximum(1.0, np.abs(flat[:, equal])) * ramp
    changed = draws["log_likelihood"].to_dataset().assign({name: terms.copy(data=values)})
    return xr.DataTree.from_dict({**{k: n.to_dataset() for k, n in draws.children.items()}, "log_likelihood": changed})


class Target:
    """A density as moment matching wants it: functions of arrays of points, of dimensions chain, draw, coordinate."""

    def __init__(self, density: Density, name: str) -> None:
        def value(x: jax.Array, i: jax.Array, arguments: Any) -> jax.Array:
            del i
            return density.logdensity(x, arguments)

        def term(x: jax.Array, i: jax.Array, arguments: Any) -> jax.Array:
            return jnp.ravel(density.expand(x, arguments)["log_likelihood"][name])[i]

        self.density = density
        self._value, self._term = jax.jit(_mapped(value)), jax.jit(_mapped(term))

    def positions(self, posterior: Any) -> Any:
        """The unconstrained coordinates of draws."""
        import xarray as xr

        density, shape = self.density, (posterior.sizes["chain"], posterior.sizes["draw"])
        with density.scope():
            values = {
                name: jnp.asarray(posterior[name].values.reshape(-1, *own), density.dtype)
                for name, own in density.shapes.items()
            }
            found = np.asarray(jax.jit(jax.vmap(density.unconstrain))(values))
        return xr.DataArray(found.reshape(*shape, density.dim), dims=("chain", "draw", "coordinate"))

    def log_density(self, points: Any) -> Any:
        """Log densities, dimensions chain and draw."""
        return self._at(self._value, points, 0)

    def term(self, points: Any, i: int) -> Any:
        """The i-th observed term, dimensions chain and draw."""
        return self._at(self._term, points, i)

    def _at(self, function: Any, points: Any, i: int) -> Any:
        with self.density.scope():
            given = jnp.asarray(points.values.reshape(-1, self.density.dim), self.density.dtype)
            found = np.asarray(function(given, jnp.int32(i), self.density.arguments), float)
        found = np.where(np.isfinite(found), found, -np.inf)  # outside of where the program has a density
        return points.isel({points.dims[-1]: 0}, drop=True).copy(data=found.reshape(points.shape[:2]))


def _mapped(at: Any) -> Any:
    return lambda points, i, arguments: jax.lax.map(lambda x: at(x, i, arguments), points)
