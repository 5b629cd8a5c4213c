"""Wall time and peak memory of a hierarchy with thousands of parameters: the default metric against the diagonal one.

Each run in a process of its own, in turn; seconds are those of sampling, compile time left out, the median of a few.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

import gradmc as gm

REPEATS = 3
SIZES = {3_000: {"warmup": 500, "draws": 500}, 100_000: {"warmup": 300, "draws": 100}}


@gm.model
def groups(mu: gm.Real, tau: gm.Positive, z: gm.Real["J"], *, y: gm.Data["J"]):
    """Means of J groups around a common one, each seen once with noise of spread 1."""
    lp = gm.lpdf.normal(mu, 0, 10) + gm.lpdf.half_normal(tau, 5) + gm.lpdf.normal(z, 0, 1)
    return lp + gm.lpdf.normal(y, mu + tau * z, 1)


def once(parameters: int, metric: str) -> dict[str, float]:
    """Sample in this process."""
    from tests.benchmarks.engine.targets import prepared, run

    rng = np.random.default_rng(1)
    count = parameters - 2
    data = {"y": 3 + 2 * rng.normal(size=count) + rng.normal(size=count)}
    sampler = prepared(gm.density(groups, data), seed=1, chains=4, metric=metric, **SIZES[parameters])
    began = time.perf_counter()
    _, gradients, _ = run(sampler)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "gradients": gradients, "gigabytes": peak}


def main() -> None:
    """Print the table."""
    print("| parameters | metric | seconds | gradients | peak GB | against diagonal |\n|---|---|---|---|---|---|")
    for parameters in SIZES:
        runs = {"diagonal": [], "low_rank": []}
        for _ in range(REPEATS):
            for metric, found in runs.items():
                command = [sys.executable, "-m", "tests.benchmarks.engine.sizes", str(parameters), metric]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found.append(json.loads(output.splitlines()[-1]))
        ratio = statistics.median(
            a["seconds"] / b["seconds"] for a, b in zip(runs["low_rank"], runs["diagonal"], strict=True)
        )
        for metric, found in runs.items():
            row = {key: statistics.median(r[key] for r in found) for key in found[0]}
            last = f"{ratio:.2f}" if metric == "low_rank" else ""
            print(
                f"| {parameters:,} | {metric} | {row['seconds']:.1f} | {row['gradients']:,.0f} "
                f"| {row['gigabytes']:.2f} | {last} |",
                flush=True,
            )


if __name__ == "__main__":
    print(json.dumps(once(int(sys.argv[1]), sys.argv[2])))
