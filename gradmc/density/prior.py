"""The prior of a program: its density without the terms that it marks with `observe`."""

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from jaxtyping import Array, Float

from gradmc.density.base import Expanded, Precision, dtype_of
from gradmc.density.program_density import ProgramDensity, bounded
from gradmc.elsewhere import explaining
from gradmc.program.ir import MAX_LOOP_ITERATIONS
from gradmc.program.marks import without_likelihood
from gradmc.program.model import Model

if TYPE_CHECKING:
    from gradmc.program import compiler


class PriorDensity(ProgramDensity):
    """The density of the declared parameters before any data are observed."""

    @functools.cached_property
    def program(self) -> "compiler.TracedJaxpr":
        """The program without its observed terms."""
        with without_likelihood():
            return self._trace_equations()

    def plain_scope(self) -> AbstractContextManager[Any]:
        """A context in which the user's function, called as plain Python, returns its prior alone."""
        return without_likelihood()

    def describe_failure(self, x: Any) -> str:
        """Say which term, line or parameter makes the log density or its gradient at x not finite."""
        with without_likelihood():
            return super().describe_failure(x)

    def expand(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Expanded:
        """Return parameters and derived quantities for one draw."""
        return {"posterior": super().expand(x, arguments)["posterior"]}


@explaining
def prior_density(
    model: Model,
    data: Mapping[str, Any] | None = None,
    *,
    precision: Precision = "float64",
    max_loop_iterations: int = MAX_LOOP_ITERATIONS,
) -> PriorDensity:
    """Return the log density of a model's prior: the program with every observed term left out.

    Args:
        model: a function declared with `@gm.model` that marks its likelihood with `gm.observe`.
        data: a value for every keyword-only argument of the model; sizes and covariates come from them.
        precision: "float64" or "float32".
        max_loop_iterations: as for `gm.density`.

    Raises:
        DataError: the data do not fit the model.
        ProgramError: the program raises, or uses something that cannot be compiled.
    """
    return PriorDensity(bounded(model.bind({} if data is None else data), max_loop_iterations), dtype_of(precision))
