"""`gradmc sample-many`: data sets by a pattern, a table or a column."""

import json
from pathlib import Path
from typing import Any

import pytest

from gradmc.cli.main import run
from gradmc.many import open_stack

MODEL = """
import gradmc as gm


@gm.model
def line(mu: gm.Real, *, y: gm.Data["n"], scale: float):
    lp = gm.lpdf.normal(mu, 0.0, 5.0)
    for j in range(len(y)):
        lp += gm.lpdf.normal(y[j], mu, scale)
    return lp
"""
CONFIG = """
[model]
target = "model.py:line"
[data]
scale = 1.0
[sampler]
chains = 2
warmup = 60
draws = 20
kernel = "hmc"
metric = "diagonal"
[many]
files = "data/*.json"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "run.toml").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    for name, y in {"north": [1.0, 2.0, 3.0], "south": [0.0, 0.5, 1.0], "west": [1.0, None, 2.0]}.items():
        (tmp_path / "data" / f"{name}.json").write_text(json.dumps({"y": y}))
    rows = [f"{site},{value}" for site in ("a", "b") for value in (1.0, 2.0, 4.0)]
    (tmp_path / "table.csv").write_text("\n".join(["site,y", *rows]))
    return tmp_path


def many(project: Path, *arguments: str, capsys: Any) -> tuple[int, dict[str, Any]]:
    code = run(["sample-many", str(project / "run.toml"), "--progress", "none", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_pattern_of_files(project: Path, capsys: Any) -> None:
    code, told = many(project, "--sampler.draws=21", capsys=capsys)
    assert code == 4
    assert (told["fits"], told["made"]) == (2, 2)
    assert list(told["failures"]) == ["west"]
    assert "missing values" in told["failures"]["west"]
    (project / "data" / "west.json").write_text(json.dumps({"y": [1.0, 1.5, 2.0]}))
    code, told = many(project, "--sampler.draws=21", capsys=capsys)
    assert (code, told["fits"], told["made"], told["failures"]) == (0, 3, 1, {})
    stack = open_stack(project / "runs" / "run")
    assert stack["posterior"].sizes["draw"] == 21
    assert stack["posterior"]["mu"].dims == ("data_set", "chain", "draw")
    assert stack["posterior"]["data_set"].values.tolist() == ["north", "south", "west"]
    assert run(["summary", str(project / "runs" / "run")]) == 2
    assert "holds the fits of many data sets (`gradmc sample-many`)" in capsys.readouterr().err


def test_a_column_and_a_table(project: Path, capsys: Any) -> None:
    text = CONFIG.replace('files = "data/*.json"', 'by = "site"').replace("[data]", '[data]\nfile = "table.csv"')
    (project / "run.toml").write_text(text)
    code, told = many(project, capsys=capsys)
    assert (code, told["fits"]) == (0, 2)
    stack = open_stack(project / "runs" / "run")
    assert stack["posterior"]["data_set"].values.tolist() == ["a", "b"]
    assert stack["constant_data"]["y"].values.tolist() == [[1.0, 2.0, 4.0]] * 2
    (project / "run.toml").write_text(CONFIG.replace('files = "data/*.json"', 'sets = { one = "data/south.json" }'))
    code, told = many(project, capsys=capsys)
    assert (code, told["fits"], told["made"]) == (0, 1, 1)


def test_data_sets_are_padded(project: Path, capsys: Any) -> None:
    text = CONFIG.replace('"data/*.json"', '"data/*.json"\npad = { n = 4 }')
    (project / "run.toml").write_text(text)
    code = run(["sample-many", str(project / "run.toml"), "--progress", "none"])
    assert code == 2
    assert "pad: the terms along 'n' must be known, but the model marks none" in capsys.readouterr().err
    marked = MODEL.replace(
        "lp += gm.lpdf.normal(y[j], mu, scale)", 'lp += gm.observe("y", gm.lpdf.normal(y[j], mu, scale))'
    )
    (project / "model.py").write_text(marked)
    (project / "data" / "west.json").write_text(json.dumps({"y": [1.0, 1.5]}))
    code, told = many(project, capsys=capsys)
    assert (code, told["fits"], told["failures"]) == (0, 3, {})
    terms = open_stack(project / "runs" / "run")["log_likelihood"]["y"]
    assert terms.sizes["n"] == 3
    assert terms.isnull().sum("n").values.max(axis=(1, 2)).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("many_table", "match"),
    [
        ("", "many: expected one of files"),
        ('files = "*.json"\nby = "site"', "it has files and by"),
        ('files = "nothing/*.json"', "many.files: no data sets"),
        ('by = "site"', "column of data.file"),
    ],
)
def test_what_is_refused(project: Path, capsys: Any, many_table: str, match: str) -> None:
    (project / "run.toml").write_text(CONFIG.replace('files = "data/*.json"', many_table))
    assert run(["sample-many", str(project / "run.toml")]) == 2
    assert match in capsys.readouterr().err


def test_one_run_of_many_data_sets_is_refused(project: Path, capsys: Any) -> None:
    assert run(["sample", str(project / "run.toml")]) == 2
    assert "gradmc sample-many" in capsys.readouterr().err
