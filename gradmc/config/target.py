"""Finding the model that `model.target` names: `model.py:eight_schools` or `package.module:name`."""

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from gradmc.config.problems import suggestion
from gradmc.errors import ConfigError, GradmcError, ProgramError, SourceLocation
from gradmc.program.raising import is_of_program, line_of, text_of


def load_model(target: str) -> Any:
    """Import the file or module of a target and give the model in it.

    Args:
        target: `file.py:name` or `module:name`; the name may be left out if there is one model only.

    Raises:
        ConfigError: the file, module or name does not exist, or is not a model.
        ProgramError: the file raised while it was imported.
    """
    from gradmc.program.model import Model

    place, name = split_target(target)
    module = load_file(Path(place)) if place.endswith(".py") else load_module(place)
    models = {key: value for key, value in vars(module).items() if isinstance(value, Model)}
    if not name:
        if len(models) == 1:
            return next(iter(models.values()))
        raise ConfigError(f'model.target: {place} has {_listing(models)}; name one: `target = "{place}:NAME"`')
    if name in models:
        return models[name]
    if name in vars(module):
        kind = type(vars(module)[name]).__name__
        raise ConfigError(
            f"model.target: {name} in {place} is a {kind}, expected a model; put `@gm.model` above its `def`"
        )
    hint = suggestion(name, models) or f"it has {_listing(models)}"
    raise ConfigError(f"model.target: no {name} in {place}; {hint}")


def split_target(target: str) -> tuple[str, str]:
    """The file or module, and the name (or nothing) of a target."""
    place, colon, name = target.rpartition(":")
    return (place, name) if colon else (target, "")


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module; its directory can be imported from, as with `python file.py`."""
    if os.path.isdir(path):
        raise ConfigError(f"model.target: {path} is a directory; name the Python file in it")
    if not os.path.isfile(path):
        names = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        hint = suggestion(path.name, names) or "check the path, which is relative to the configuration file"
        raise ConfigError(f"model.target: no such file {path}; {hint}")
    directory = str(path.parent.resolve())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    spec = importlib.util.spec_from_file_location(f"gradmc_model_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError(f"model.target: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except GradmcError:
        raise
    except BaseException as error:
        raise_import_failure(error, str(path.resolve()))
    return module


def load_module(name: str) -> ModuleType:
    """Import a module by name, with the working directory on the path."""
    if not all(name.split(".")) or "/" in name or os.sep in name:
        raise ConfigError(f"model.target: {name or 'nothing'} is no module; for a file write `model.py:NAME`")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            message = f"model.target: no module {name}; for a file write `model.py:NAME`"
            raise ConfigError(message) from None
        raise_import_failure(error, _file_of(name))
    except GradmcError:
        raise
    except BaseException as error:
        raise_import_failure(error, _file_of(name))


def _file_of(module: str) -> str | None:
    """The file of a module that could not be imported, or None if it has none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def raise_import_failure(error: BaseException, file: str | None) -> NoReturn:
    """Say what went wrong while a model's file was imported, at the line of that file; let Ctrl-C through.

    Raises:
        ProgramError: always, but for Ctrl-C.
    """
    if not is_of_program(error):
        raise error
    if isinstance(error, SyntaxError):
        location = SourceLocation(error.filename or str(file), error.lineno or 0, (error.text or "").rstrip())
        raise ProgramError(f"SyntaxError: {error.msg}", location=location) from error
    location = line_of(error, file)
    if location is None and (frames := traceback.extract_tb(error.__traceback__)):
        location = SourceLocation(frames[-1].filename, frames[-1].lineno or 0, frames[-1].line or "")
    raise ProgramError(text_of(error), location=location) from error


def _listing(models: dict[str, Any]) -> str:
    if not models:
        return "no models (functions under `@gm.model`)"
    return f"the model{'s' if len(models) > 1 else ''} {', '.join(models)}"
