"""Check 1: operations whose derivative is 0 or does not exist, on a path from a parameter to the density."""

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
    """Report plateaus, steps, selections, look-ups and stopped gradients; note kinks."""
    activity, _ = subject.activity
    landings = list(activity.landings.values())
    lines = {landing.at.location.line for landing in landings if landing.at.location}
    for landing in landings:
        yield finding(landing.code, _message(landing), location=landing.at.location, parameters=_names(landing))
    for kink in activity.kinks.values():
        if kink.at.location is None or kink.at.location.line not in lines:
            yield finding("kink", _message(kink), location=kink.at.location, parameters=_names(kink))


def _names(landing: Landing) -> tuple[str, ...]:
    return tuple(sorted(landing.parameters))


def _message(landing: Landing) -> str:
    name, of = SPOKEN.get(landing.name, landing.name), " and ".join(_names(landing)) or "a parameter"
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
