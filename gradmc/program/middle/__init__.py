"""The middle end of the loop compiler: from the loop IR to JAX's own primitives."""

from gradmc.program.middle.lowering import lower, lower_plain, stages
from gradmc.program.middle.options import Options
from gradmc.program.middle.report import Carried, LoopReport, report

__all__ = ["Carried", "LoopReport", "Options", "lower", "lower_plain", "report", "stages"]
