"""Is this program differentiable, correct and well posed? `check` makes a report (docs/check.md)."""

from gradmc.check.finding import Finding, Report
from gradmc.check.run import check

__all__ = ["Finding", "Report", "check"]
