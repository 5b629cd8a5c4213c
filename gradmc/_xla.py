"""The one XLA setting that gradmc needs, made before the backend starts.

XLA's CPU backend compiles a `while` loop into one native function if the loop touches few bytes (1,024 by default).
The sampling loop of a small model is such a loop, and runs many times faster that way, so importing gradmc raises the
threshold.  A threshold in `XLA_FLAGS` that the user has set stays.  If the backend is already up the setting comes too
late: everything works, only slower, and `gradmc doctor` says so.
"""

import os

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
