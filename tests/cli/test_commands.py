"""The commands as a user meets them: output, exit codes, messages."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gradmc.cli.overrides import split_overrides
from gradmc.cli.problem import build_problem
from gradmc.config.load import load_config
from gradmc.errors import ConfigError
from tests.cli.conftest import Gradmc

COMMANDS = [
    *("sample", "check", "resume", "extend", "summary", "diagnose", "status", "export", "predict", "optimize"),
    "calibrate",
    *("doctor", "completion", "config show", "config init", "config schema"),
]


def test_sample_writes_a_complete_run_and_prints_a_verdict(project: Path, gradmc: Gradmc) -> None:
    result = gradmc("sample", project / "run.toml", "--progress", "plain")
    assert result.code == 0
    assert "2 chains of 300 draws" in result.out
    assert "ess_bulk" in result.out
    assert f"Draws: {project}/out/draws.zarr" in result.out
    assert "compiling" in result.err
    assert {p.name for p in (project / "out").iterdir()} == {
        "config.toml", "manifest.json", "draws.zarr", "state", "summary.json", "log.jsonl",
    }  # fmt: skip
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["seed"] == 5
    assert set(manifest["identity"]) == {"model", "data", "data.y"}
    assert manifest["sessions"][0]["ending"] == "finished"
    assert (project / "out" / "config.toml").read_text() == (project / "run.toml").read_text()
    tree = xr.open_datatree(project / "out" / "draws.zarr", engine="zarr")
    assert dict(tree["posterior"].sizes) == {"chain": 2, "draw": 300}
    assert list(tree["posterior"].data_vars) == ["mu", "sigma", "double"]
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "n")
    assert tree.attrs["seed"] == 5


def test_sample_as_json(project: Path, gradmc: Gradmc) -> None:
    result = gradmc("sample", project / "run.toml", "--json", "--progress", "json", "--sampler.draws=120")
    assert result.code == 0
    assert result.json["status"] == "finished"
    assert result.json["summary"]["draws"] == 120
    assert {row["name"] for row in result.json["summary"]["rows"]} == {"mu", "sigma", "double"}
    events = [json.loads(line) for line in result.err.splitlines()]
    assert events[0]["text"] == "compiling"
    assert events[-1]["chains"][0]["phase"] == "done"


def test_strict_exits_with_4(project: Path, gradmc: Gradmc) -> None:
    result = gradmc("sample", project / "run.toml", "--strict", "--sampler.draws=20", "--progress=none")
    assert result.code == 4
    assert "Do not trust these draws yet" in result.out


def test_an_existing_run_is_refused(project: Path, gradmc: Gradmc) -> None:
    (project / "out").mkdir()
    (project / "out" / "thesis.txt").touch()
    result = gradmc("sample", project / "run.toml", "--force")
    assert result.code == 2
    assert "holds something that is not a run; choose another directory with --output.dir" in result.err
    (project / "out" / "thesis.txt").unlink()
    assert gradmc("sample", project / "run.toml", "--progress=none", "--sampler.draws=50").code == 0
    again = gradmc("sample", project / "run.toml")
    assert again.code == 2
    assert "use --resume to go on with it, --force to delete it" in again.err
    forced = gradmc("sample", project / "run.toml", "--force", "--progress=none", "--sampler.draws=60")
    assert forced.code == 0
    assert "2 chains of 60 draws" in forced.out


def test_summary_of_a_finished_run(finished: Path, gradmc: Gradmc) -> None:
    began = time.perf_counter()
    result = gradmc("summary", finished, "-v", "m*", "-v", "sigma")
    assert time.perf_counter() - began < 3
    assert result.code == 0
    names = [line.split()[0] for line in result.out.splitlines()[3:5]]
    assert names == ["mu", "sigma"]
    missing = gradmc("summary", finished, "-v", "tau")
    assert missing.code == 2
    assert "no variable matches tau; the run has mu, sigma, double" in missing.err


def test_diagnose(finished: Path, gradmc: Gradmc) -> None:
    result = gradmc("diagnose", finished, "--json")
    assert result.code == (0 if result.json["passed"] else 4)
    assert {check["name"] for check in result.json["checks"]} == {
        "finite", "r_hat", "ess", "divergences", "acceptance", "tree_depth", "bfmi", "self_check",
    }  # fmt: skip


def test_dry_run_draws_nothing(project: Path, gradmc: Gradmc) -> None:
    result = gradmc("sample", project / "run.toml", "--dry-run", "--json")
    assert result.code == 0
    assert result.json["parameters"] == 2
    assert result.json["gradient_seconds"] > 0
    assert not (project / "out").exists()


@pytest.mark.parametrize("directory", ["nowhere", "."])
@pytest.mark.parametrize("command", ["summary", "diagnose", "resume", "extend"])
def test_commands_on_something_that_is_no_run(command: str, directory: str, project: Path, gradmc: Gradmc) -> None:
    extra = ["--draws", "3"] if command == "extend" else []
    result = gradmc(command, project / directory, *extra)
    assert result.code == 2
    assert "expected the output directory of `gradmc sample`" in result.err


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("return prior", "raise ValueError('oh')\n    return prior", 3, "model.py:10"),
        ("return prior", "return float('nan') * prior", 3, "no valid start"),
        ("gm.Positive", "gm.Positiv", 3, "model.py:6"),
        ("import gradmc as gm", "import gradmc as", 3, "model.py:2"),
        ("mu: gm.Real", "mu", 2, "mu"),
    ],
)
def test_faults_of_the_model_show_its_line(
    old: str, new: str, code: int, message: str, project: Path, gradmc: Gradmc
) -> None:
    model = project / "model.py"
    model.write_text(model.read_text().replace(old, new, 1))
    result = gradmc("sample", project / "run.toml", "--progress", "none")
    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    debugged = gradmc("sample", project / "run.toml", "--progress", "none", "--debug", "--force")
    assert "Traceback" in debugged.err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"y": [1.0, NaN]}', "y"),
        ('{"z": [1.0]}', "z"),
        ('{"y": [[1.0], [2.0]]}', "y"),
        ("[1]", "expected an object"),
    ],
)
def test_faults_of_the_data_exit_with_2(data: str, message: str, project: Path, gradmc: Gradmc) -> None:
    (project / "data.json").write_text(data)
    result = gradmc("sample", project / "run.toml", "--json")
    assert result.code == 2
    assert message in result.json["error"]["message"]
    assert result.json["error"]["exit_code"] == 2
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["smaple"], 'Did you mean "sample"?'),
        (["sample"], "`gradmc sample` needs CONFIG: configuration of the run"),
        (["sample", "run.toml", "more"], "has no use for 'more'"),
        (["resume", "runs", "--sampler.draws=7"], "`gradmc resume` has no configuration that --sampler.draws could"),
        (["sample", "run.toml", "--frobnicate"], "Unknown option"),
        (["sample", "run.toml", "--sampler.draws"], "needs a value"),
        (["extend", "x"], "`gradmc extend` needs --draws"),
        (["sample", "run.toml", "--progress", "loud"], "loud"),
    ],
)
def test_wrong_command_lines_exit_with_2(arguments: list[str], message: str, gradmc: Gradmc) -> None:
    result = gradmc(*arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, gradmc: Gradmc) -> None:
    result = gradmc(*command.split(), "--help")
    assert result.code == 0
    assert "Example:" in result.out
    assert "--json" in result.out


def test_help_needs_no_jax() -> None:
    code = "import sys; from gradmc.cli.main import run; run(['--help']); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"jax", "numpy", "pydantic", "xarray", "rich.markdown"} & set(output.split())


def schema(stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradmc.cli.main", "config", "schema"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_nobody_reads_the_result() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = schema(writing)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_result_cannot_be_written() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    result = schema(full)
    os.close(full)
    assert result.returncode == 2
    assert result.stderr.startswith("error: cannot write the result to standard output: No space left")
    assert len(result.stderr.splitlines()) == 1


def test_config_show_init_schema(project: Path, gradmc: Gradmc) -> None:
    shown = gradmc("config", "show", project / "run.toml", "--sampler.draws", "7", "--json").json
    assert shown["sampler.draws"] == {"value": 7, "origin": "option --sampler.draws"}
    assert shown["sampler.kernel"] == {"value": "nuts", "origin": "default"}
    assert gradmc("config", "init", project / "new.toml", "--target", "model.py:line").code == 0
    assert gradmc("sample", project / "new.toml", "--dry-run").code == 0
    again = gradmc("config", "init", project / "new.toml")
    assert again.code == 2
    assert "exists already; use --force" in again.err
    assert "sampler" in gradmc("config", "schema").json["properties"]


def test_names_that_the_model_does_not_have(project: Path, gradmc: Gradmc) -> None:
    options = ["--stop.mcse.mi=0.1", "--output.variables=['sigma', 'taau']", "--output.exclude=['log_prior/mu']"]
    result = gradmc("sample", project / "run.toml", *options)
    assert result.code == 2
    assert "stop.mcse.mi: no such variable; the model has " in result.err
    assert "output.variables: 'taau' matches no variable; the model has " in result.err
    assert "output.exclude: 'log_prior/mu' matches no variable; did you mean mu?" in result.err
    assert "sigma'" not in result.err
    assert not (project / "out").exists()


def test_starting_values(project: Path, gradmc: Gradmc) -> None:
    """Chains begin where they are told, a resumed run takes the same values, and changed ones are refused."""
    start = project / "start.json"
    start.write_text('[{"mu": 100.0, "sigma": 1.0}, {"mu": -100.0, "sigma": 1.0}]')
    options = ["--progress=none", f"--sampler.initial={start}", "--output.keep_warmup=true", "--sampler.draws=20"]
    assert gradmc("sample", project / "run.toml", *options).code == 0
    warmup = xr.open_datatree(project / "out" / "draws.zarr", engine="zarr")["warmup_posterior"]["mu"].values
    assert warmup[0, 0] > 50
    assert warmup[1, 0] < -50
    assert gradmc("extend", project / "out", "--draws", 5, "--progress=none").code == 0
    start.write_text(start.read_text().replace("100.0", "99.0"))
    changed = gradmc("extend", project / "out", "--draws", 5, "--progress=none")
    assert changed.code == 5
    assert "the starting values changed since the run began" in changed.err
    part = gradmc("sample", project / "run.toml", "--force", *options, "--sampler.initial={ mu = 100.0 }")
    assert part.code == 0  # the other starts at random
    warmup = xr.open_datatree(project / "out" / "draws.zarr", engine="zarr")["warmup_posterior"]["mu"].values
    assert np.all(warmup[:, 0] > 50)
    for values, message in (
        ("{ mu = 0.5, sigmo = 1 }", "sampler.initial.sigmo: no such parameter; did you mean sigma?"),
        ("{ mu = 0.5, sigma = -1 }", "sampler.initial: sigma = -1. is not in its support Positive"),
        ("[{ mu = 0.5, sigma = 1 }]", "sampler.initial: initial has 1 starting points for 2 chains"),
    ):
        wrong = gradmc("sample", project / "run.toml", "--force", f"--sampler.initial={values}")
        assert wrong.code == 2
        assert message in wrong.err


def test_a_variable_filter_keeps_observed_data(project: Path, gradmc: Gradmc) -> None:
    options = ["--output.variables=['mu']", "--output.thin=3", "--output.float32=true", "--progress=none"]
    assert gradmc("sample", project / "run.toml", *options).code == 0
    tree = xr.open_datatree(project / "out" / "draws.zarr", engine="zarr")
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data"}
    assert dict(tree["posterior"].sizes) == {"chain": 2, "draw": 100}
    assert tree["posterior"].to_dataset()["mu"].dtype == "float32"


def test_a_run_without_draws_does_not_stand_in_the_way(project: Path, gradmc: Gradmc) -> None:
    model = project / "model.py"
    good = model.read_text()
    model.write_text(good.replace("return prior", "return float('nan') * prior"))
    assert gradmc("sample", project / "run.toml", "--progress=none").code == 3
    assert (project / "out" / "manifest.json").exists()
    model.write_text(good)
    assert gradmc("sample", project / "run.toml", "--progress=none", "--sampler.draws=20").code == 0


def test_check_reports_and_exits_with_3(project: Path, gradmc: Gradmc) -> None:
    good = gradmc("check", project / "run.toml", "--fast", "--json")
    assert good.code == 0
    assert good.json["passed"]
    model = project / "model.py"
    model.write_text(model.read_text().replace("normal(mu, 0.0", "normal(round(mu), 0.0"))
    bad = gradmc("check", project / "run.toml", "--fast")
    assert bad.code == 3
    assert "model.py:9" in bad.out


def test_doctor(gradmc: Gradmc) -> None:
    result = gradmc("doctor", "--json")
    assert {finding["name"] for finding in result.json["findings"]} >= {"devices", "sampling loop", "disk"}


def test_overrides_are_taken_out_of_the_command_line() -> None:
    rest, overrides = split_overrides(["sample", "--a.b", "1", "x", "--c.d=--e", "--json"])
    assert rest == ["sample", "x", "--json"]
    assert overrides == [("a.b", "1"), ("c.d", "--e")]
    with pytest.raises(ConfigError, match=r"option --a.b needs a value"):
        split_overrides(["--a.b"])


def test_the_gradient_is_chosen_in_the_configuration(project: Path, gradmc: Gradmc) -> None:
    chosen = load_config(project / "run.toml", [("sampler.gradient", "forward")], environment={}).config
    assert build_problem(chosen).density.bound.gradient == "forward"
    result = gradmc("sample", project / "run.toml", "--sampler.gradient=sideways")
    assert result.code == 2
    assert "sampler.gradient" in result.err


def test_the_costs_of_a_run_by_batches_are_those_of_a_batch(project: Path, gradmc: Gradmc) -> None:
    (project / "data.json").write_text(json.dumps({"y": [0.5, 1.5] * 10_000}))
    asked = ["sample", project / "run.toml", "--dry-run", "--json"]
    whole = gradmc(*asked)
    batches = gradmc(*asked, "--sampler.kernel", "sghmc", "--sampler.batch.n", 16)
    assert (whole.code, batches.code) == (0, 0), batches.err
    assert batches.json["gradient_seconds"] < whole.json["gradient_seconds"] / 4
    assert batches.json["disk_bytes"] < whole.json["disk_bytes"] / 1000, "no pointwise terms"


def test_what_may_change_is_what_the_last_command_says(project: Path, gradmc: Gradmc) -> None:
    """A target, a cluster, the check: not those that the run began with. A target that has moved is not reached.

    Draws are thinned, since otherwise so many are made between two looks that all of them may be done before the target
    is seen to be reached.
    """
    command = ["sample", project / "run.toml", "--progress", "none", "--resume", "--sampler.draws", 100_000_000]
    command += ["--output.thin", 100]

    def draws() -> int:
        return xr.open_datatree(project / "out" / "draws.zarr", engine="zarr")["posterior"].sizes["draw"]

    assert gradmc(*command, "--stop.ess", 50).code == 0
    begun = draws()
    assert "The run is complete" in gradmc(*command, "--stop.ess", 50).out
    nowhere = gradmc(*command, "--stop.ess", 60, "--cluster.scheduler", "nowhere://10.0.0.1:1")
    assert nowhere.code == 2
    assert "nobody answers at nowhere://10.0.0.1:1" in nowhere.err
    reached = gradmc(*command, "--stop.ess", 8 * begun, "--sampler.check", "off")
    assert reached.code == 0, reached.err
    assert draws() > begun
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    assert (manifest["status"], manifest["config"]["stop"]["ess"]) == ("reached", 8 * begun)
    assert manifest["config"]["sampler"]["check"] == "off"
