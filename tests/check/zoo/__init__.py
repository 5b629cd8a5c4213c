"""Deliberately broken programs, each with the one finding expected of it.

`@ill(code, **data)` above `@gm.model` says which; the line that the finding must name ends in `# !`. A program
without such a line expects a finding that names no line.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.program.model import Model

MARK = "# !"
Y = np.array([1.2, -0.4, 0.7, 2.1])
COUNTS = np.array([3, 0, 2, 5])


@dataclass(frozen=True, slots=True)
class Ill:
    """A broken program and its illness."""

    code: str
    model: Model
    data: dict[str, Any]
    line: int | None
    fast: bool


CASES: list[Ill] = []


def ill(code: str, *, fast: bool = True, **data: Any) -> Callable[[Model], Model]:
    """Expect exactly one finding of this code; `fast`: already by the fast checks."""

    def register(model: Model) -> Model:
        lines, first = inspect.getsourcelines(model.fn)
        marked = [first + k for k, line in enumerate(lines) if line.rstrip().endswith(MARK)]
        assert len(marked) <= 1, f"{model.name} marks several lines"
        CASES.append(Ill(code, model, data, marked[0] if marked else None, fast))
        return model

    return register


def load() -> list[Ill]:
    """All cases of all modules of this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return CASES
