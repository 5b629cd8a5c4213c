"""Are these draws good? A summary table, checks, and a verdict in words."""

from gradmc.diagnostics.checks import diagnose
from gradmc.diagnostics.summary import Row, Summary, summarise
from gradmc.diagnostics.verdict import Check, Diagnosis

__all__ = ["Check", "Diagnosis", "Row", "Summary", "diagnose", "summarise"]
