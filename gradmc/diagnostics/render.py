"""The summary table as plain text."""

import math

from gradmc.diagnostics.summary import Row, Summary
from gradmc.printable import one_line

MAX_ROWS = 40
WORST = 10
"""So many of the rows that are shown of a long table are the worst ones."""


def render_table(summary: Summary, *, max_rows: int | None = MAX_ROWS) -> str:
    """The table in aligned columns.

    Args:
        summary: the table.
        max_rows: show at most so many rows, the first and the worst ones, and say how many are missing; None shows
            all.
    """
    shown = list(summary.rows)
    if max_rows is not None and len(shown) > max_rows:
        first = max(max_rows - WORST, (max_rows + 1) // 2)
        worst = sorted(shown[first:], key=_badness, reverse=True)[: max_rows - first]
        shown = [*shown[:first], *worst]
    head = ["", *summary.columns]
    lines = [head] + [[one_line(row.name), *(cell(row, column) for column in summary.columns)] for row in shown]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "  ".join(
            [line[0].ljust(widths[0])] + [word.rjust(w) for word, w in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in lines
    ]
    if len(shown) < len(summary.rows):
        assert max_rows is not None
        first = max(max_rows - WORST, (max_rows + 1) // 2)
        text.insert(1 + first, f"... of {len(summary.rows) - first} more the {len(shown) - first} worst:")
        text.append(f"... {len(summary.rows) - len(shown)} more rows; --all shows them")
    return "\n".join(text)


def _badness(row: Row) -> tuple[float, float]:
    """By what rows are ordered: R-hat, then few effective draws; rows without them, or that are constant, come last."""
    r_hat, ess = row.values.get("r_hat", math.nan), row.values.get("ess_bulk", math.nan)
    if row.constant:
        return (-math.inf, -math.inf)
    return (-math.inf if math.isnan(r_hat) else r_hat, -math.inf if math.isnan(ess) else -ess)


def cell(row: Row, column: str) -> str:
    """One number: as many decimals as its Monte Carlo error justifies."""
    value = row[column]
    if not math.isfinite(value):
        return "-"
    if column.startswith("ess"):
        return f"{math.floor(value):,}"
    if column == "r_hat":
        return f"{value:.3f}"
    error = row.values.get(f"mcse_{column}", row.values.get("mcse_mean", math.nan))
    if column.startswith("mcse") or not math.isfinite(error) or error <= 0:
        return _two_digits(value) if column.startswith("mcse") else f"{value:.4g}"
    decimals = max(0, math.ceil(-math.log10(error)))
    if decimals > 6 or abs(value) >= 1e7:
        return f"{value:.4g}"
    return f"{value:z.{decimals}f}"


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if 10 <= value < 1e7 else f"{value:.2g}"
