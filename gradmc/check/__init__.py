"""Is this program differentiable, correct and well posed? `check` makes a report (docs/check.md)."""

from gradmc.check.finding import CheckReport, Finding
from gradmc.check.suite import check

__all__ = ["CheckReport", "Finding", "check"]
