"""What a Python function computes depends on: its code and all that its names mean, as one value to compare.

A program that is sampled again need not be traced again, if nothing has changed that tracing saw: the code of the
function and of those it calls, their defaults, closures and globals, and what stands in these. `fingerprint` gives
nested tuples that are equal if so. Libraries and gradmc itself are taken to stay as they are. Where something cannot
be compared (a file, a generator of random numbers, the clock, names looked up by `getattr` or `globals`), there is no
fingerprint, and the program is traced again.
"""

import builtins
import dataclasses
import dis
import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from gradmc.program.installed import LIBRARIES, PACKAGE

PLAIN = frozenset({bool, int, str, bytes, type(None), type(Ellipsis), range})
CHANGING = frozenset(
    {
        *("time", "datetime", "random", "secrets", "uuid", "os", "io", "pathlib", "glob", "sys", "socket", "pickle"),
        *("subprocess", "threading", "multiprocessing", "importlib", "inspect", "gc", "urllib", "requests"),
    }
)
"""Modules whose functions do not give the same each time, or reach what is not looked at here."""
DYNAMIC = frozenset(
    {"open", "input", "eval", "exec", "compile", "__import__", "globals", "locals", "vars", "dir", "getattr", "setattr"}
)
"""Built-in functions of that kind."""
STATEFUL = frozenset({"random", "rvs", "load", "loadtxt", "genfromtxt", "read_csv"})
"""Parts of libraries that have a hidden state, or read files."""
MACHINERY = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__", "_abc_impl"}
)
"""What classes hold besides what they compute with."""
HEADER = 4
"""Words that an instance of a class written in Python has besides its slots, at most."""


class Unknown(Exception):
    """Something that cannot be compared."""


@dataclass(frozen=True, slots=True, eq=False)
class OfLibrary:
    """A library's object: in this process equal to itself alone, in another one known by its place.

    Attributes:
        value: the object.
        module: where it stands.
        name: under which name; empty where it stands nowhere.
    """

    value: Any
    module: str
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfLibrary) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class CodeFile(str):
    """The file of a function: it decides what errors say, and nothing that is computed."""


def fingerprint(*things: Any) -> Any:
    """Nested tuples that are equal for equal things; None if a thing cannot be compared.

    Args:
        things: functions, data, declarations.
    """
    try:
        return _Description().of(things)
    except (Unknown, RecursionError):
        return None


def digest(*things: Any) -> str | None:
    """A text that is equal for equal things, in other processes too; None if a thing cannot be compared.

    It does not depend on the files and lines in which functions stand, but on the version of Python.
    """
    described = fingerprint(*things)
    if described is None:
        return None
    hashed = hashlib.blake2b(digest_size=16)
    hashed.update(_told(described).encode())
    return hashed.hexdigest()


def _told(described: Any) -> str:
    """A fingerprint, or a part of one, as a text."""
    if isinstance(described, tuple):
        return f"({','.join(map(_told, described))})"
    if isinstance(described, frozenset):
        return f"{{{','.join(sorted(map(_told, described)))}}}"
    if isinstance(described, type):
        return f"{described.__module__}.{described.__qualname__}"
    if isinstance(described, CodeType):
        return _told(_operations(described))
    if isinstance(described, CodeFile):
        return ""
    if isinstance(described, OfLibrary):
        return f"{described.module}.{described.name or described.value!r}"
    if isinstance(described, FunctionType):  # one of a library
        return f"{described.__module__}.{described.__qualname__}{_told(_operations(described.__code__))}"
    return repr(described)


def _operations(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, wherever it stands."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    constants = tuple((type(constant), constant) for constant in code.co_consts)
    return code.co_name, counts, names, code.co_code, code.co_exceptiontable, constants


class _Description:
    """Describes values; one that is met again, perhaps within itself, by its number."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []  # an id is that of one object as long as this lives

    def of(self, value: Any) -> Any:
        """What a value is."""
        if type(value) in PLAIN:
            return type(value), value
        if type(value) is float:
            return float, value.hex()
        if type(value) is complex:
            return complex, value.real.hex(), value.imag.hex()
        if isinstance(value, np.dtype):
            return np.dtype, value.descr if value.names else value.str
        if type(value) is slice:
            return slice, self.of(value.start), self.of(value.stop), self.of(value.step)
        if id(value) in self._met:
            return "again", self._met[id(value)]
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return self._array(value)
        if isinstance(value, Mapping):
            return type(value), *((self.of(k), self.of(v)) for k, v in value.items())
        if isinstance(value, list | tuple):
            return type(value), *map(self.of, value)
        if isinstance(value, set | frozenset):
            return type(value), frozenset(map(self.of, value))
        return self._code(value)

    def _array(self, value: Any) -> Any:
        if isinstance(value, Tracer):
            raise Unknown
        array = np.asarray(value)
        if array.dtype.hasobject:
            return "array", array.shape, self.of(array.tolist())
        return (
            "array",
            type(value),
            str(array.dtype),
            array.shape,
            hashlib.blake2b(np.ascontiguousarray(array)).digest(),
        )

    def _code(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            return "method", self.of(value.__func__), self.of(value.__self__)
        if isinstance(value, partial):
            return "partial", self.of(value.func), self.of(value.args), self.of(value.keywords)
        if isinstance(value, ModuleType):
            raise Unknown  # as a value: any of its attributes may be read
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, BuiltinFunctionType | np.ufunc):
            return self._builtin(value)
        if (found := _in_library(value)) is not None:
            return "library", found
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType) and not dataclasses.is_dataclass(value):
            own = {name: inner for name, inner in _state(value).items() if name != "__wrapped__"}
            return "wrapped", type(value), self.of(wrapped), self.of(own)
        frame = _frame(value)
        return ("frame", type(value), self.of(frame)) if frame is not None else self._instance(value)

    def _function(self, fn: FunctionType) -> Any:
        if is_library(fn.__code__.co_filename):
            return self._library_function(fn)
        names = frozenset(names_in(fn.__code__))
        if "rvs" in names:
            raise Unknown
        seen = {name: self._named(fn, name, names) for name in sorted(names) if _means(fn, name)}
        cells = tuple(self.of(_content(cell)) for cell in fn.__closure__ or ())
        return (
            fn.__code__,
            CodeFile(fn.__code__.co_filename),
            self.of({name: value for name, value in vars(fn).items() if name != "__wrapped__"}),
            self.of(fn.__defaults__),
            self.of(fn.__kwdefaults__),
            cells,
            tuple(seen.items()),
        )

    def _library_function(self, fn: FunctionType) -> Any:
        if _is_changing(fn.__module__):
            raise Unknown
        if _found(fn) is fn:
            return "library", OfLibrary(fn, fn.__module__, fn.__qualname__)
        return "library", OfLibrary(fn, fn.__module__, ""), *(self.of(_content(cell)) for cell in fn.__closure__ or ())

    def _named(self, fn: FunctionType, name: str, names: frozenset[str]) -> Any:
        """What a global name means in a function that reads the attributes `names`."""
        if name in fn.__globals__:
            value = fn.__globals__[name]
            return self._module(value, names) if isinstance(value, ModuleType) else self.of(value)
        if name in DYNAMIC:
            raise Unknown
        return self.of(vars(builtins)[name]) if _is_added(name) else self._module(sys.modules[name], names)

    def _module(self, module: ModuleType, names: frozenset[str]) -> Any:
        file = getattr(module, "__file__", None)
        if file is None or is_library(file):
            if _is_changing(module.__name__) or STATEFUL & {*names, *module.__name__.split(".")}:
                raise Unknown
            return "library", OfLibrary(module, module.__name__, module.__name__)
        if id(module) in self._met:
            known = self._met[id(module)]
        else:
            known = self._met[id(module)] = len(self._met)
        read = sorted(names & vars(module).keys())
        values = (vars(module)[name] for name in read)
        return known, *(
            (name, self._module(value, names) if isinstance(value, ModuleType) else self.of(value))
            for name, value in zip(read, values, strict=True)
        )

    def _class(self, made: type) -> Any:
        if _is_of_library(made):
            if _is_changing(made.__module__):
                raise Unknown
            return "library", OfLibrary(made, made.__module__, made.__qualname__ if _found(made) is made else "")
        own = {name: value for name, value in vars(made).items() if name not in MACHINERY}
        return made.__qualname__, *map(self.of, made.__bases__), *((n, self.of(_plain(v))) for n, v in own.items())

    def _builtin(self, value: Any) -> Any:
        bound = getattr(value, "__self__", None)
        module = _home(value) if bound is None or isinstance(bound, ModuleType) else "builtins"
        if not module or value.__name__ in DYNAMIC or _is_changing(module):
            raise Unknown
        own = self.of(bound) if bound is not None and not isinstance(bound, ModuleType) else None
        return "library", OfLibrary(sys.modules.get(module), module, value.__name__), value.__name__, own

    def _instance(self, value: Any) -> Any:
        if _is_of_library(type(value)) and (name := _name_in_library(value)) is not None:
            return "library", OfLibrary(value, type(value).__module__, name)
        slots = [name for base in type(value).__mro__ for name in _slots(base)]
        words = type(value).__basicsize__ // np.dtype(np.intp).itemsize
        if words > HEADER + len(slots) or not (hasattr(value, "__dict__") or _has_slots(type(value))):
            raise Unknown  # it holds more than Python shows
        return "instance", self.of(type(value)), *((name, self.of(v)) for name, v in sorted(_state(value).items()))


@functools.lru_cache(maxsize=2**14)
def is_library(file: str) -> bool:
    """Whether a file is that of gradmc, of Python or of an installed package, and not the user's own."""
    return file.startswith((PACKAGE, *LIBRARIES, "<frozen"))


def names_in(code: CodeType) -> Iterator[str]:
    """Names that a function and those within it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def _means(fn: FunctionType, name: str) -> bool:
    """Whether a name that a function looks up may be more than that of an attribute."""
    return name in fn.__globals__ or name in DYNAMIC or _is_added(name) or _is_imported(fn, name)


def _is_added(name: str) -> bool:
    """Whether somebody has added it to Python's own names."""
    return getattr(vars(builtins).get(name, len), "__module__", None) != "builtins"


def _is_imported(fn: FunctionType, name: str) -> bool:
    """Whether it is that of a module which the function imports."""
    return name in sys.modules and name not in fn.__globals__ and name in _imports(fn.__code__)


@functools.cache
def _imports(code: CodeType) -> frozenset[str]:
    """The modules that a function and those within it import."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"}
    return frozenset(own.union(*map(_imports, inner)))


def _is_changing(module: str | None) -> bool:
    return (module or "").partition(".")[0] in CHANGING


def _is_of_library(made: type) -> bool:
    module = sys.modules.get(made.__module__)
    file = getattr(module, "__file__", None)
    return module is not None and made.__module__ != "__main__" and (file is None or is_library(file))


def _home(value: Any) -> str:
    """The module of a function that is not written in Python; empty for a ufunc that somebody has made."""
    if isinstance(value, np.ufunc):
        homes = ("numpy", "scipy.special")
        return next((n for n in homes if getattr(sys.modules.get(n), value.__name__, None) is value), "")
    bound = getattr(value, "__self__", None)
    return value.__module__ or (bound.__name__ if isinstance(bound, ModuleType) else "")


def _in_library(value: Any) -> OfLibrary | None:
    """An object that stands under its own name in a module of a library, as `jnp.exp` does."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str)) or _found(value) is not value:
        return None
    file = getattr(sys.modules[module], "__file__", None)
    if file is not None and not is_library(file):
        return None
    if _is_changing(module):
        raise Unknown
    return OfLibrary(value, module, name)


def _name_in_library(value: Any) -> str | None:
    """Its name, if it is one of the things that the module of its class offers, as `scipy.stats.norm` is."""
    offered = list(vars(sys.modules[type(value).__module__]).items())  # another thread may be importing it
    return next((name for name, other in offered if other is value), None)


def _found(fn: Any) -> Any:
    """What stands under the name of a function or class in its module."""
    found: Any = sys.modules.get(fn.__module__)
    for name in fn.__qualname__.split("."):
        found = getattr(found, name, None)
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        raise Unknown from None


def _plain(value: Any) -> Any:
    """What stands in a class, for a descriptor the functions that it holds."""
    if isinstance(value, classmethod | staticmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget, value.fset
    return None if isinstance(value, MemberDescriptorType) else value


def _has_slots(made: type) -> bool:
    """Whether it declares slots, perhaps none: it is written in Python."""
    return any("__slots__" in vars(base) for base in made.__mro__)


def _slots(made: type) -> tuple[str, ...]:
    slots = vars(made).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _state(value: Any) -> dict[str, Any]:
    """What an object holds in slots and in its dictionary."""
    slots = (name for base in type(value).__mro__ for name in _slots(base))
    return {
        **{name: getattr(value, name) for name in slots if hasattr(value, name)},
        **getattr(value, "__dict__", {}),
    }


def _frame(value: Any) -> Any:
    """The columns and labels of a data frame or Series, if it is one of pandas'."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "Index"):  # or another thread is importing it
        return None
    if isinstance(value, pandas.DataFrame):
        return [(name, value[name].to_numpy()) for name in value.columns], value.index.to_numpy()
    if isinstance(value, pandas.Series | pandas.Index):
        return value.name, value.to_numpy(), None if isinstance(value, pandas.Index) else value.index.to_numpy()
    return None
