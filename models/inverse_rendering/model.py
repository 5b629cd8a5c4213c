"""A scene from its picture: two discs, one before the other, drawn with hard edges and with covered areas of pixels."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive
from gradmc.lpdf import half_normal, normal, uniform


def covered(distance, along_x, along_y):
    """Share of a unit pixel on the inner side of a straight edge.

    Args:
        distance: of the pixel's centre from the edge, positive inside.
        along_x, along_y: the unit vector at right angles to the edge.

    The share is the integral over the width of the pixel as the edge sees it, a trapezium: the box of one side blurred
    by that of the other.
    """
    wide, narrow = max(abs(along_x), abs(along_y)), max(min(abs(along_x), abs(along_y)), 1e-3)
    area = 0.0
    for corner, sign in ((0.5, 1.0), (-0.5, -1.0)):
        for other, opposite in ((0.5, 1.0), (-0.5, -1.0)):
            reach = max(distance + corner * wide + other * narrow, 0.0)
            area += sign * opposite * reach * reach
    return min(max(area / (2.0 * wide * narrow), 0.0), 1.0)


def disc_cover(x, y, centre_x, centre_y, radius):
    """Share of the pixel at (x, y) that a disc covers, its edge taken as straight within the pixel."""
    dx, dy = x - centre_x, y - centre_y
    r = math.sqrt(dx * dx + dy * dy + 1e-9)
    return covered(radius - r, dx / r, dy / r)


def priors(x, y, radius, brightness, background, sigma, size):
    lp = half_normal(sigma, 0.1) + uniform(background, 0.0, 1.0)
    for k in range(2):
        lp += normal(x[k], size / 2, size / 4) + normal(y[k], size / 2, size / 4)
        lp += normal(radius[k], size / 5, size / 10) + uniform(brightness[k], 0.0, 1.0)
    return lp


@gm.model
def inverse_rendering(
    x: Interval(0.0, "size")[2],
    y: Interval(0.0, "size")[2],
    radius: Interval(1.0, "size")[2],
    brightness: Interval(0.0, 1.0)[2],
    background: Interval(0.0, 1.0),
    sigma: Positive,
    *,
    picture: Data["row", "column"],
    size: float,
):
    """Pixels show the background, before it disc 0, before that disc 1, each by the area that it covers."""
    lp = priors(x, y, radius, brightness, background, sigma, size)
    for i in range(len(picture)):
        for j in range(len(picture[0])):
            value = background
            for k in range(2):
                share = disc_cover(j + 0.5, i + 0.5, x[k], y[k], radius[k])
                value += share * (brightness[k] - value)
            lp += gm.observe("picture", normal(picture[i, j], value, sigma))
    return lp


@gm.model
def hard_edges(
    x: Interval(0.0, "size")[2],
    y: Interval(0.0, "size")[2],
    radius: Interval(1.0, "size")[2],
    brightness: Interval(0.0, 1.0)[2],
    background: Interval(0.0, 1.0),
    sigma: Positive,
    *,
    picture: Data["row", "column"],
    size: float,
):
    """The same by one ray through the centre of each pixel: what it hits first is seen, and edges jump."""
    lp = priors(x, y, radius, brightness, background, sigma, size)
    for i in range(len(picture)):
        for j in range(len(picture[0])):
            value = background
            for k in range(2):
                if (j + 0.5 - x[k]) ** 2 + (i + 0.5 - y[k]) ** 2 < radius[k] ** 2:
                    value = brightness[k]
            lp += gm.observe("picture", normal(picture[i, j], value, sigma))
    return lp


def render(x, y, radius, brightness, background, rows, columns):
    """The picture without noise."""
    picture = np.full((rows, columns), background, float)
    for i in range(rows):
        for j in range(columns):
            for k in range(2):
                share = disc_cover(j + 0.5, i + 0.5, x[k], y[k], radius[k])
                picture[i, j] += share * (brightness[k] - picture[i, j])
    return picture


@inverse_rendering.simulator
def simulate(rng, x, y, radius, brightness, background, sigma, *, picture, size):
    """A new picture of the scene."""
    rows, columns = np.shape(picture)
    clean = render(x, y, radius, brightness, background, rows, columns)
    return {"picture": clean + sigma * rng.normal(size=clean.shape)}
