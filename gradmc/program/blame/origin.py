"""Where an equation of a traced program comes from: the user's line, and the function that was called there.

The compiler runs the program under the user's own file name and lines, and JAX keeps the Python stack of every
equation. Between the primitive (innermost) and the caller in gradmc (outermost) stand frames of JAX, of gradmc's front
end, perhaps of a library of distributions, and of the user. The user's innermost frame is the line to show.
The outermost library frame inside of it says what the user called: `stop_gradient` within `logsumexp` is not
the user's doing.
"""

import itertools
import linecache
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.errors import SourceLocation
from gradmc.program.installed import LIBRARIES, PACKAGE

ENTRANCES = frozenset(
    str(Path(PACKAGE, *parts))
    for parts in (("program", "compiler.py"), ("foreign", "function.py"), ("foreign", "numpyro_model.py"))
)
"""Files from which gradmc calls the user's function."""

LAWS = (str(Path(PACKAGE) / "lpdf"), "/numpyro/", "/jax/_src/scipy/stats", "/jax/scipy/stats")
JIT = "/jax/_src/pjit.py"
WRAPPERS = (
    "traceback_util.py",
    "tree_util.py",
    "source_info_util.py",
    "/jax/_src/interpreters/",
    JIT,
    "/jax/_src/core.py",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an equation comes from.

    Attributes:
        location: the user's line; None where the stack shows none.
        called: name of the library function that the user called there; empty for a plain operator or a subscript.
            Without a line, the outermost `jax.named_scope`: the site of a numpyro model.
        law: whether it belongs to a log density of a library.
    """

    location: SourceLocation | None
    called: str = ""
    law: bool = False


NOWHERE = Origin(None)


def origin(eqn: JaxprEqn) -> Origin:
    """Where an equation comes from."""
    trace = getattr(eqn.source_info, "traceback", None)
    called, law = "", False
    for frame in trace.frames if trace is not None else ():
        file = frame.file_name
        if file in ENTRANCES:
            break
        if file.startswith(PACKAGE):
            if file.startswith(LAWS[0]):
                called, law = frame.function_name.rpartition(".")[2], True
        elif _is_library(file):
            if not _is_wrapper(file):
                called = frame.function_name.rpartition(".")[2]
            law = law or any(part in file for part in LAWS[1:])
        else:
            return Origin(_located(frame), called, law)
    source = eqn.params.get("source")
    if isinstance(source, SourceLocation):
        return Origin(source)
    return Origin(None, str(eqn.source_info.name_stack).partition("/")[0] or called, law)


def is_users(called: Jaxpr) -> bool:
    """Whether the body of a `jit` is a function of the user, whose equations have lines of their own.

    Between the primitive and the frames of `jit` around it stands then a frame of the user. The frames further out are
    those of the first call, since JAX keeps the traced body.
    """
    for eqn in called.eqns:
        frames = [f.file_name for f in eqn.source_info.traceback.frames] if eqn.source_info.traceback else []
        inside = itertools.dropwhile(_is_wrapper, frames)
        inside = itertools.takewhile(lambda file: not file.endswith(JIT), inside)
        if any(not file.startswith(PACKAGE) and not _is_library(file) for file in inside):
            return True
    return False


def _is_wrapper(file: str) -> bool:
    return any(part in file for part in WRAPPERS)


def _is_library(file: str) -> bool:
    return file.startswith((*LIBRARIES, "<frozen"))


def _located(frame: Any) -> SourceLocation:
    line = int(frame.line_num)
    text = linecache.getline(frame.file_name, line).rstrip("\n")
    return SourceLocation(frame.file_name, line, text, frame.function_name)
