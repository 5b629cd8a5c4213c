"""Benchmark: plain loops against vectorised JAX and `scan` written by hand.

    python -m tests.benchmarks.loops [--quick] [--only NAME] [--compile] [--memory] [--json FILE]

Each version's value and gradient runs many times inside one compiled loop, as in the sampler, so that what is
measured is the machine code and not the call. The versions take turns, so that other work on the
machine hits all of them; the table gives medians of the ratios within a turn, against the fastest version by hand.
"""

import os

_FLAG = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=100000000"
os.environ.setdefault("XLA_FLAGS", _FLAG)

import argparse  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from functools import partial  # noqa: E402
from types import FunctionType  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

from gradmc.program.compiler import evaluate  # noqa: E402
from gradmc.program.frontend.convert import _converted_code  # noqa: E402
from tests.benchmarks.loop_programs import CASES, Case  # noqa: E402

SECONDS_PER_TURN = 0.02
REPEATS = 7


@dataclass(frozen=True)
class Row:
    """One program at one size; times in microseconds, compile times in seconds."""

    program: str
    size: int
    plain: float
    best: float
    best_version: str
    ratio: float
    plain_compile: float
    best_compile: float
    native: bool


def compiled_plain(case: Case, position: Any, /, **data: Any) -> Any:
    return evaluate(case.plain, (position,), data)[0]


def versions(case: Case) -> dict[str, Callable[..., Any]]:
    return {"plain": partial(compiled_plain, case), **case.by_hand}


def repeated(fn: Callable[..., Any], fixed: dict[str, Any]) -> Callable[..., Any]:
    """`count` evaluations of value and gradient in one compiled loop."""

    def run(count: Any, x: Any, arrays: dict[str, Any]) -> Any:
        both = jax.value_and_grad(lambda p: fn(p, **arrays, **fixed))

        def body(state: Any) -> Any:
            k, x, total = state
            value, gradient = both(x)
            return k + 1, x + 1e-9 * jnp.tanh(gradient), total + value

        return lax.while_loop(lambda s: s[0] < count, body, (0, x, 0.0))[1:]

    return run


def split(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays = {k: v for k, v in data.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    return arrays, {k: v for k, v in data.items() if k not in arrays}


def build(fn: Callable[..., Any], x: np.ndarray, data: dict[str, Any]) -> tuple[Any, float]:
    """The compiled loop and the time to trace and compile it.

    It is the time that a user waits: XLA compiles what is not one native function in several threads.
    """
    arrays, fixed = split(data)
    start = time.perf_counter()
    compiled = jax.jit(repeated(fn, fixed)).lower(1, x, arrays).compile()
    return compiled, time.perf_counter() - start


def timed(compiled: Any, count: int, x: np.ndarray, arrays: dict[str, Any]) -> float:
    """Seconds of processor time: what other processes take does not count."""
    start = time.process_time()
    jax.block_until_ready(compiled(count, x, arrays))
    return time.process_time() - start


def turns_for(compiled: Any, x: np.ndarray, arrays: dict[str, Any]) -> int:
    timed(compiled, 1, x, arrays)
    count = 1
    while True:
        spent = min(timed(compiled, count, x, arrays) for _ in range(3))
        if spent > SECONDS_PER_TURN / 4 or count > 1 << 24:
            return max(1, int(count * SECONDS_PER_TURN / spent))
        count *= 4


def measure(case: Case, size: int, repeats: int) -> tuple[Row, dict[str, float]]:
    x, data = case.make(size, np.random.default_rng(1))
    arrays, _ = split(data)
    built = {name: build(fn, x, data) for name, fn in versions(case).items()}
    check_equal(case, x, data)
    counts = {name: turns_for(c, x, arrays) for name, (c, _) in built.items()}
    times: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(repeats):
        for name, (compiled, _) in built.items():
            times[name].append(timed(compiled, counts[name], x, arrays) / counts[name] * 1e6)
    median = {name: float(np.median(t)) for name, t in times.items()}
    best = min((n for n in median if n != "plain"), key=median.__getitem__)
    ratio = float(np.median(np.array(times["plain"]) / np.array(times[best])))
    native = "xla_cpu_small_call" in built["plain"][0].as_text()
    row = Row(case.name, size, median["plain"], median[best], best, ratio, built["plain"][1], built[best][1], native)
    return row, median


def check_equal(case: Case, x: np.ndarray, data: dict[str, Any]) -> None:
    """All versions agree in value and gradient, called as they are timed: with float data as arguments."""
    arrays, fixed = split(data)

    def result(fn: Callable[..., Any]) -> Any:
        both = jax.jit(lambda p, arrays: jax.value_and_grad(lambda p: fn(p, **arrays, **fixed))(p))
        return both(jnp.asarray(x), arrays)

    results = {name: result(fn) for name, fn in versions(case).items()}
    for name, (value, gradient) in results.items():
        np.testing.assert_allclose(value, results["plain"][0], rtol=1e-9, err_msg=f"{case.name}: {name}")
        np.testing.assert_allclose(gradient, results["plain"][1], rtol=1e-7, atol=1e-9, err_msg=f"{case.name}: {name}")


def compile_table() -> None:
    """Trace and compile times at T = 100 and T = 100,000 against those of the version by hand that runs fastest.

    Conversion is what happens before XLA: reading the source, tracing it to the loop IR, scheduling. It is measured
    with nothing cached.
    """
    print(f"{'program':24s} {'size':>8s} {'plain s':>8s} {'hand s':>8s} {'ratio':>6s} {'conversion ms':>14s}")
    ratios = []
    for case in CASES:
        if case.name in ("item response", "GP kernel"):  # their size is quadratic
            continue
        for size in (100, 100_000):
            x, data = case.make(size, np.random.default_rng(1))
            arrays, _ = split(data)
            took: dict[str, list[float]] = {}
            for _ in range(REPEATS):
                for name, fn in versions(case).items():
                    compiled, seconds = build(fn, x, data)
                    took.setdefault(name, []).append(seconds)
                    if len(took[name]) == 1:
                        count = turns_for(compiled, x, arrays)
                        took[name] = [min(timed(compiled, count, x, arrays) for _ in range(5)) / count]
            by_hand = {name: seconds[0] for name, seconds in took.items() if name != "plain"}
            best = min(by_hand, key=by_hand.__getitem__)
            plain, hand = (float(np.median(took[name][1:])) for name in ("plain", best))
            ratios.append(plain / hand)
            print(
                f"{case.name:24s} {size:8d} {plain:8.3f} {hand:8.3f} {plain / hand:6.2f}"
                f" {1e3 * conversion(case, x, data):14.1f}",
                flush=True,
            )
    print(f"geometric mean {np.exp(np.log(ratios).mean()):.2f}, worst {max(ratios):.2f}")


def conversion(case: Case, x: np.ndarray, data: dict[str, Any]) -> float:
    """Seconds to convert, trace and schedule a program; the median of several times."""
    arrays, fixed = split(data)
    times = []
    for _ in range(REPEATS):
        fresh = FunctionType(case.plain.__code__.replace(), case.plain.__globals__, case.plain.__name__)
        fresh.__kwdefaults__ = case.plain.__kwdefaults__
        _converted_code.cache_clear()
        start = time.process_time()
        jax.make_jaxpr(lambda p, arrays, fn=fresh: evaluate(fn, (p,), arrays | fixed)[0])(x, arrays)
        times.append(time.process_time() - start)
    return float(np.median(times))


def memory_table() -> None:
    """Temporary memory of the gradient of a linear regression with a million observations."""
    case = CASES[0]
    x, data = case.make(1_000_000, np.random.default_rng(1))
    for name in ("plain", "vector"):
        gradient = jax.jit(jax.grad(partial(versions(case)[name])))
        memory = gradient.lower(jnp.asarray(x), **data).compile().memory_analysis()
        print(f"{name:8s} temporary memory {memory.temp_size_in_bytes / 1e6:8.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smallest sizes, few repeats")
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--compile", action="store_true", help="compile times instead of run times")
    parser.add_argument("--memory", action="store_true", help="memory of the gradient instead of run times")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    with jax.enable_x64(True):
        if options.compile or options.memory:
            compile_table() if options.compile else memory_table()
            return
        rows = []
        print(f"{'program':24s} {'size':>7s} {'plain us':>10s} {'hand us':>10s} {'ratio':>6s} {'compile s':>14s}")
        for case in CASES:
            if options.only.lower() not in case.name.lower():
                continue
            for size in case.sizes[: 1 if options.quick else None]:
                row, median = measure(case, size, 5 if options.quick else 15)
                rows.append(row)
                others = "  ".join(f"{n} {t:.2f}" for n, t in median.items() if n != "plain")
                print(
                    f"{row.program:24s} {row.size:7d} {row.plain:10.2f} {row.best:10.2f} {row.ratio:6.2f}"
                    f" {row.plain_compile:6.2f} /{row.best_compile:6.2f} {'native' if row.native else '':6s} {others}",
                    flush=True,
                )
        ratios = np.array([r.ratio for r in rows])
        print(f"geometric mean {np.exp(np.log(ratios).mean()):.3f}, worst {ratios.max():.2f}")
        if options.json:
            with open(options.json, "w") as file:
                json.dump([asdict(r) for r in rows], file, indent=1)


if __name__ == "__main__":
    main()
