"""Predictions: the model's simulator run once for every posterior draw.

The random numbers of a draw are a function of (seed, chain, draw), so predictions do not depend on which
other draws are predicted, or in which order.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradmc.errors import ProgramError, UsageError
from gradmc.program.dims import RESERVED, unfit_name
from gradmc.program.raising import is_of_program, line_of, text_of
from gradmc.results.storable import as_array

SIZE = 256
"""Draws that are simulated between two writes."""


def predict_draws(bound: Any, tree: Any, seed: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Simulate data for each draw of a posterior.

    Args:
        bound: the model with its data; its model has a simulator.
        tree: a DataTree with the group `posterior`.
        seed: seed of the random numbers.

    Yields:
        The position of a chain and the simulated variables of its next draws, leading axis the draw.

    Raises:
        UsageError: the model has no simulator, or the seed is negative.
        ProgramError: the simulator raised, or its results change shape.
    """
    if seed < 0:
        raise UsageError(f"seed must be a whole number, at least 0; got {seed}")
    model = bound.model
    simulator = model.required_simulator()
    posterior = tree["posterior"]
    names = [parameter.name for parameter in bound.parameters]
    missing = [name for name in names if name not in posterior.data_vars]
    if missing:
        raise UsageError(f"the run has not kept {', '.join(missing)}, which the simulator needs")
    for position, chain in enumerate(posterior["chain"].values):
        for start in range(0, posterior.sizes["draw"], SIZE):
            piece = posterior.isel(chain=position, draw=slice(start, start + SIZE))
            values = {name: piece[name].values for name in names}
            draws = [
                simulate(
                    simulator,
                    bound,
                    {name: values[name][i] for name in names},
                    [seed, int(chain), start + i],
                )
                for i in range(piece.sizes["draw"])
            ]
            yield position, _stack(draws, model.name)


def simulate(
    simulator: Callable[..., Any], bound: Any, parameters: Mapping[str, Any], seed: list[int]
) -> dict[str, np.ndarray]:
    """Run a simulator once."""
    rng = np.random.default_rng(seed)
    try:
        result = simulator(rng, *parameters.values(), **_data_for(simulator, bound.data))
    except BaseException as error:
        if not is_of_program(error):
            raise
        raise ProgramError(
            f"the simulator of {bound.model.name} raised {text_of(error)}",
            location=line_of(error, simulator.__code__.co_filename),
        ) from error
    if not isinstance(result, Mapping):
        kind = type(result).__name__
        raise ProgramError(f"the simulator of {bound.model.name} returned a {kind}, expected a dictionary")
    return {str(name): _simulated(bound.model.name, str(name), value) for name, value in result.items()}


def _simulated(model: str, name: str, value: Any) -> np.ndarray:
    """What a simulator returned under a name, as an array that results can hold."""
    array = as_array(value)
    reason = "the name has another meaning there" if name in RESERVED else unfit_name(name)
    if array is None:
        reason = f"expected numbers, texts or an array of them, got {type(value).__name__}"
    if array is None or reason is not None:
        raise ProgramError(f"the simulator of {model} returned {name!r}, which the results cannot hold: {reason}")
    return array


def _data_for(simulator: Callable[..., Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The data that a simulator asks for."""
    import inspect

    parameters = inspect.signature(simulator).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(data)
    wanted = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    return {name: data[name] for name in wanted if name in data}


def _stack(draws: list[dict[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    shapes = [{key: value.shape for key, value in draw.items()} for draw in draws]
    if any(shape != shapes[0] for shape in shapes):
        raise ProgramError(f"the simulator of {name} returns arrays whose shapes differ from draw to draw")
    return {key: np.stack([draw[key] for draw in draws]) for key in draws[0]}
