"""What the signature of a model declares."""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradmc.errors import UsageError
from gradmc.program.data import DataField
from gradmc.program.support import Support


@dataclass(frozen=True, slots=True)
class Parameter:
    """One positional argument of a model: its name and its support."""

    name: str
    support: Support


@dataclass(frozen=True, eq=False, repr=False)
class Declaration:
    """Parameters and data of a function that returns a log density, and what simulates its data.

    Attributes:
        name: name of the function.
        fn: the plain function, returning the log density.
        parameters: positional arguments, in order.
        data: keyword-only arguments, in order.
        doc: first paragraph of the docstring.
    """

    name: str
    fn: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    data: tuple[DataField, ...]
    doc: str
    _simulators: list[Callable[..., Any]] = field(default_factory=list, repr=False)

    @property
    def simulate(self) -> Callable[..., Any] | None:
        """The simulator attached by `@model.simulator`, or None."""
        return self._simulators[-1] if self._simulators else None

    def required_simulator(self) -> Callable[..., Any]:
        """The simulator.

        Raises:
            UsageError: there is none.
        """
        if self.simulate is None:
            arguments = ["rng", *(parameter.name for parameter in self.parameters)]
            arguments += ["*", *(entry.name for entry in self.data)] if self.data else []
            raise UsageError(
                f"model {self.name} has no simulator; write one under `@{self.name}.simulator`: a function "
                f"({', '.join(arguments)}) that returns a dictionary of what it simulates"
            )
        return self.simulate

    @property
    def source_hash(self) -> str:
        """Hash of the source of the function and its simulator; results carry it."""
        digest = hashlib.sha256()
        for fn in (self.fn, self.simulate):
            if fn is not None:
                digest.update(_source(fn).encode())
        return digest.hexdigest()[:16]


def _source(fn: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(fn)
    except (OSError, TypeError):
        return fn.__code__.co_code.hex() + repr(fn.__code__.co_consts)
