"""Titration of a weak acid: the pH is where the charges balance, found by a solver inside the program."""

import math

import numpy as np
from scipy.optimize import brentq

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal

WATER = 1e-14  # [H+][OH-] at 25 degrees Celsius, mol^2 / l^2
ACID, BASE = 25.0, 0.1  # ml of acid; mol/l of the sodium hydroxide added


def excess_charge(pH, added, concentration, pKa):
    """Positive less negative charge, mol/l, in the diluted mixture: Na+ and H+ against OH- and the acid's anion."""
    hydrogen, constant = 10.0**-pH, 10.0**-pKa
    volume = ACID + added
    sodium = BASE * added / volume
    acid = concentration * ACID / volume
    return sodium + hydrogen - WATER / hydrogen - acid * constant / (constant + hydrogen)


@gm.model
def equilibrium(pKa: Real, concentration: Positive, sigma: Positive, *, added: Data["n"], pH: Data["n"]):
    """The pH after each addition of base (ml), measured with an error `sigma`."""
    lp = normal(pKa, 5.0, 1.0) + lognormal(concentration, math.log(0.1), 0.5) + half_normal(sigma, 0.2)
    for i in range(len(added)):
        balanced = brentq(excess_charge, 0.0, 14.0, args=(added[i], concentration, pKa), xtol=1e-12)
        lp += gm.observe("pH", normal(pH[i], balanced, sigma))
    return lp


@equilibrium.simulator
def simulate(rng, pKa, concentration, sigma, *, added, pH):
    """New readings of the pH."""
    balanced = [brentq(excess_charge, 0.0, 14.0, args=(v, concentration, pKa), xtol=1e-12) for v in added]
    return {"pH": np.array(balanced) + sigma * rng.normal(size=len(added))}
