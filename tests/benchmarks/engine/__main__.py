"""Run the benchmarks that are named, or all of them, and print a table for each.

Machines are noisy: every figure is a median over repeats, and what is compared runs in turn, A B A B.
"""

import sys

from tests.benchmarks.engine import arrival, cold, cores, ess, leapfrog, memory, sizes

BENCHMARKS = {
    "cold": cold,
    "leapfrog": leapfrog,
    "cores": cores,
    "ess": ess,
    "memory": memory,
    "arrival": arrival,
    "sizes": sizes,
}


def main(names: list[str]) -> None:
    """Run the benchmarks called `names`."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        print(f"\n{BENCHMARKS[name].__doc__}")
        BENCHMARKS[name].main()


if __name__ == "__main__":
    main(sys.argv[1:])
