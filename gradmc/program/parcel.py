"""Programs that travel to other processes: pickled by value, with the text that they were written in.

A *parcel* is what pickle makes of a model or a density, whoever calls it (pickle, cloudpickle, joblib, Dask). In it the
user's own functions, classes and modules stand by value (cloudpickle), those of installed packages by name, and every
code object stands beside the text of its file. Where it is opened, `linecache` is given the texts that it lacks: all
that read lines there (the loop compiler, error messages, tracebacks) find them. Where a file of that name says another
thing, the code goes by a name of its own.

Code of one version of Python or gradmc is not run by another: opening such a parcel says so.
"""

import hashlib
import io
import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from gradmc.errors import UsageError
from gradmc.program.fingerprint import is_library
from gradmc.program.frontend.source import known_text
from gradmc.versions import library_version, python_version

PROTOCOL = 5

_registering = threading.Lock()


@dataclass(frozen=True, slots=True)
class Parcel:
    """A thing by value, and who packed it.

    Args:
        writer: versions of Python and gradmc, "3.12" and "0.1.0".
        content: what `opened` reads.
    """

    writer: tuple[str, str]
    content: bytes

    def opened(self) -> Any:
        """The thing.

        Raises:
            UsageError: another version of Python or gradmc packed it.
        """
        here = _versions()
        if self.writer != here:
            (python, own), (python_here, own_here) = self.writer, here
            raise UsageError(
                f"this was pickled by gradmc {own} on Python {python}, and is read by gradmc {own_here} on Python "
                f"{python_here}; install the same versions on both sides"
            )
        return cloudpickle.loads(self.content)


def packed(value: Any) -> Parcel:
    """A thing as a parcel.

    Raises:
        UsageError: something in it cannot be pickled.
    """
    try:
        try:
            with _own_modules_by_value():
                content = _dumped(value)
        except Exception:
            content = _dumped(value)  # a module of the user's holds what cannot be pickled: modules by name, then
    except Exception as error:
        raise UsageError(
            f"{value!r} cannot be sent to another process: {error}; leave out of its globals, closure and data what "
            "belongs to this process (open files, locks, connections)"
        ) from error
    return Parcel(_versions(), content)


class _Pickler(cloudpickle.Pickler):
    """Pickles code with its text, and what travels by value."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._texts: dict[int, str | None] = {}  # by the id of a code object

    def reducer_override(self, obj: Any) -> Any:
        """What to pickle in place of a thing."""
        if getattr(type(obj), "travels", False):  # see `gradmc.program.travelling`
            return object.__reduce_ex__(obj, PROTOCOL)
        if isinstance(obj, FunctionType) and not is_library(obj.__code__.co_filename):
            self._texts[id(obj.__code__)] = known_text(obj)
        elif isinstance(obj, CodeType) and id(obj) in self._texts:
            return self._code(obj)
        return super().reducer_override(obj)

    def _code(self, code: CodeType) -> Any:
        text = self._texts[id(code)]
        inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
        self._texts.update({id(constant): text for constant in inner})
        arguments = self.dispatch_table[CodeType](code)[1]
        return _placed_code, (arguments, code.co_filename, text)


def _dumped(value: Any) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


def _placed_code(arguments: tuple[Any, ...], file: str, text: str | None) -> CodeType:
    """A code object that arrives, under a name by which its text is found."""
    return CodeType(*arguments).replace(co_filename=file if text is None else placed(file, text))


def placed(file: str, text: str) -> str:
    """The name under which `linecache` has a text from now on: that of its file, unless another text has that."""
    here = "".join(linecache.getlines(file))
    anonymous = file.startswith("<")
    if here == text:
        return file
    if here or anonymous:
        mark = f" (sent, {hashlib.sha256(text.encode()).hexdigest()[:8]})"
        file = f"{file[:-1]}{mark}>" if anonymous and file.endswith(">") else file + mark
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    return file


@contextmanager
def _own_modules_by_value() -> Iterator[None]:
    """Let cloudpickle send the user's own modules by value, as it does `__main__`."""
    with _registering:
        known = set(cloudpickle.list_registry_pickle_by_value())
        own = [m for name, m in list(sys.modules.items()) if name not in known and _is_own(name, m)]
        for module in own:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in own:
                cloudpickle.unregister_pickle_by_value(module)


def _is_own(name: str, module: Any) -> bool:
    if not isinstance(module, ModuleType) or module.__name__ != name or name == "__main__":
        return False
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not is_library(file)


def _versions() -> tuple[str, str]:
    return python_version(), library_version()
