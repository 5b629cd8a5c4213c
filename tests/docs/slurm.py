"""A Slurm of one's own: its daemons, started in a folder by a user without rights, as nodes 127.0.0.1, 127.0.0.2, ...

Debian has it as `slurm-wlm` and `munge`. Its nodes are one machine with different ports; their names are addresses,
since JAX looks for the first process at the name of the first node.
"""

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
WHERE = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # daemons are not on everybody's path

SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
StateSaveLocation={folder}/state
SlurmUser={user}
SlurmdUser={user}
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/%n.pid
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=3
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=4000 State=UNKNOWN"


def absent() -> str:
    """Which of its daemons this machine has not, or nothing."""
    return ", ".join(name for name in DAEMONS if shutil.which(name, path=WHERE) is None)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Slurm:
    """A controller and nodes of four processors each.

    Args:
        folder: for all that it writes; its path must be short, since a socket is in it.
        nodes: how many.
    """

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        self.nodes = [f"127.0.0.{k + 1}" for k in range(nodes)]
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{Path(sys.executable).parent}:{WHERE}"}
        ports, host = free_ports(nodes + 1), socket.gethostname()
        lines = [NODE.format(name=n, host=host, port=p) for n, p in zip(self.nodes, ports[1:], strict=True)]
        own = {"folder": folder, "user": getpass.getuser(), "host": host, "ports": ports}
        (folder / "slurm.conf").write_text(SETTINGS.format(**own, nodes="\n".join(lines)))

    def start(self) -> None:
        """Start its daemons, and wait until all nodes are idle."""
        munge = self.folder / "munge"
        munge.mkdir(mode=0o755)
        (self.folder / "state").mkdir()
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o600)
        names = {"key-file": "key", "socket": "socket", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
        self._begin("munged", "--foreground", "--force", *(f"--{k}={munge / v}" for k, v in names.items()))
        until(lambda: (munge / "socket").exists(), 20, "munged")
        self._begin("slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        until(lambda: self.ask("sinfo", "-h", "-o", "%T").split() == ["idle"], 60, "nodes")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        (self.folder / node).mkdir(exist_ok=True)
        self._begin("slurmd", "-D", "-N", node, called=node)

    def lose(self, node: str) -> None:
        """Kill all that runs on a node, as when its power fails."""
        self._daemons[node].kill()
        self._daemons[node].wait()
        for process, environment in processes().items():
            if f"SLURMD_NODENAME={node}" in environment:
                kill(process)

    def stop(self) -> None:
        """End what it runs, and its daemons."""
        subprocess.run(["scancel", "-u", getpass.getuser()], env=self._all(), timeout=30, check=False)
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
        for daemon in self._daemons.values():
            daemon.wait(timeout=30)
        mine = f"SLURM_CONF={self.folder}/slurm.conf"
        for process, environment in processes().items():
            if mine in environment:
                kill(process)

    def ask(self, *command: str) -> str:
        """What one of its commands says; nothing while it does not answer."""
        told = subprocess.run(command, env=self._all(), capture_output=True, text=True, timeout=60, check=False)
        return told.stdout.strip()

    def submit(self, script: Path, *options: str, **environment: str) -> str:
        """Submit a script in its folder, and give the number of the job."""
        command = ["sbatch", "--parsable", *options, script.name]
        done = subprocess.run(
            command, cwd=script.parent, env=self._all(environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def states(self, job: str) -> list[str]:
        """`COMPLETED`, say, of a job, or of each of an array."""
        return re.findall(r"JobState=(\w+)", self.ask("scontrol", "-o", "show", "job", job))

    def restarts(self, job: str) -> list[int]:
        """How often a job, or each of an array, was requeued."""
        return [int(n) for n in re.findall(r"Restarts=(\d+)", self.ask("scontrol", "-o", "show", "job", job))]

    def wait(self, job: str, seconds: float) -> None:
        """Wait until a job, and all of an array, are done well."""
        until(lambda: set(self.states(job)) <= {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}, seconds, f"job {job}")
        assert set(self.states(job)) == {"COMPLETED"}, self.ask("scontrol", "show", "job", job)

    def _begin(self, daemon: str, *arguments: str, called: str = "") -> None:
        program = shutil.which(daemon, path=WHERE)
        assert program is not None
        with (self.folder / f"{called or daemon}.log").open("ab") as log:
            began = subprocess.Popen([program, *arguments], env=self._all(), stdout=log, stderr=log)
        self._daemons[called or daemon] = began

    def _all(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, **self.environment, **(more or {})}


def processes() -> dict[int, set[str]]:
    """Variables of the processes of this user."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = set((folder / "environ").read_text(errors="replace").split("\0"))
        except OSError:
            continue
    return found


def kill(process: int) -> None:
    """SIGKILL, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def until(true: object, seconds: float, what: str) -> None:
    """Wait until a function gives something true.

    Raises:
        TimeoutError: it does not.
    """
    assert callable(true)
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError(what)
        time.sleep(0.5)
