"""A configuration is the file, the environment and the options, in this order; problems come all at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradmc.config import load_config
from gradmc.config.initial import load_initial
from gradmc.config.layers import line_of, parse_value
from gradmc.config.template import template
from gradmc.errors import ConfigError, UsageError

GOOD = """
[model]
target = "model.py:line"

[data]
file = "data.json"
K = 3

[sampler]
draws = 200   # few
target_accept = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data.json").write_text("{}")
    path = tmp_path / "run.toml"
    path.write_text(GOOD.replace("target_accept = 1\n", ""))
    return path


def test_paths_are_relative_to_the_file(config: Path) -> None:
    loaded = load_config(config, environment={}).config
    assert loaded.model.target == f"{config.parent}/model.py:line"
    assert loaded.data == {"file": str(config.parent / "data.json"), "K": 3}
    assert loaded.output.dir == str(config.parent / "runs" / "run")


def test_paths_of_options_are_relative_to_the_working_directory(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = load_config(config, [("output.dir", "out"), ("sampler.warm_start", "old")], {}).config
    assert loaded.output.dir == str(tmp_path / "elsewhere" / "out")
    assert loaded.sampler.warm_start == str(tmp_path / "elsewhere" / "old")


def test_precedence_and_origins(config: Path) -> None:
    environment = {"GRADMC_SAMPLER__DRAWS": "300", "GRADMC_SAMPLER__CHAINS": "2", "GRADMC_OTHER": "x"}
    loaded = load_config(config, [("sampler.draws", "400")], environment)
    assert (loaded.config.sampler.draws, loaded.config.sampler.chains) == (400, 2)
    assert loaded.origins["sampler.draws"] == "option --sampler.draws"
    assert loaded.origins["sampler.chains"] == "environment variable GRADMC_SAMPLER__CHAINS"
    assert loaded.origins["data.K"] == "run.toml:7"
    assert "sampler.warmup" not in loaded.origins


def test_the_last_of_options_that_do_not_mix_wins(config: Path) -> None:
    table, name = ("sampler.start.name", "uniform"), ("sampler.start", "pathfinder")
    assert load_config(config, [table, name], {}).config.sampler.start == "pathfinder"
    assert load_config(config, [name, table], {}).config.sampler.start == {"name": "uniform"}
    environment = {"GRADMC_SAMPLER__START": "pathfinder", "GRADMC_SAMPLER__START__NAME": "uniform"}
    assert load_config(config, environment=environment).config.sampler.start == {"name": "uniform"}


def test_an_option_may_replace_a_table_entry(config: Path) -> None:
    loaded = load_config(config, [("data.K", "[1, 2]"), ("stop.mcse.mu", "0.1")], {})
    assert loaded.config.data["K"] == [1, 2]
    assert loaded.config.stop.mcse == {"mu": 0.1}


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'chains = 3\n[modle]\ntarget = "x"\n[data]\nfile = "nope.json"\n[sampler]\ndraws = "many"\n'
        "target_acept = 0.9\nmax_tree_depth = 0\n"
    )
    with pytest.raises(ConfigError, match="8 problems") as caught:
        load_config(path, [("output.thin", "x")], {})
    message = str(caught.value)
    for part in (
        "chains: unknown key at the top level; chains belongs under [sampler]",
        "modle: unknown key (run.toml:3); did you mean model?",
        "data.file: no such file",
        'model.target: missing; write `target = "model.py:eight_schools"` under [model]',
        "sampler.draws: expected a whole number, got 'many' (run.toml:7); write, for example, `draws = 1000`",
        "sampler.target_acept: unknown key (run.toml:8); did you mean target_accept?",
        "output.thin: expected a whole number, got 'x' (option --output.thin)",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[model", "is not valid TOML"),
        ("x = ]", "is not valid TOML"),
        ("model = 3", r"model: expected a table, got 3 \(run.toml:1\); write \[model\]"),
        ("[sampler]\nx = 1", "sampler.x: unknown key"),
        ("[model]\ntarget = 3", "model.target: expected text in quotes, got 3"),
        ("[model]\ntarget = ''", "model.target: expected text that is not empty"),
        ("[data]\ny = {file = 'a.xls'}", r"data.y.file: expected a file that ends in .json"),
        ("[data]\ny = {file = 'a.csv', colum = 'b'}", r"data.y.colum: unknown key.*did you mean column\?"),
        ("[data]\ny = 2020-01-01", "data.y: expected a number, text, a list, or a table"),
        (
            "[sampler]\nkernel = 'nutz'",
            "sampler.kernel: expected 'auto', 'nuts', 'hmc', 'microcanonical', 'chees' or 'sghmc', or a table .*'nutz'",
        ),
        (
            "[sampler]\nkernel = {name = 'nuts', depth = 3}",
            "kernel 'nuts' has no setting 'depth'; it has max_tree",
        ),
        ("[sampler]\nmetric = {rank = 3}", "sampler.metric: expected 'low_rank', 'diagonal' or 'dense', or a table"),
        ("[sampler]\ntarget_accept = nan", "sampler.target_accept: expected"),
        ("[sampler]\nstep_size = inf", "sampler.step_size: expected a finite number"),
        ("[output]\ncheckpoint_seconds = inf", "output.checkpoint_seconds: expected a finite number"),
        ("[stop]\nmcse = { mu = nan }", "stop.mcse.mu: expected a finite number"),
        ("[stop]\nr_hat = 1.0", "stop.r_hat: expected a value greater than 1"),
    ],
)
def test_messages(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path, environment={})


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"did you mean run.toml\?"):
        load_config(tmp_path / "runn.toml")
    with pytest.raises(ConfigError, match="is a directory, expected a TOML file"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        load_config(tmp_path / "run.toml")


def test_the_template_is_a_valid_configuration(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")
    path = tmp_path / "run.toml"
    path.write_text(template("model.py:x"))
    assert load_config(path, environment={}).config.sampler.draws == 1000
    uncommented = [line.removeprefix("# ") for line in template("model.py:x").splitlines()[1:]]
    lines = [line for line in uncommented if "schools.csv" not in line]
    path.write_text("\n".join(lines))
    loaded = load_config(path, environment={}).config
    assert loaded.stop.mcse == {"mu": 0.05}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("nuts", "nuts"),
        ("true", True),
        ('["a"]', ["a"]),
        ("a = 1", "a = 1"),
        ("", ""),
    ],
)
def test_values_of_options(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_lines() -> None:
    text = "a = 1\n[one]\nb = 2\n[one.two]\nc = 3\n[three] # x\n'd' = 4\n"
    found = [line_of(text, tables, key) for tables, key in [((), "a"), (("one",), "b"), (("one",), "two")]]
    assert found == [1, 3, 4]
    assert line_of(text, ("three",), "d") == 7


def test_starting_values_as_a_table_a_list_or_a_file(config: Path) -> None:
    def initial(text: str) -> Any:
        return load_initial(load_config(config, [("sampler.initial", text)], {}).config.sampler.initial)

    (config.parent / "start.json").write_text('[{"mu": 1.0}, {"mu": 2.0}]')
    np.savez(config.parent / "start.npz", mu=np.arange(3.0))
    assert initial("{ mu = 0.5 }") == {"mu": 0.5}
    assert initial("[{ mu = 0.5 }, { mu = 1 }]") == [{"mu": 0.5}, {"mu": 1}]
    assert initial(str(config.parent / "start.json")) == [{"mu": 1.0}, {"mu": 2.0}]
    assert initial(str(config.parent / "start.npz"))["mu"].tolist() == [0, 1, 2]
    assert load_config(config, [("sampler.initial.mu", "0.5")], {}).config.sampler.initial == {"mu": 0.5}
    config.write_text(config.read_text() + 'initial = "start.json"\n')
    assert load_config(config, environment={}).config.sampler.initial == str(config.parent / "start.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", r"sampler.initial: expected a table of values by parameter, a list of such tables .*, got 3"),
        ("[]", r"expected a table of values by parameter"),
        ("start.csv", r"expected a file that ends in .json, .npz, got .*start.csv"),
        ("strat.json", r"no such file .*; did you mean start.json\?"),
        ("bad.json", r"bad.json must hold an object with a value for each parameter, or a list of such objects"),
        ("{ mu = 'a' }", r"sampler.initial.mu: expected a number or a list of numbers, got 'a'"),
        ("{ mu = [[1], [1, 2]] }", r"sampler.initial.mu: expected a list of numbers"),
    ],
)
def test_wrong_starting_values(config: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(config.parent)
    for name in ("start.json", "start.csv"):
        (config.parent / name).write_text("{}")
    (config.parent / "bad.json").write_text("[1]")
    with pytest.raises(UsageError, match=message):
        load_initial(load_config(config, [("sampler.initial", text)], {}).config.sampler.initial)
