"""The middle end of the loop compiler: from the loop IR to JAX's own primitives."""

from gradmc.program.middle.loop_report import Carried, LoopReport, report
from gradmc.program.middle.lowering import lower, lower_plain, stages
from gradmc.program.middle.lowering_options import LoweringOptions

__all__ = ["Carried", "LoopReport", "LoweringOptions", "lower", "lower_plain", "report", "stages"]
