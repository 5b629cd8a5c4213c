"""Are these draws good? A summary table, checks, and a verdict in words."""

from gradmc.diagnostics.checks import Check, Diagnosis, diagnose
from gradmc.diagnostics.summary import Row, Summary, summarise

__all__ = ["Check", "Diagnosis", "Row", "Summary", "diagnose", "summarise"]
