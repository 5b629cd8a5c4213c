"""The mode of a posterior: `gm.optimize`."""

from collections.abc import Mapping
from typing import Any

from gradmc.arguments import check_whole
from gradmc.density import Density
from gradmc.elsewhere import explaining
from gradmc.program.model import Model
from gradmc.run.optimum import Optimum, find_mode
from gradmc.sample import as_density


@explaining
def optimize(
    model: Model | Density,
    data: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    restarts: int = 5,
    jacobian: bool = False,
) -> Optimum:
    """Find the posterior mode by L-BFGS from several random starts, with standard errors from the Hessian.

    Args:
        model: a function decorated with `@gm.model`, or a `Density`.
        data: the model's data by name; None for a model without data, or a density.
        seed: non-negative integer; the starts are a function of it.
        restarts: number of searches, at least 1; the best one counts.
        jacobian: False for the mode of the parameters as declared (maximum a posteriori); True for that of the
            unconstrained coordinates, around which the normal (Laplace) approximation is made.

    Returns:
        An `Optimum`: the parameters by name in `values`, their standard errors in `errors`, and whether this is a
        maximum as far as can be told in `converged` and `message`.

    Raises:
        UsageError: an argument is of the wrong kind or outside its range; data do not fit the model.
        ProgramError: the model's function raised, or uses something that cannot be compiled.
        StartError: no start has a finite density.
    """
    check_whole("seed", seed, 0, None)
    check_whole("restarts", restarts, 1, None)
    return find_mode(as_density(model, data), seed=seed, restarts=restarts, jacobian=jacobian)
