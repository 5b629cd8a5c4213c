"""Cost: what a gradient costs, term by term, what became of the loops, and how long a run may take."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.check.subject import ROWS, Subject
from gradmc.density import ProgramDensity, Summand
from gradmc.errors import SourceLocation
from gradmc.program.explain import by_python
from gradmc.program.middle import LoopReport, report
from gradmc.program.timing import gradient_cost

LEAPFROGS = (7, 63)
"""Gradients per transition for an easy and for a hard posterior (trees of depth 3 and 6)."""

SECONDS = 0.2
"""Time to measure the whole gradient."""

TERM_SECONDS = 6.0
"""Processor time to compile and measure terms; those that are left then are listed without figures."""


@dataclass(frozen=True, slots=True)
class Run:
    """The run whose time is predicted: chains, and transitions of each."""

    chains: int
    transitions: int


def costs(subject: Subject, run: Run, *, fast: bool) -> dict[str, Any]:
    """Time and memory of a gradient and of each of its terms, the loops, and the predicted time of the run.

    A term is compiled and measured alone, so what terms share is counted in each of them; `fast` leaves this out.
    """
    seconds = gradient_seconds(subject)
    low, high = (seconds * gradients * run.chains * run.transitions for gradients in LEAPFROGS)
    content: dict[str, Any] = {
        "gradient_seconds": seconds,
        "gradient_bytes": subject.gradient_bytes(),
        "chains": run.chains,
        "transitions": run.transitions,
        "run_seconds": [low, high],
        "terms": [] if fast else _terms(subject),
        "loops": _loops(subject),
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


def _terms(subject: Subject) -> list[dict[str, Any]]:
    """A row per term of the density, with what its gradient costs alone."""
    x = subject.typical.x[0] if len(subject.typical.x) else np.zeros(subject.dim)
    operands = subject.density.operands_at(x)
    rows = []
    end = time.process_time() + TERM_SECONDS
    for summand in subject.density.summands():
        row = _described(summand)
        if time.process_time() < end:
            with subject.density.scope():
                cost = gradient_cost(summand.equations, operands)
            row |= {"seconds": cost.seconds, "bytes": cost.memory}
        rows.append(row)
    if not rows:
        subject.skip("cost by term", "the terms of a function that returns their sum cannot be told apart")
    return rows


def _described(summand: Summand) -> dict[str, Any]:
    where = summand.location
    return {
        "name": summand.name,
        "file": None if where is None else where.file,
        "line": None if where is None else where.line,
        "source": "" if where is None else where.text.strip(),
        "times": summand.times,
        "seconds": None,
        "bytes": None,
    }


def _loops(subject: Subject) -> list[dict[str, Any]]:
    """A row per loop of a program: what was made of it, and why."""
    density = subject.density
    if not isinstance(density, ProgramDensity):
        return []
    with density.scope():
        found = [*report(density.equations), *by_python(density.program.python_loops)]
    rows = [_loop(loop, loop.source) for loop in found if isinstance(loop.source, SourceLocation)]
    return sorted(rows, key=lambda row: (row["file"], row["line"]))


def _loop(loop: LoopReport, source: SourceLocation) -> dict[str, Any]:
    return {
        "file": source.file,
        "line": source.line,
        "depth": loop.depth,
        "iterations": loop.length,
        "verdict": loop.verdict,
        "reason": loop.reason,
    }


def _text(content: dict[str, Any]) -> str:
    low, high = content["run_seconds"]
    lines = [
        f"One gradient takes {_time(content['gradient_seconds'])} and {_memory(content['gradient_bytes'])}.",
        f"{content['chains']} chains of {content['transitions']:,} transitions would take {_time(low)} to "
        f"{_time(high)} of one core ({LEAPFROGS[0]} to {LEAPFROGS[1]} gradients per transition), besides compiling.",
    ]
    if content["terms"]:
        lines.append("Terms, each with its gradient alone (what terms share counts in each):")
    for row in content["terms"]:
        cost = "" if row["seconds"] is None else f": {_time(row['seconds'])}, {_memory(row['bytes'])}"
        times = "" if row["times"] in (None, 1) else f", {row['times']:,} times"
        source = f": {row['source']}" if row["source"] else ""
        lines.append(f"  {row['name']}{times}{cost}{source}")
    if content["loops"]:
        lines.append("Loops:")
    for row in content["loops"]:
        turns = "?" if row["iterations"] is None else f"{row['iterations']:,}"
        lines.append(f"{'  ' * (1 + row['depth'])}line {row['line']}: {turns} x {row['verdict']}: {row['reason']}")
    return "\n".join(lines)


def _memory(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size / 1024:,.0f} KiB"


def _time(seconds: float) -> str:
    if seconds < 1e-9:
        return "nothing"
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
