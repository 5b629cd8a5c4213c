"""How far draws by batches of the data are off (`gradmc.run.subsampled`), as one of the checks of a run."""

from typing import Any

from gradmc.diagnostics.verdict import Check

BATCH, NOISE, EXCESS = "batch", "gradient_noise", "variance_excess"
"""Attributes of the results: which batches, the noise of a whitened gradient, and what they come to."""

MOST_EXCESS = 0.05
"""Share of a variance up to which the draws pass: 2.5 % of a standard deviation, the error that 800 draws leave."""


def check_batches(tree: Any) -> Check | None:
    """Say that the draws are approximate, and by how much; None where the steps saw all data.

    Args:
        tree: a DataTree.
    """
    excess = tree.attrs.get(EXCESS)
    if excess is None:
        return None
    excess, step = float(excess), float(tree.attrs["step_size"])
    of_step = step**2 / (4 - step**2)
    finding = (
        f"the draws are approximate, by batches of {tree.attrs[BATCH]}: their variances are about {100 * excess:.2g} % "
        "too large"
    )
    if excess <= MOST_EXCESS:
        return Check("batches", None, excess, MOST_EXCESS, finding)
    remedy = "take smaller steps (step_size)" if of_step > excess / 2 else "take larger batches, or smaller steps"
    advice = f"{remedy}; where the posterior is far from normal, control variates do not help: use all data"
    return Check("batches", False, excess, MOST_EXCESS, finding, advice)
