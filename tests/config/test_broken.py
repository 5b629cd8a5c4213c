"""Whatever is in a configuration file, the answer is a run or a ConfigError with a key path and advice."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradmc.cli.main import run
from gradmc.config.layers import Layer, file_layer
from gradmc.config.load import check, load_config
from gradmc.config.schema import SECTIONS, toml_value
from gradmc.errors import ConfigError

ADVICE = re.compile(r"did you mean|known are|write|belongs under|check the path|has no keys|there is|is not valid TOML")
scalars = st.one_of(
    st.none().map(lambda _: "x"),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner, max_size=3),
    ),
    max_leaves=5,
)
keys = st.one_of(
    st.sampled_from([key for model in SECTIONS.values() for key in model.model_fields]),
    st.sampled_from(["target_acept", "drwas", "chain", "Seed", "warm-up", "file", "y"]),
    st.from_regex(r"[a-zA-Z_]{1,10}", fullmatch=True),
)
tables = st.dictionaries(keys, values, max_size=5)
sections = st.one_of(st.sampled_from([*SECTIONS, "data"]), st.sampled_from(["modle", "sample", "outptu", "draws"]))
files = st.dictionaries(sections, st.one_of(tables, tables, tables, values), max_size=5)


def as_toml(content: dict[str, Any]) -> str:
    plain = [f"{key} = {toml_value(v)}" for key, v in content.items() if not isinstance(v, dict)]
    for name, table in content.items():
        if isinstance(table, dict):
            plain += [f"[{name}]", *(f'"{key}" = {toml_value(value)}' for key, value in table.items())]
    return "\n".join(plain)


@settings(max_examples=600, deadline=None)
@given(files)
def test_every_problem_names_a_key_and_gives_advice(content: dict[str, Any]) -> None:
    layer: Layer = file_layer(content, as_toml(content), Path("/nowhere/run.toml"))
    config, problems = check(layer)
    assert config is not None or problems
    for problem in problems:
        path, colon, rest = problem.partition(":")
        assert colon
        assert path
        assert ADVICE.search(rest), problem
        assert "Traceback" not in problem


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(files.map(as_toml), st.text(max_size=60)))
def test_broken_files_exit_with_2(tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8", newline="")
    found: list[str] = []
    try:
        load_config(path, environment={})
    except ConfigError as error:
        found.append(str(error))
    if not found:
        return
    assert ADVICE.search(found[0])
    assert run(["config", "show", str(path)]) == 2
    output = capfd.readouterr()
    assert output.err.startswith("error: ")
    assert "Traceback" not in output.err
    assert not output.out
