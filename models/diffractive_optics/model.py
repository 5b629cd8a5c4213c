"""Diffractive optics that read digits: phase masks, light between them by its angular spectrum (Lin et al. 2018)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import categorical_logit, half_normal, lognormal, normal

# Lengths in wavelengths. A mask is SIDE x SIDE pixels in the middle of a dark frame, so that nothing wraps around.
SIDE, GRID = 20, 40
FIRST, END = (GRID - SIDE) // 2, (GRID + SIDE) // 2
PITCH, GAP = 0.6, 8.0
MAGNIFY = 2  # pixels for one of a picture
DETECTOR = 4  # pixels on a side
CORNERS = np.array([(1, 1), (1, 8), (1, 15), (8, 0), (8, 5), (8, 11), (8, 16), (15, 1), (15, 8), (15, 15)]) + FIRST
CONTRAST = 20.0

FREQUENCY = np.fft.fftfreq(GRID, PITCH)
FX, FY = FREQUENCY[:, None], FREQUENCY[None, :]
TRANSFER = np.exp(2j * np.pi * GAP * np.sqrt((1.0 - FX**2 - FY**2).astype(complex)))
"""What a gap does to each plane wave; those that are too oblique die away (Goodman, Fourier Optics, section 3.10)."""


def light(picture):
    """The field behind a transparency of 8 x 8 pixels, of power 1."""
    field = np.zeros((GRID, GRID), complex)
    corner = (GRID - 8 * MAGNIFY) // 2
    for r in range(8 * MAGNIFY):
        for c in range(8 * MAGNIFY):
            field[corner + r, corner + c] = picture[r // MAGNIFY, c // MAGNIFY]
    return field / math.sqrt(MAGNIFY**2 * np.sum(picture**2))


def across_gap(field, dx, dy):
    """The field one gap further on, seen from a place that is moved by (dx, dy) pixels."""
    moved = np.exp(2j * np.pi * PITCH * (FX * dx + FY * dy))
    return np.fft.ifft2(np.fft.fft2(field) * TRANSFER * moved)


def powers(picture, mask, shift):
    """The share of the light that falls on each of ten detectors, shape (10,).

    The phases `mask` have the shape (layers, SIDE, SIDE), their shifts in pixels `shift` (layers, 2).
    """
    field, x, y = light(picture), 0.0, 0.0
    for k in range(len(mask)):
        field = across_gap(field, shift[k, 0] - x, shift[k, 1] - y)
        behind = np.zeros((GRID, GRID), complex)
        behind[FIRST:END, FIRST:END] = field[FIRST:END, FIRST:END] * np.exp(1j * mask[k])
        field, x, y = behind, shift[k, 0], shift[k, 1]
    intensity = np.abs(across_gap(field, -x, -y)) ** 2
    found = np.zeros(10)
    for d in range(10):
        r, c = CORNERS[d]
        found[d] = np.sum(intensity[r : r + DETECTOR, c : c + DETECTOR])
    return found


@gm.model
def diffractive_optics(mask: Real["layers", SIDE, SIDE], *, image: Data["n", 8, 8], digit: Data["n"], layers: int = 3):
    """The digit is categorical; the log odds are the light on ten detectors, as shares of all that they get."""
    lp = normal(mask, 0.0, 3.0)
    aligned = np.zeros((layers, 2))
    for i in range(len(digit)):
        power = powers(image[i], mask, aligned)
        lp += gm.observe("digit", categorical_logit(digit[i], CONTRAST * power / np.sum(power)))
    return lp


@diffractive_optics.simulator
def simulate(rng, mask, *, image, digit, layers=3):
    """New digits for the same pictures."""
    new = np.zeros(len(digit), int)
    for i in range(len(digit)):
        power = powers(image[i], mask, np.zeros((layers, 2)))
        p = np.exp(CONTRAST * power / np.sum(power))
        new[i] = rng.choice(10, p=p / np.sum(p))
    return {"digit": new}


@gm.model
def misalignment(
    shift: Real["layer", 2],
    gain: Positive,
    sigma: Positive,
    *,
    mask: Data["layer", SIDE, SIDE],
    image: Data["picture", 8, 8],
    power: Data["picture", 10],
):
    """How far the masks of a built device are from their places (pixels), from what its detectors measure."""
    lp = normal(shift, 0.0, 1.0) + lognormal(gain, 0.0, 0.2) + half_normal(sigma, 0.01)
    for i in range(len(power)):
        lp += gm.observe("power", normal(power[i], gain * powers(image[i], mask, shift), sigma))
    return lp


@misalignment.simulator
def measure(rng, shift, gain, sigma, *, mask, image, power):
    """New measurements of the same pictures."""
    new = np.zeros((len(image), 10))
    for i in range(len(image)):
        new[i] = gain * powers(image[i], mask, shift) + sigma * rng.normal(size=10)
    return {"power": new}
