"""The one XLA setting that gradmc needs, made before the backend starts.

XLA's CPU backend compiles a `while` loop into one native function if the loop touches few bytes (1,024 by default).
The sampling loop of a small model is such a loop, and runs many times faster that way, so importing gradmc raises the
threshold.  A threshold in `XLA_FLAGS` that the user has set stays.  If the backend is already up the setting comes too
late: everything works, only slower, and `gradmc doctor` says so.

XLA ends the process at a flag that it does not know, so flags of the user's are tried in another one first.
"""

import os
import sys

OPTION = "xla_cpu_small_while_loop_byte_threshold"
EXTRA = "--xla_backend_extra_options="
THRESHOLD = 100_000_000


def configure() -> None:
    """Add the threshold to `XLA_FLAGS` unless it stands there already."""
    flags = os.environ.get("XLA_FLAGS", "")
    if OPTION not in flags:
        os.environ["XLA_FLAGS"] = with_threshold(flags)


def with_threshold(flags: str) -> str:
    """`flags` with the threshold set; other backend options in it are kept."""
    setting = f"{OPTION}={THRESHOLD}"
    words = flags.split()
    for i, word in enumerate(words):
        if word.startswith(EXTRA):
            words[i] = f"{word},{setting}"
            return " ".join(words)
    return " ".join([*words, EXTRA + setting])


def refuse_flags() -> None:
    """Have a process of its own read the user's flags, which costs as long as importing JAX; nothing if there are none.

    Raises:
        UsageError: XLA does not take them.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if flags in ("", with_threshold("")):
        return
    import subprocess

    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    tried = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if tried.returncode == 0:
        return
    from gradmc.errors import UsageError

    said = [line.partition("] ")[2] for line in tried.stderr.splitlines() if line[:1] in ("E", "F") and "] " in line]
    reason = said[0] if said else f"exit code {tried.returncode}"
    raise UsageError(f"XLA does not take what XLA_FLAGS says ({reason}); correct it, or unset XLA_FLAGS")
