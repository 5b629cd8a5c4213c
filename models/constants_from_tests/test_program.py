"""What the program has to do. Each expectation is a range; under pytest it is an assertion.

The constants under test come from the file that the environment variable CONSTANTS names, else they are those here.
"""

import json
import os
from pathlib import Path

from program import stopping_distance

CONSTANTS = {"reaction": 1.0, "fade": 0.005, "wet": 0.7}


def expectations(constants):
    """Name, value, least and largest value of each expectation."""
    return [
        ("town", stopping_distance(50, 0.8, constants), 25.0, 28.0),
        ("town_wet", stopping_distance(50, 0.8, constants, wet=True), 29.0, 32.5),
        ("walking_pace", stopping_distance(7, 0.8, constants), 1.9, 2.5),
        ("country_road", stopping_distance(100, 0.8, constants), 78.0, 88.0),
        ("motorway", stopping_distance(130, 0.8, constants), 124.0, 140.0),
        ("ice", stopping_distance(30, 0.1, constants), 40.0, 48.0),
    ]


def test_expectations():
    path = os.environ.get("CONSTANTS")
    constants = json.loads(Path(path).read_text()) if path else CONSTANTS
    for name, value, low, high in expectations(constants):
        assert low < value < high, f"{name}: {value} is not between {low} and {high}"
