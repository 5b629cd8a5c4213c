"""Differentiable: operations whose derivative is not that of the function, or does not exist everywhere, on a path from
a parameter to the density. Whether those with steps make it jump, `gradmc.check.discontinuities` finds out.
"""

from collections.abc import Iterator

from gradmc.check.activity import Landing
from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject

SPOKEN = {
    "floor_divide": "//",
    "remainder": "%",
    "rem": "%",
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "eq": "==",
    "ne": "!=",
    "reduce_max": "max",
    "reduce_min": "min",
    "clamp": "clip",
}


def differentiability(subject: Subject) -> Iterator[Finding]:
    """Report stopped gradients; note kinks."""
    activity, _ = subject.activity
    for key, landing in activity.landings.items():
        if key not in activity.suspects:
            yield finding(landing.code, told(landing), location=landing.at.location, parameters=names_of(landing))
    lines = {landing.at.location.line for landing in activity.landings.values() if landing.at.location}
    for kink in activity.kinks.values():
        if kink.at.location is None or kink.at.location.line not in lines:
            yield finding("kink", told(kink), location=kink.at.location, parameters=names_of(kink))


def names_of(landing: Landing) -> tuple[str, ...]:
    """The parameters concerned."""
    return tuple(sorted(landing.parameters))


def told(landing: Landing) -> str:
    """What the operation is, in words."""
    name, of = SPOKEN.get(landing.name, landing.name), " and ".join(names_of(landing)) or "a parameter"
    match landing.code:
        case "step":
            return f"the comparison `{name}` of {of} is used as a number"
        case "selection":
            return f"{name} of values that depend on {of} is used in the density"
        case "lookup":
            return f"a subscript depends on {of} (through {name})"
        case "stop-gradient":
            return f"the gradient with respect to {of} is stopped on its way to the density"
        case "sawtooth":
            return f"`{name}` of a value that depends on {of} jumps"
        case "kink":
            return f"{name} of values that depend on {of} has a corner"
    return f"`{name}` of a value that depends on {of} has derivative 0"
