"""Where an equation of a traced program comes from: the user's line, and the function that was called there.

The compiler runs the program under the user's own file name and lines, and JAX keeps the Python stack of every
equation. Between the primitive (innermost) and the compiler (outermost) stand frames of JAX, of gradmc's front
end, perhaps of a library of distributions, and of the user. The user's innermost frame is the line to show.
The outermost library frame inside of it says what the user called: `stop_gradient` within `logsumexp` is not
the user's doing.
"""

import linecache
import site
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.extend.core import JaxprEqn

from gradmc.errors import SourceLocation

PACKAGE = str(Path(__file__).resolve().parents[1])
COMPILER = str(Path(PACKAGE) / "program" / "compiler.py")
LAWS = (str(Path(PACKAGE) / "lpdf"), "/numpyro/", "/jax/_src/scipy/stats", "/jax/scipy/stats")
LIBRARIES = tuple({*site.getsitepackages(), sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]})
WRAPPERS = (
    "traceback_util.py",
    "tree_util.py",
    "source_info_util.py",
    "/jax/_src/interpreters/",
    "/jax/_src/pjit.py",
    "/jax/_src/core.py",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an equation comes from.

    Attributes:
        location: the user's line; None where the stack shows none.
        called: name of the library function that the user called there; empty for a plain operator or a subscript.
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
        if file == COMPILER:
            break
        if file.startswith(PACKAGE):
            law = law or file.startswith(LAWS[0])
        elif _is_library(file):
            if not any(part in file for part in WRAPPERS):
                called = frame.function_name.rpartition(".")[2]
            law = law or any(part in file for part in LAWS[1:])
        else:
            return Origin(_located(frame), called, law)
    source = eqn.params.get("source")
    return Origin(source) if isinstance(source, SourceLocation) else NOWHERE


def _is_library(file: str) -> bool:
    return file.startswith(LIBRARIES) or file.startswith("<frozen")


def _located(frame: Any) -> SourceLocation:
    line = int(frame.line_num)
    text = linecache.getline(frame.file_name, line).rstrip("\n")
    return SourceLocation(frame.file_name, line, text, frame.function_name)
