"""`gradmc sample --distributed`: processes that compute the same chains, of which the first one keeps the run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gradmc.cli.options import Overrides
from gradmc.cli.problem import build_problem
from gradmc.config import load_config
from gradmc.errors import UsageError
from gradmc.run.peers import dismissing, joined, leads, meet
from gradmc.run.preparing import prepare


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """Where a process stands among the others; what is None comes from the environment (Slurm, Open MPI).

    Args:
        coordinator: address and port of the first process.
        processes: how many there are.
        process: the number of this one, from 0.
    """

    coordinator: str | None
    processes: int | None
    process: int | None


def sample_distributed(path: Path, overrides: Overrides, group: ProcessGroup, lead: Callable[[], int]) -> int:
    """Compute chains together with other processes.

    Args:
        path: the configuration.
        overrides: of it.
        group: which, and the place of this process among them.
        lead: what the first process does; gives the exit code.

    Raises:
        UsageError: the data are not to be shared out, or it is not known where the other processes are.
        ClusterError: one of them has died.
    """
    config = load_config(path, overrides).config
    if config.sampler.shard is None:
        raise UsageError(
            "--distributed shares the data of each chain out among processes: say along which dimension, by "
            "sampler.shard. To run chains on several machines, see [cluster]"
        )
    with joined(group.coordinator, group.processes, group.process):
        meet()
        if leads():
            with dismissing() as end:
                end.code = lead()
            return end.code
        problem = build_problem(config)
        return prepare(problem.density, problem.settings, initial=problem.initial).follow()
