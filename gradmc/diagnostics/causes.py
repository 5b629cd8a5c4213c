"""What to mend first: where one finding explains others, they say so instead of advice that would not help.

More draws do not help chains in a funnel, and smaller steps do not where the gradient is wrong.
"""

from collections.abc import Sequence
from dataclasses import replace

from gradmc.diagnostics.verdict import Check

CONSEQUENCES = {
    "self_check": ("acceptance", "divergences", "r_hat", "ess", "bfmi", "tree_depth"),
    "acceptance": ("divergences", "r_hat", "ess", "bfmi", "tree_depth"),
    "divergences": ("acceptance", "r_hat", "ess", "bfmi", "tree_depth"),
    "r_hat": ("ess",),
}
"""By check, the deepest first: which checks fail for no other reason, if it has found one (`Check.first`)."""


def told(checks: Sequence[Check]) -> list[Check]:
    """The checks, where those that fail in consequence of the deepest cause advise to mend that first."""
    failed = {check.name: check for check in checks if check.passed is False}
    cause = next((failed[name] for name in CONSEQUENCES if name in failed and failed[name].first), None)
    if cause is None:
        return list(checks)
    advice = f"first {cause.first}: this may be no more than a consequence"
    return [
        replace(check, advice=advice) if check.passed is False and check.name in CONSEQUENCES[cause.name] else check
        for check in checks
    ]
