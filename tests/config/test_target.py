"""Finding models, with errors that show the user's file and line."""

from pathlib import Path

import pytest

from gradmc.config.target import load_model
from gradmc.errors import ConfigError, ProgramError

MODEL = """
import gradmc as gm

@gm.model
def one(x: gm.Real):
    return -x * x

@gm.model
def two(x: gm.Real):
    return -x * x

def plain(x):
    return x
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def test_by_file_and_name(model: Path) -> None:
    assert load_model(f"{model}:two").name == "two"


def test_the_only_model_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "single.py"
    path.write_text(MODEL.replace("@gm.model\ndef two", "def two"))
    assert load_model(str(path)).name == "one"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("model.py:tow", r"no tow in .*model.py; did you mean two\?"),
        ("model.py:xyz", "no xyz in .*model.py; it has the models one, two"),
        ("model.py", "has the models one, two; name one"),
        ("model.py:plain", "plain in .* is a function, expected a model; put `@gm.model` above"),
        ("modle.py:one", r"no such file .*modle.py; did you mean model.py\?"),
    ],
)
def test_messages(model: Path, target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(str(model.parent / target))


def test_a_module_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"no module no_such_module; for a file write `model.py:NAME`"):
        load_model("no_such_module:x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import gradmc\n\nx = 1 / 0\n", r"broken.py:3\n    x = 1 / 0\nZeroDivisionError: division by zero"),
        ("x = (\n", r"broken.py:1\n    x = \(\nSyntaxError: '\(' was never closed"),
        ("import no_such_thing\n", r"broken.py:1\n    import no_such_thing\nModuleNotFoundError"),
    ],
)
def test_a_file_that_raises_is_shown(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(ProgramError, match=message):
        load_model(f"{path}:x")
