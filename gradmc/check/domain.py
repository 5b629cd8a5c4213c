"""Support: is the density positive on the declared supports, and does it depend on every parameter?"""

from collections.abc import Iterator, Sequence

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.ends import Region, region
from gradmc.check.finding import Finding
from gradmc.check.probes import coordinates
from gradmc.check.subject import Subject
from gradmc.density.base import Part
from gradmc.program.binding import known_bound
from gradmc.program.support import Support

PROPER = ("UnitInterval", "Simplex", "CholeskyCorr", "Correlation", "UnitVector", "Circular", "Interval")
KNOWN = {
    (0.0, np.inf): ("Positive", "0 for negative values"),
    (-np.inf, 0.0): ("Negative", "0 for positive values"),
    (0.0, 1.0): ("UnitInterval", "0 outside of (0, 1)"),
}
DECLARED = {"Positive": (0.0, np.inf), "Negative": (-np.inf, 0.0), "UnitInterval": (0.0, 1.0)}
MOST_TOLD = 6


def supports(subject: Subject) -> Iterator[Finding]:
    """Report parameters on which the density does not depend, and supports that are declared too wide."""
    yield from _unused(subject)
    yield from too_wide(subject)


def _unused(subject: Subject) -> Iterator[Finding]:
    activity, status = subject.activity
    stepped = {name for landing in activity.landings.values() for name in landing.parameters}
    declared = () if subject.density.bound is None else subject.bound.parameters
    for part in subject.parts:
        name = part.name
        if name not in status.parameters:
            if any(_feeds(parameter.support, name) for parameter in declared):
                continue
            yield _unused_finding(subject, name, f"the density does not depend on {name}")
        elif name not in stepped and part.support == "Real":
            still = _still(subject, name)
            if still:
                told = ", ".join(still[:3]) + (f" and {len(still) - 3} more" if len(still) > 3 else "")
                yield _unused_finding(subject, name, f"the density does not depend on {told}")


def _feeds(support: object, name: str) -> bool:
    """Whether an end of a support is computed from a parameter."""
    from gradmc.program.support import bound_names

    return any(name in bound_names(bound) for bound in getattr(support, "bounds", ()))


def _unused_finding(subject: Subject, name: str, message: str) -> Finding:
    proper = False
    if subject.density.bound is not None:
        support = next(p for p in subject.bound.parameters if p.name == name).support
        ends = [e for e in support.bounds if isinstance(e, float | int) and np.isinf(e)]
        proper = support.label.startswith(PROPER) and not ends
    code = "unused-parameter" if proper else "flat-parameter"
    return finding(code, message, location=subject.parameter_line(name), parameters=(name,))


def _still(subject: Subject, name: str) -> list[str]:
    """Coordinates of a parameter along which the gradient is 0 at every point."""
    points = subject.starts.where(subject.starts.good)
    if len(points.x) < 8:
        return []
    return [
        coordinate
        for i, coordinate in enumerate(subject.density.names)
        if subject.parameter_of(i) == name and not np.any(points.gradient[:, i])
    ]


def too_wide(subject: Subject) -> Iterator[Finding]:
    """Parameters beyond some value of which the density is 0 or not defined, whatever the others are.

    What is advised to be declared instead is proved first, for every element: else the advice would change the
    posterior (`gradmc.check.ends`).
    """
    chosen = coordinates(subject)
    for part in subject.parts:
        found = region(subject, part, [i for i in chosen if part.start <= i < part.start + part.size])
        if found is None:
            continue
        if subject.density.bound is None:
            subject.narrowed[part.name] = found.low, found.high
            yield _too_wide_elsewhere(subject, part, found)
            continue
        support = next(p for p in subject.bound.parameters if p.name == part.name).support
        if support.event or part.size != np.prod(part.shape, dtype=int):
            if support.label == "Ordered" and _is_positive(part, found):
                subject.narrowed[part.name] = np.zeros(part.shape), np.full(part.shape, np.inf)
                where = "0 for negative values"
                yield _too_wide_finding(subject, part, support, where, "PositiveOrdered")
            continue  # no other element-wise ends make a support of a vector: that is a hole
        low, high = (ends.reshape(part.shape) for ends in (found.low, found.high))
        subject.narrowed[part.name] = low, high
        if found.uniform:
            yield _uniform_finding(subject, part, support, float(found.low[0]), float(found.high[0]))
        else:
            yield _elements_finding(subject, part, support, found)


def _is_positive(part: Part, found: Region) -> bool:
    """Whether the ends of an ordered vector are those of a positive one: its least element ends at 0."""
    free = np.isinf(found.low[1:]).all() and np.isinf(found.high).all()
    return len(part.shape) == 1 and bool(free) and float(found.low[0]) == 0.0


def _uniform_finding(subject: Subject, part: Part, support: Support, low: float, high: float) -> Finding:
    """All elements have the same ends, which become those of the support."""
    low_code, high_code = _ends_to_declare(support, low, high)
    if low_code is None or high_code is None:
        where = f"0 outside of ({low:g}, {high:g})"
        return _too_wide_finding(subject, part, support, where, None)
    known = KNOWN.get((low_code, high_code)) if isinstance(low_code, float) and isinstance(high_code, float) else None
    better, where = known or (
        f"Interval({_code(low_code)}, {_code(high_code)})",
        f"0 outside of ({_plain(low_code)}, {_plain(high_code)})",
    )
    return _too_wide_finding(subject, part, support, where, better)


def _ends_to_declare(support: Support, low: float, high: float) -> list[float | str | None]:
    """Ends that were found, and where there were none those that are declared; None for one that cannot be written."""
    bounds = support.bounds or DECLARED.get(support.label, (-np.inf, np.inf))
    ends: list[float | str | None] = []
    for found, bound in zip((low, high), bounds, strict=True):
        if np.isfinite(found):
            ends.append(found)
        else:
            ends.append(float(bound) if isinstance(bound, int | float) else bound if isinstance(bound, str) else None)
    return ends


def _too_wide_finding(subject: Subject, part: Part, support: Support, where: str, better: str | None) -> Finding:
    """The finding, with the support to declare where there is one."""
    advice = f": declare it {better}" if better else ""
    return finding(
        "support",
        f"{part.name} is declared {support!r}, but the density is {where}{advice}",
        location=subject.parameter_line(part.name),
        parameters=(part.name,),
        remedy=f"Declare the support that the density has:\n    {part.name}: {better}{_brackets(support)}"
        if better
        else "Declare the support that the density has, and keep the end that is declared.",
    )


def _elements_finding(subject: Subject, part: Part, support: Support, found: Region) -> Finding:
    """The elements have different ends, so that no one interval is the support of all."""
    names = subject.density.names[part.start : part.start + part.size]
    remedy = "No one interval is the support of all elements. "
    whole = _with_declared(subject, part, support, found)
    if whole is None:
        remedy += "Make parameters of their own of the elements with ends, and keep the end that is declared."
    elif np.all(np.isfinite([whole.low, whole.high])):
        low, high = f"{part.name}_low", f"{part.name}_high"
        told = [f"{n} = {ends.reshape(part.shape).tolist()}" for n, ends in ((low, whole.low), (high, whole.high))]
        remedy += (
            f"The ends may be arrays among the data, {' and '.join(told)}:\n"
            f'    {part.name}: Interval("{low}", "{high}"){_brackets(support)}'
        )
    else:
        remedy += "Make parameters of their own of those with ends:\n    " + "\n    ".join(_split(names, whole))
    return finding(
        "support",
        f"{part.name} is declared {support!r}, but the density is 0 unless {_told(names, found)}",
        location=subject.parameter_line(part.name),
        parameters=(part.name,),
        remedy=remedy,
    )


def _with_declared(subject: Subject, part: Part, support: Support, found: Region) -> Region | None:
    """The ends that were found, and where there were none those that are declared; None if these are not known."""
    bounds = support.bounds or DECLARED.get(support.label, (-np.inf, np.inf))
    declared = [known_bound(bound, subject.bound.data) for bound in bounds]
    if any(bound is None for bound in declared):
        return None
    low, high = (np.ravel(np.broadcast_to(np.asarray(bound, float), part.shape)) for bound in declared)
    return Region(np.where(np.isinf(found.low), low, found.low), np.where(np.isinf(found.high), high, found.high))


def _brackets(support: Support) -> str:
    """The shape of a support as it is written in a program."""
    sizes = ", ".join(f'"{s.text}"' if s.terms else s.text for s in support.shape)
    return f"[{sizes}]" if sizes else ""


def _told(names: Sequence[str], found: Region) -> str:
    """The ends of the elements that have any, in words."""
    told = [f"{n} is in {_range(a, b)}" for n, a, b in zip(names, found.low, found.high, strict=True)]
    told = [text for text in told if not text.endswith("(-inf, inf)")]
    return ", ".join(told[:MOST_TOLD]) + (f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else "")


def _range(low: float, high: float) -> str:
    return f"({low:g}, {high:g})"


def _split(names: Sequence[str], found: Region) -> list[str]:
    """Declarations of the elements that have ends, as scalars."""
    lines = []
    for name, low, high in zip(names, found.low, found.high, strict=True):
        if np.isfinite(low) or np.isfinite(high):
            plain = name.replace("[", "_").replace(", ", "_").replace("]", "")
            better = KNOWN.get((float(low), float(high)), (f"Interval({_code(low)}, {_code(high)})",))[0]
            lines.append(f"{plain}: {better}    # for {name}")
    return lines[:MOST_TOLD]


def _too_wide_elsewhere(subject: Subject, part: Part, found: Region) -> Finding:
    """As `_too_wide_finding`, for a density that does not come from a gradmc program."""
    names = subject.density.names[part.start : part.start + part.size]
    if found.uniform:
        low, high = float(found.low[0]), float(found.high[0])
        _, where = KNOWN.get((low, high), ("", f"0 outside of ({low:g}, {high:g})"))
        message = f"the density is {where} of {part.name}, in coordinates that should be free"
    else:
        message = f"the density is 0 unless {_told(names, found)}, in coordinates that should be free"
    return finding(
        "support",
        message,
        location=subject.parameter_line(part.name),
        parameters=(part.name,),
        remedy="Let the function take an unconstrained coordinate, transform it, and add the log of the derivative "
        "(in a numpyro model: give the site a distribution with that support):\n    x = jnp.exp(z); return "
        "log_density(x) + z",
    )


def _code(end: float | str) -> str:
    """An end as it is written in a program."""
    if isinstance(end, str):
        return f'"{end}"'
    return f"{'-' if end < 0 else ''}math.inf" if np.isinf(end) else f"{end:.10g}"


def _plain(end: float | str) -> str:
    return end if isinstance(end, str) else f"{end:.10g}"
