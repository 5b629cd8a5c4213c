"""Many chains on an accelerator: all figures in under six minutes, as one JSON object.

    python -m tests.benchmarks.accelerator             # where a card is at hand
    python -m tests.benchmarks.accelerator --small     # on a processor

Eight schools (non-centred) and GARCH(1,1) on simulated data, all chains in one vectorised call: microseconds for each
chain and leapfrog step, effective draws per second of sampling and nested R-hat, by number of chains and kernel; and
the kernels that a step launches, counted in the compiled text.  A part that has no time left is left out, and said to
be.
"""

import argparse
import json
import platform
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

import gradmc as gm
from gradmc.density import density
from gradmc.diagnostics import summarise
from gradmc.run.executor import Batch
from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from models.eight_schools.model import eight_schools
from models.garch11.model import garch11

SECONDS = 330.0
SCHOOLS = {
    "y": np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
    "sigma": np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
}
LAUNCHED = re.compile(
    r"= .*?\b(fusion|custom-call|scatter|gather|sort|dot|reduce|dynamic-update-slice|copy|rng[\w-]*)\("
)
"""Instructions of the optimised text that become a kernel each, where no fusion has taken them in."""


def returns(length: int) -> dict[str, Any]:
    """A series of a GARCH(1,1) process."""
    rng, sigma, y = np.random.default_rng(1), 1.0, np.zeros(length)
    for t in range(1, length):
        sigma = np.sqrt(0.2 + 0.3 * y[t - 1] ** 2 + 0.5 * sigma**2)
        y[t] = sigma * rng.standard_normal()
    return {"y": y}


def launches(text: str) -> int:
    """Kernels in the largest loop body of a compiled text, besides those of loops and branches within it."""
    bodies = set(re.findall(r"body=%?([\w.\-]+)", text))
    found = 0
    for match in re.finditer(r"^%?([\w.\-]+) \([^\n]*\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        if match.group(1) in bodies:
            found = max(found, len(LAUNCHED.findall(match.group(2))))
    return found


def figure(name: str, model: Any, data: dict[str, Any], kernel: str, chains: int, warmup: int, draws: int) -> Any:
    """One run."""
    began = time.perf_counter()
    tree = gm.sample(
        model,
        data,
        kernel=kernel,
        chains=chains,
        warmup=warmup,
        draws=draws,
        executor=Batch(vectorised=True),
        seed=1,
        check=False,
        progress="none",
    )
    rows = [row for row in summarise(tree).rows if not row.constant]
    ess, attributes = min(min(row["ess_bulk"], row["ess_tail"]) for row in rows), tree.attrs
    return {
        "model": name,
        "kernel": kernel,
        "chains": chains,
        "wall_seconds": time.perf_counter() - began,
        "sampling_seconds": attributes["sampling_time"],
        "microseconds_per_gradient": 1e6 * attributes["sampling_time"] / attributes["n_gradients"],
        "least_ess": ess,
        "ess_per_second": ess / attributes["sampling_time"],
        "ess_per_gradient": ess / attributes["n_gradients"],
        "largest_r_hat": max(row["r_hat"] for row in rows),
    }


def kernels_launched(model: Any, data: dict[str, Any], kernel: str, chains: int) -> int:
    """By a tick of `chains` chains."""
    settings = Settings(kernel=kernel, chains=chains, executor=Batch(vectorised=True), seed=1, start="uniform")
    return launches(prepare(density(model, data), settings).plan.compiled.text() or "")


def parts(small: bool) -> Iterator[tuple[str, Any]]:
    """Names of figures, and what gives them; those that matter most come first."""
    sizes: Sequence[int] = (16,) if small else (1024, 4096, 16384)
    warmup, draws = (12, 6) if small else (100, 20)
    models = {"eight_schools": (eight_schools, SCHOOLS), "garch11": (garch11, returns(20 if small else 200))}
    every = [(m, k) for m in models for k in ("chees", "nuts")]
    chosen = [("eight_schools", "nuts"), ("garch11", "chees")] if small else every
    for name, kernel in chosen:
        model, data = models[name]
        for chains in sizes:
            label = f"{name}/{kernel}/{chains}"
            yield label, lambda a=(name, model, data, kernel, chains, warmup, draws): figure(*a)
        yield f"{name}/{kernel}/launches", lambda a=(model, data, kernel, sizes[0]): kernels_launched(*a)


def measure(small: bool, seconds: float = SECONDS) -> dict[str, Any]:
    """All figures that can be had in the time."""
    began = time.perf_counter()
    device = jax.local_devices()[0]
    told: dict[str, Any] = {
        "device": device.device_kind,
        "devices": jax.local_device_count(),
        "platform": device.platform,
        "jax": jax.__version__,
        "gradmc": gm.__version__,
        "python": platform.python_version(),
        "figures": {},
        "left_out": [],
    }
    for label, made in parts(small):
        if time.perf_counter() - began > seconds:
            told["left_out"].append(label)
            continue
        try:
            told["figures"][label] = made()
        except Exception as error:  # the other figures still tell something
            told["figures"][label] = {"error": f"{type(error).__name__}: {error}"}
    told["seconds"] = time.perf_counter() - began
    return told


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes for a processor")
    print(json.dumps(measure(parser.parse_args().small), indent=1))


if __name__ == "__main__":
    main()
