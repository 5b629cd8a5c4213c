"""Which operation of a program, on which of the user's lines, made a number that is not finite."""

from gradmc.program.blame.culprit import Culprit, blamed, culprit_at, described, told
from gradmc.program.blame.derivative import differentiating
from gradmc.program.blame.origin import Origin, origin

__all__ = ["Culprit", "Origin", "blamed", "culprit_at", "described", "differentiating", "origin", "told"]
