"""Check 7: what a gradient costs, what became of the loops, and how long a run may take."""

import time
from typing import Any

import numpy as np

from gradmc.check.subject import ROWS, Subject
from gradmc.errors import SourceLocation
from gradmc.program.explain import explain
from gradmc.program.middle import report

LEAPFROGS = (7, 63)
"""Gradients per transition for an easy and for a hard posterior (trees of depth 3 and 6)."""

TRANSITIONS = 4 * 2000
SECONDS = 0.2


def costs(subject: Subject, *, fast: bool) -> dict[str, Any]:
    """Time and memory of a gradient, the loops with their verdicts, and the predicted time of a run.

    The time of each outermost loop is measured by compiling it alone, unless `fast`; where that costs more than the
    whole gradient, in which it is compiled together with its surroundings, it says nothing and is left out.
    """
    seconds = gradient_seconds(subject)
    with subject.density.scope():
        loops = report(subject.program)
    each = {} if fast or not loops else dict(explain(subject.bound.model, subject.bound.data).costs)
    rows = []
    for loop in loops:
        source = loop.source
        if not isinstance(source, SourceLocation):
            continue
        alone = each.get((source.file, source.line))
        rows.append(
            {
                "file": source.file,
                "line": source.line,
                "depth": loop.depth,
                "iterations": loop.length,
                "verdict": loop.verdict,
                "reason": loop.reason,
                "microseconds": alone if alone is not None and alone <= 1e6 * seconds else None,
            }
        )
    low, high = (seconds * gradients * TRANSITIONS for gradients in LEAPFROGS)
    content: dict[str, Any] = {
        "gradient_seconds": seconds,
        "gradient_bytes": subject.gradient_bytes(),
        "run_seconds": [low, high],
        "loops": rows,
    }
    content["text"] = _text(content)
    return content


def gradient_seconds(subject: Subject) -> float:
    """Time of one value and gradient inside compiled code, as a sampler evaluates it: the best of several batches."""
    x = subject.typical.x[:1] if len(subject.typical.x) else np.zeros((1, subject.dim))
    block = np.repeat(x, ROWS, axis=0)
    best, end = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        subject.at(block)
        best = min(best, time.perf_counter() - began)
    return float(best) / ROWS


def _text(content: dict[str, Any]) -> str:
    low, high = content["run_seconds"]
    lines = [
        f"One gradient takes {_time(content['gradient_seconds'])} and {content['gradient_bytes'] / 1024:,.0f} KiB; "
        f"4 chains of 2,000 transitions would take {_time(low)} to {_time(high)} of one core."
    ]
    for row in content["loops"]:
        turns = "?" if row["iterations"] is None else f"{row['iterations']:,}"
        cost = "" if row["microseconds"] is None else f", {row['microseconds']:.3g} µs"
        lines.append(
            f"{'  ' * (1 + row['depth'])}line {row['line']}: {turns} x {row['verdict']}{cost}: {row['reason']}"
        )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
