"""`gradmc doctor`: is this installation in order, and is it fast?"""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from gradmc._xla import refuse_flags
from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.errors import UsageError
from gradmc.results.manifest import machine, versions

MIN_FREE_BYTES = 1 << 30
USAGE = 2


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing that was looked at; `good` is None where there is nothing to judge."""

    name: str
    good: bool | None
    text: str


def doctor(*, common: Common) -> int:
    """Print what was found; exit code 2 if something is broken."""
    findings = [
        Examination("versions", None, ", ".join(f"{name} {number}" for name, number in versions().items())),
        Examination("machine", None, f"{machine()['system']}, {os.cpu_count()} cores"),
        devices := check_devices(),
        *([check_native_loop()] if devices.good else []),
        check_cache(),
        check_bytecode(),
        check_disk(Path.cwd()),
        *check_extras(),
    ]
    marks = {True: "ok  ", False: "BAD ", None: "    "}
    text = "\n".join(f"{marks[finding.good]}{finding.name}: {finding.text}" for finding in findings)
    broken = any(finding.good is False for finding in findings)
    emit(text, {"ok": not broken, "findings": [asdict(f) for f in findings]}, as_json=common.json)
    return USAGE if broken else 0


def check_devices() -> Examination:
    """Whether JAX finds a device and computes in double precision."""
    try:
        refuse_flags()  # XLA would end this process
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            exact = float(jnp.float64(1) + 1e-12) > 1
        kinds = ", ".join(f"{device.platform} {device.device_kind}" for device in jax.devices())
    except UsageError as error:
        return Examination("devices", False, str(error))
    except Exception as error:
        return Examination("devices", False, f"JAX does not work: {type(error).__name__}: {error}")
    if not exact:
        return Examination("devices", False, f"{kinds}; no double precision: use sampler.precision = 'float32'")
    return Examination("devices", True, f"{kinds}; double precision works")


def check_native_loop() -> Examination:
    """Whether XLA compiles a small loop into one native function (see `gradmc._xla`)."""
    import gradmc  # sets the flag, if the backend has not started

    del gradmc
    import jax
    import jax.numpy as jnp
    from jax import lax

    if jax.default_backend() != "cpu":
        return Examination("sampling loop", None, "not on a CPU")

    def loop(x: jax.Array) -> jax.Array:
        return lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + 1, jnp.sin(c[1]) * 2), (0, x))[1]

    text = jax.jit(loop).lower(jnp.zeros(300)).compile().as_text() or ""
    if "xla_cpu_small_call" in text:
        return Examination("sampling loop", True, "small loops become one native function")
    advice = "import gradmc before anything starts JAX's backend, and look at XLA_FLAGS"
    return Examination("sampling loop", False, f"small loops are not compiled natively, sampling is slow; {advice}")


def check_cache() -> Examination:
    """Whether compiled code is kept between runs."""
    from gradmc.density.kept import cache_root
    from gradmc.run.compiling import unusable_cache

    if reason := unusable_cache():
        return Examination(
            "compilation cache", False, f"{reason}; set XDG_CACHE_HOME to a directory that can be written"
        )
    directory = cache_root()
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return Examination("compilation cache", True, f"{directory}, {size / 1e6:.1f} MB")


def check_bytecode() -> Examination:
    """Whether Python keeps compiled modules; imports are several times slower without."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return Examination("bytecode", False, "PYTHONDONTWRITEBYTECODE is set: every start compiles all modules again")
    return Examination("bytecode", True, "modules are compiled once")


def check_disk(directory: Path) -> Examination:
    """Whether there is room for draws."""
    free = shutil.disk_usage(directory).free
    return Examination("disk", free > MIN_FREE_BYTES, f"{free / 1e9:.1f} GB free in {directory}")


def check_extras() -> list[Examination]:
    """Which optional libraries are there."""
    from importlib.util import find_spec

    findings = []
    for extra, modules in (
        ("plots", ("matplotlib", "arviz_plots")),
        ("netcdf", ("h5netcdf", "h5py")),
        ("parquet", ("pyarrow",)),
    ):
        missing = [module for module in modules if find_spec(module) is None]
        text = f"not installed: `pip install 'gradmc[{extra}]'`" if missing else "installed"
        findings.append(Examination(f"extra {extra}", None, text))
    return findings
