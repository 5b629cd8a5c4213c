"""What the run found when it checked itself (`gradmc.selfcheck`), as one of the checks of its draws."""

from typing import Any

from gradmc.diagnostics.verdict import Check

VALUE, GRADIENT = "self_check_value", "self_check_gradient"
AGREES, UNCHECKED = "agrees", "unchecked: "
NO_PROGRAM = "unchecked: not a plain Python program"


def check_own(tree: Any) -> Check | None:
    """Read the outcome from the attributes of the results; None where they have none.

    Args:
        tree: a DataTree.
    """
    value, gradient = (tree.attrs.get(name) for name in (VALUE, GRADIENT))
    if value is None or gradient is None:
        return None
    error = tree.attrs.get(f"{GRADIENT}_error")
    if not gradient.startswith((AGREES, UNCHECKED)):
        advice = "run `gradmc check` or gm.check, and change the line; the chains move along a wrong path until then"
        finding = f"the gradient is not the derivative: {gradient}"
        return Check("self_check", False, error, 0.0, finding, advice, first="mend the gradient")
    if gradient == AGREES and value in (AGREES, NO_PROGRAM):
        what = "the value agrees with plain Python and the gradient" if value == AGREES else "the gradient agrees"
        return Check("self_check", True, error, 0.0, f"{what} with differences")
    parts = [("value", value), ("gradient", gradient)]
    left = [f"its {name} ({text.removeprefix(UNCHECKED)})" for name, text in parts if text != AGREES]
    return Check("self_check", None, error, 0.0, f"the run did not check {' and '.join(left)}")
