"""Stopping distance of a car: a plain program, three of whose constants nobody has written down."""

GRAVITY = 9.81  # m/s^2


def stopping_distance(speed, friction, constants, wet=False):
    """Metres from seeing an obstacle to standing still.

    Args:
        speed: km/h.
        friction: of the tyres on the dry road.
        constants: `reaction`, seconds before the brakes are pressed; `fade`, by which brakes lose their force per m/s
            of speed; `wet`, the share of the friction that a wet road leaves.
        wet: whether the road is wet.
    """
    v = speed / 3.6
    distance = v * constants["reaction"]
    if wet:
        friction = friction * constants["wet"]
    step = 0.05
    while v > 0.0:
        braking = friction * GRAVITY / (1.0 + constants["fade"] * v)
        if braking * step > v:
            return distance + 0.5 * v * v / braking
        distance += v * step - 0.5 * braking * step * step
        v -= braking * step
    return distance
