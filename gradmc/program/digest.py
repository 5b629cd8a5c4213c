"""A fingerprint as a word that means the same in every process, so that what was made of a program can be kept on disk.

`gradmc.program.fingerprint` compares things within a process, where a library's function is equal to itself. Here it
goes by its place, and a function of the user's by its bytecode, wherever it stands (the front end compiles a text only
if it gives that bytecode). With it goes all else that what is made may depend on: the versions of Python and of the
libraries, gradmc's own files, the settings of JAX, and the processor. What has no such name gives no digest, nor does
what prints while it is traced: then nothing is kept.
"""

import functools
import hashlib
import importlib
import os
import platform
import struct
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import CodeType
from typing import Any

import jax
import numpy as np

from gradmc.program.fingerprint import CodeFile, OfLibrary, Unknown, fingerprint
from gradmc.program.installed import PACKAGE

VERSIONED = ("jax", "jaxlib", "numpy", "numpyro", "scipy")
"""Libraries whose version decides, whether a program calls them or not."""
TRUSTED = frozenset({*VERSIONED, "builtins", "gradmc", "pandas", *sys.stdlib_module_names})
"""Libraries that do not change while their version stays; of others that is not known."""
HEAP = 1 << 9
"""Flag of classes that are written in Python."""
IGNORED = ("cache", "log", "debug", "traceback", "profil")
"""Parts of names of settings of JAX on which no result depends."""
SPEAKING = frozenset({"print", "breakpoint", "input"})
"""Functions by which a program shows itself while it is traced."""


def digest(described: Any) -> str | None:
    """A word that is equal, in any process, for equal fingerprints in equal surroundings.

    Args:
        described: nested tuples, as `fingerprint` gives them; None for what cannot be compared.

    Returns:
        40 hexadecimal digits, or None where there is no such word.
    """
    around = surroundings()
    if described is None or around is None:
        return None
    writer = _Writer()
    try:
        writer.write((around, described))
    except (Unknown, RecursionError):
        return None
    return writer.hash.hexdigest()


def digest_of(*things: Any) -> str | None:
    """The digest of things as they are."""
    return digest(fingerprint(*things))


def surroundings() -> Any:
    """What compiled code depends on besides the program; None where that is not known."""
    constant = _constant()
    if constant is None or jax.default_backend() != "cpu":
        return None
    settings = tuple(
        (name, repr(value))
        for name, value in sorted(jax.config.values.items())
        if not any(part in name for part in IGNORED)
    )
    variables = tuple((k, v) for k, v in sorted(os.environ.items()) if k.startswith("XLA_"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return constant, settings, variables, cores, len(jax.devices()), tuple(sorted(np.geterr().items()))


@functools.cache
def _constant() -> Any:
    """The part of the surroundings that stays as it is as long as the process lives."""
    kind = processor()
    if kind is None:
        return None
    found = [(name, *_version(name)) for name in VERSIONED]
    own = []
    for path in sorted(Path(PACKAGE).rglob("*.py")):
        file = path.stat()
        own.append((str(path), file.st_size, file.st_mtime_ns))
    return sys.version, tuple(sys.flags), sys.byteorder, platform.platform(), kind, tuple(found), tuple(own)


def _version(name: str) -> tuple[str, int, int]:
    """The version of a library, as its file `version.py` has it, and size and time of its code; it is not imported."""
    spec = PathFinder.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    file = Path(spec.origin)
    about = file.stat()
    return file.with_name("version.py").read_text(encoding="utf-8"), about.st_size, about.st_mtime_ns


def processor() -> tuple[str, ...] | None:
    """What Linux says of the first processor, but for what changes from moment to moment."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return None
    kept = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ", "cache size")
    return (platform.machine(), *(line for line in first.splitlines() if line.startswith(kept)))


class _Writer:
    """Feeds a hash; what is written says of what type and how long it is, so that nothing runs into the next."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=20)

    def write(self, value: Any) -> None:
        """Write what a fingerprint consists of.

        Raises:
            Unknown: it has no name that means the same elsewhere.
        """
        if isinstance(value, CodeFile):
            return
        if isinstance(value, OfLibrary):
            self._place(value.module, value.name)
        elif isinstance(value, type):
            self._place(value.__module__, value.__qualname__ if _stands(value) else "")
        elif isinstance(value, CodeType):
            self._code(value)
        elif type(value) is tuple:
            self._mark("tuple", len(value))
            for inner in value:
                self.write(inner)
        elif type(value) is frozenset:
            inner = [_Writer() for _ in value]
            for writer, element in zip(inner, value, strict=True):
                writer.write(element)
            self.write(("set", *sorted(writer.hash.hexdigest() for writer in inner)))
        elif type(value) is str:
            self._bytes("str", value.encode("utf-8", "surrogatepass"))
        elif type(value) is bytes:
            self._bytes("bytes", value)
        elif type(value) in (bool, int, range, type(None), type(Ellipsis)):
            self._bytes(type(value).__name__, repr(value).encode())
        elif type(value) is float:
            self._bytes("float", struct.pack("<d", value))
        elif type(value) is complex:
            self._bytes("complex", struct.pack("<dd", value.real, value.imag))
        else:
            raise Unknown

    def _mark(self, kind: str, size: int) -> None:
        self.hash.update(f"{kind} {size} ".encode())

    def _bytes(self, kind: str, content: bytes) -> None:
        self._mark(kind, len(content))
        self.hash.update(content)

    def _place(self, module: str, name: str) -> None:
        root = module.partition(".")[0]
        if not name or root not in TRUSTED:
            raise Unknown
        self.write(("place", module, name, importlib.import_module(root).__version__ if root == "pandas" else ""))

    def _code(self, code: CodeType) -> None:
        if SPEAKING & {*code.co_names}:
            raise Unknown
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_name, code.co_qualname, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self.write(("code", counts, names, code.co_code, code.co_exceptiontable, len(code.co_consts)))
        for constant in code.co_consts:
            self.write(constant)


def _stands(kind: type) -> bool:
    """Whether a class is found under its name, or is one of Python's own, which have names of their own."""
    if kind.__module__ == "builtins" and not kind.__flags__ & HEAP:
        return True
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind
