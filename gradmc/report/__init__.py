"""One page about a run: what was run, whether to trust it and why, as a single HTML file."""

from gradmc.report.build import report
from gradmc.report.page import Report

__all__ = ["Report", "report"]
