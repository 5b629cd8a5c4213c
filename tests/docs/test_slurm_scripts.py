"""The scripts for Slurm in docs/scale.md, with programs in place of Slurm's that note how they were called."""

import re
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
SCRIPTS = re.findall(r"^```sh\n(#!/bin/bash\n#SBATCH.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

SHIM = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
"""
SBATCH = (
    SHIM
    + """
echo 99
"""
)
SRUN = (
    SHIM
    + """
while [[ "$1" == --* ]]; do shift; done
highest=0
[[ "$*" == *--distributed* ]] && ranks="0 1 2 3" || ranks=0
for rank in $ranks; do
    SLURM_PROCID=$rank "$@"; code=$?
    [ $code -gt $highest ] && highest=$code
done
exit $highest
"""
)
GRADMC = (
    SHIM
    + """
echo "devices ${JAX_NUM_CPU_DEVICES:-unset}" >> "$CALLS"
[ "${SLURM_PROCID:-0}" != 0 ] && [ "$CODE" -gt 128 ] && exit 75
exit "$CODE"
"""
)
DASK = (
    SHIM
    + """
[ "$1" = scheduler ] && echo '{"address": "tcp://10.0.0.1:45", "workers": {"tcp://10.0.0.2:46": {}}}' > "${@: -1}"
"""
)


def called(script: str, folder: Path, code: int, restarts: int = 0) -> list[str]:
    """The calls that a script makes where gradmc ends with this code."""
    shims = {"srun": SRUN, "gradmc": GRADMC, "dask": DASK, "sbatch": SBATCH, "scancel": SHIM, "scontrol": SHIM}
    folder.mkdir()
    for name, text in shims.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    own = {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(folder / "calls"), "CODE": str(code)}
    environment = {**job, **own, "SLURM_RESTART_COUNT": str(restarts)}
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    ended = subprocess.run(
        ["bash"], input=script, text=True, cwd=folder, env=environment, capture_output=True, timeout=60, check=False
    )
    assert ended.stderr == ""
    assert ended.returncode == code, "which Slurm shows, and on which other jobs may depend"
    return (folder / "calls").read_text().splitlines()


def test_there_are_three() -> None:
    assert [any(word in script for word in ("--distributed", "dask")) for script in SCRIPTS] == [True, True, False]


def test_one_chain_on_several_nodes(tmp_path: Path) -> None:
    calls = called(SCRIPTS[0], tmp_path / "time", 75)
    ours = "gradmc sample run.toml --sampler.shard visit --distributed --resume --stop.seconds 14000"
    assert calls.count(ours) == 4
    assert calls.count("devices 16") == 4
    assert calls[-1] == "scontrol requeue 7"
    assert not called(SCRIPTS[0], tmp_path / "done", 0)[-1].startswith("scontrol")
    assert called(SCRIPTS[0], tmp_path / "killed", 137)[-1] == "scontrol requeue 7"
    assert not called(SCRIPTS[0], tmp_path / "always killed", 137, restarts=10)[-1].startswith("scontrol")


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_whose_time_is_up_goes_on_in_a_new_job(number: int, tmp_path: Path) -> None:
    script = SCRIPTS[number]
    job = ("7", "5_3")[number - 1]
    calls = called(script, tmp_path / "time", 75)
    assert sum(call.startswith("gradmc sample run.toml --resume") for call in calls) == 1
    assert calls[-1] == f"scontrol requeue {job}"
    assert not any(call.startswith("scontrol") for call in called(script, tmp_path / "done", 0))
    if number == 1:
        assert any("--cluster.scheduler tcp://10.0.0.1:45 " in call for call in calls)
        assert any(call.startswith("sbatch --parsable --array=0-49") for call in calls)
        assert calls[-2] == "scancel 99"
    else:
        assert any("--sampler.seed 3 --output.dir runs/3" in call for call in calls)
