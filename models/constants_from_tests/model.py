"""The constants of a program from its tests: by how much each expectation is met becomes the density."""

import sys
from pathlib import Path

import numpy as np

import gradmc as gm
from gradmc import Data, Interval

sys.path.insert(0, str(Path(__file__).parent))
from test_program import expectations

SHARPNESS = 40.0
"""Of the edge of an expectation: its density falls from one to nothing within a tenth of its range."""


def log_met(value, low, high):
    """Log of a smooth step at each end of a range, each so far inside that what lies outside hardly counts."""
    below = SHARPNESS * (value - low) / (high - low) - 4.0
    above = SHARPNESS * (high - value) / (high - low) - 4.0
    return -np.logaddexp(0.0, -below) - np.logaddexp(0.0, -above)


@gm.model
def constants_from_tests(
    reaction: Interval(0.0, 3.0), fade: Interval(0.0, 0.05), wet: Interval(0.0, 1.0), *, weight: Data["test"]
):
    """Constants are as plausible as the tests are far from failing; `weight` can switch a test off."""
    lp = 0.0
    tests = expectations({"reaction": reaction, "fade": fade, "wet": wet})
    for i in range(len(tests)):
        name, value, low, high = tests[i]
        gm.record(name, value)
        lp += gm.observe("weight", weight[i] * log_met(value, low, high))
    return lp
