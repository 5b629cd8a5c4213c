"""Objects of which each side of a branch changes other attributes, in other orders; attributes that are texts."""

import numpy as np
import pytest

from gradmc.errors import ProgramError
from tests.frontend.laws import agree

X = np.linspace(-1.0, 1.0, 14).round(3)


class Tally:
    def __init__(self):
        self.first, self.second, self.third, self.state = 0.0, 0.0, 1.0, "idle"

    def each_another(self, v, p):
        if v > p:
            self.first += v
        elif v > 0.0:
            self.second += p
        else:
            self.third *= 0.9

    def in_another_order(self, v, p):
        if v > p:
            self.first = 1.0
            self.second += p
        else:
            self.second += v * p
            self.first = 0.5

    def by_name(self, v, p):
        if self.state == "idle":
            if v > -p:
                self.state = "busy"
            self.first += p
        else:
            self.first += v * p
            if self.first > 1.0:
                self.state = "idle"

    def some_by_name(self, v, p):
        if self.state == "idle":
            self.state = "busy" if v > p else "idle"
            self.second += v
        else:
            self.second += v * p


@pytest.mark.parametrize("args", [(0.3, 1.5), (0.7, 0.6)])
@pytest.mark.parametrize("step", ["each_another", "in_another_order", "by_name", "some_by_name"])
def test_compiled_is_plain(step, args):
    def program(p, q, *, x):
        tally = Tally()
        for v in x:
            getattr(tally, step)(v, p)
        return tally.first + q * tally.second + tally.third + (1.0 if tally.state == "idle" else q)

    agree(program, args, {"x": X})


def test_an_attribute_that_only_one_side_makes_is_refused():
    def program(p, *, x):
        tally = Tally()
        if p > 0.0:
            tally.made = p
        return tally.first + tally.made

    with pytest.raises(ProgramError, match="'made' of a Tally is made on one side of the branch only"):
        agree(program, (0.3,), {"x": X})
