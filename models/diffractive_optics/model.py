"""Light that sorts digits: a diffractive network of phase masks (Lin et al. 2018), by the angular-spectrum method."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Real
from gradmc.lpdf import normal

GRID = 16  # pixels of a mask, each of half a wavelength
PITCH, DISTANCE = 0.5, 8.0  # wavelengths
DETECTOR = 4  # pixels of the side of a detector


def transfer_function():
    """What each plane wave gains between two masks: a phase, or decay where it is evanescent."""
    H = np.zeros((GRID, GRID), complex)
    f = np.fft.fftfreq(GRID, PITCH)
    for a in range(GRID):
        for b in range(GRID):
            k2 = 1.0 - f[a] ** 2 - f[b] ** 2
            H[a, b] = np.exp(2j * math.pi * DISTANCE * np.sqrt(complex(k2)))
    return H


H = transfer_function()


def propagate(field):
    """The field on the next plane."""
    return np.fft.ifft2(np.fft.fft2(field) * H)


def intensity(image, phase):
    """Intensity on the detectors' plane behind all masks."""
    field = image + 0j
    for m in range(len(phase)):
        field = propagate(field) * np.exp(1j * phase[m])
    field = propagate(field)
    return np.real(field) ** 2 + np.imag(field) ** 2


def collected(light):
    """Share of the light on each of four detectors, one near each corner."""
    power = np.zeros(4)
    for d in range(4):
        top, left = 2 + (d // 2) * 8, 2 + (d % 2) * 8
        for a in range(DETECTOR):
            for b in range(DETECTOR):
                power[d] += light[top + a, left + b]
    return power / np.sum(power)


@gm.model
def diffractive_optics(phase: Real["mask", 16, 16], *, image: Data["n", 16, 16], digit: Data["n"], mask: int = 3):
    """Masks by which most of the light of digit d falls on detector d; phases are near 0 a priori."""
    lp = normal(phase, 0.0, 2.0)
    for i in range(len(digit)):
        share = collected(intensity(image[i], phase))
        lp += gm.observe("digit", gm.lpdf.categorical_logit(digit[i], 10.0 * share))
    return lp
