"""Eight schools from a cold start: a new process, import + compile + sampling of 4 chains x (500 + 1000).

gradmc with an empty and with a warm compile cache, NumPyro (`NUTS`, `chain_method="sequential"`) with none.
Bytecode is compiled first, as an installer does.
"""

import compileall
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REPEATS = 5

GRADMC = """
import sys, json
sys.path.insert(0, "models/eight_schools")
import gradmc as gm
from model import eight_schools
data = json.load(open("models/eight_schools/data.json"))
draws = gm.sample(eight_schools, data, seed=1, warmup=500, draws=1000, progress="none")
assert draws.posterior["theta"].shape == (4, 1000, 8)
"""

NUMPYRO = """
import json
import jax, jax.numpy as jnp, numpyro, numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
jax.config.update("jax_enable_x64", True)
data = json.load(open("models/eight_schools/data.json"))
y, sigma = jnp.array(data["y"], float), jnp.array(data["sigma"], float)
def model():
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", 8):
        z = numpyro.sample("z", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * z)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
mcmc = MCMC(NUTS(model), num_warmup=500, num_samples=1000, num_chains=4, chain_method="sequential", progress_bar=False)
mcmc.run(jax.random.key(0))
assert mcmc.get_samples(group_by_chain=True)["theta"].shape == (4, 1000, 8)
"""


def seconds(program: str, cache: str) -> float:
    """Wall time of a new process that runs `program` with `cache` for compiled code."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=ROOT, env=environment)
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    for folder in (sysconfig.get_path("purelib"), str(ROOT / "gradmc")):
        compileall.compile_dir(folder, quiet=2)
    times: dict[str, list[float]] = {"gradmc, empty cache": [], "gradmc, warm cache": [], "NumPyro": []}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as cache:
            times["gradmc, empty cache"].append(seconds(GRADMC, cache))
            times["gradmc, warm cache"].append(seconds(GRADMC, cache))
            times["NumPyro"].append(seconds(NUMPYRO, cache))
    reference = statistics.median(times["NumPyro"])
    print(f"{'':22}{'seconds':>10}{'/ NumPyro':>12}")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:22}{middle:10.2f}{middle / reference:12.3f}")
