"""`calibrate`: simulation-based calibration of a model, its sampler and its simulator, with a verdict.

Parameters are drawn from the prior, data are simulated with them, the posterior of these data is sampled, and
the parameters are ranked among the draws. If program, simulator and sampler agree, all ranks are uniform
(Talts et al. 2018, https://arxiv.org/abs/1804.06788; test quantities: Modrák et al. 2023,
https://arxiv.org/abs/2211.02383).
"""

import numbers
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.calibration.replications import PriorDraws, Replication, Wrap, replicate
from gradmc.calibration.uniformity import Uniformity
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.program.binding import BoundModel
from gradmc.program.model import Model

FALSE_ALARM = 0.005
"""Probability that a right model fails, all quantities together (Bonferroni)."""

EXIT_CODE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The outcome of a calibration.

    Attributes:
        model: name of the model.
        ranks: by scalar quantity, the share of posterior draws below the true value, one per replication.
        p_values: by scalar quantity, the p-value of uniform ranks.
        divergences: divergent transitions in all replications.
        prior: the draws of the prior that the data were simulated with, and how far they can be trusted.
        seconds: time taken.
        tree: an ArviZ DataTree with the group `prior_sbc`.
    """

    model: str
    ranks: dict[str, np.ndarray]
    p_values: dict[str, float]
    divergences: int
    prior: PriorDraws
    seconds: float
    tree: Any

    @property
    def replications(self) -> int:
        """How many replications were made."""
        return len(next(iter(self.ranks.values())))

    @property
    def failures(self) -> dict[str, float]:
        """Quantities whose ranks are not uniform, with their p-values, the smallest first."""
        limit = FALSE_ALARM / len(self.p_values)
        return {name: p for name, p in sorted(self.p_values.items(), key=lambda item: item[1]) if p < limit}

    @property
    def passed(self) -> bool:
        """Whether the ranks of all quantities may be uniform."""
        return not self.failures

    @property
    def exit_code(self) -> int:
        """0, or 4 if it did not pass or is not to be relied on."""
        return 0 if self.passed and self.prior.trusted else EXIT_CODE

    def verdict(self) -> str:
        """The outcome in words."""
        made = f"{self.replications} replications, {len(self.ranks)} quantities, {self.seconds:.0f} s"
        note = f" {self.divergences} transitions diverged." if self.divergences else ""
        note += "" if self.prior.trusted else f" {self._doubt()}"
        if self.passed:
            worst = min(self.p_values, key=lambda name: self.p_values[name])
            return (
                f"{self.model} is calibrated: the ranks of all quantities may be uniform "
                f"(smallest p-value {self.p_values[worst]:.2g}, of {worst}; {made}).{note}"
            )
        told = [f"- {name}: p = {p:.2g}, {shape(self.ranks[name])}" for name, p in self.failures.items()]
        more = [f"- and {len(told) - 8} more"] if len(told) > 8 else []
        return "\n".join(
            [f"{self.model} is NOT calibrated ({made}).{note} Ranks that are not uniform:", *told[:8], *more, ADVICE]
        )

    def _doubt(self) -> str:
        return (
            f"Do not rely on that: the parameters that the data were simulated with are no independent draws of the "
            f"prior (R-hat {self.prior.r_hat:.3f} of {self.prior.worst}, smallest ESS {self.prior.ess:.0f} for "
            f"{self.replications} of them). Reparameterise the prior until chains of gm.sample_prior agree."
        )

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "model": self.model,
            "passed": self.passed,
            "replications": self.replications,
            "p_values": dict(self.p_values),
            "failures": list(self.failures),
            "divergences": self.divergences,
            "prior": {
                "r_hat": self.prior.r_hat if np.isfinite(self.prior.r_hat) else None,
                "ess": self.prior.ess if np.isfinite(self.prior.ess) else None,
                "trusted": self.prior.trusted,
            },
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        return self.verdict()

    def __repr__(self) -> str:
        return f"<Calibration: {self.verdict()}>"


ADVICE = (
    "Program, simulator and sampler do not agree. Compare the program's terms with the simulator line by line (scale "
    "or variance? rate or mean?); look for a Jacobian written by hand; run gradmc check. If transitions diverge, "
    "reparameterise. Where simulated data leave several modes, a chain stays in one: sample one such data set with "
    "four chains."
)


@explaining
def calibrate(
    model: Model,
    data: Mapping[str, Any] | None = None,
    *,
    replications: int = 200,
    ranked: int = 63,
    warmup: int = 400,
    seed: int = 0,
    executor: Any = None,
) -> Calibration:
    """Calibrate a model: do its program, its simulator and the sampler agree?

    Args:
        model: a model with a simulator, whose likelihood is marked by `gm.observe`.
        data: the model's data; sizes and covariates come from them, what the simulator returns is replaced.
        replications: data sets to simulate and fit.
        ranked: posterior draws per replication that the true value is ranked among.
        warmup: warmup transitions per replication.
        seed: non-negative integer; the outcome is a function of it.
        executor: runs the replications, as for `gm.sample_many`; None runs them here, one per core.

    Returns:
        Ranks, p-values and verdict.

    Raises:
        UsageError: there is no simulator, or no marked likelihood, or the simulated data are needed to compile.
        ProgramError: program or simulator raised.
        StartError: a replication found no starting point.
    """
    if not isinstance(model, Model):
        raise UsageError(f"expected a model declared with @gm.model, got {type(model).__name__}")
    return calibrate_with(
        model,
        data or {},
        replications=replications,
        ranked=ranked,
        warmup=warmup,
        seed=seed,
        wrap=None,
        executor=executor,
    )


def calibrate_with(
    model: Model,
    data: Mapping[str, Any],
    *,
    replications: int,
    ranked: int,
    warmup: int,
    seed: int,
    wrap: Wrap | None,
    executor: Any = None,
) -> Calibration:
    """As `calibrate`, sampling `wrap(density)` instead of the density: what the tests of calibration do."""
    if not all(isinstance(n, numbers.Integral) for n in (replications, ranked, warmup, seed)) or seed < 0:
        raise UsageError(
            "expected whole numbers of replications, ranked draws and warmup and a seed of at least 0, got "
            f"{replications!r}, {ranked!r}, {warmup!r} and {seed!r}"
        )
    if replications < 20 or ranked < 15 or warmup < 0:
        raise UsageError(
            f"expected at least 20 replications, 15 ranked draws and 0 warmup, got {replications}, {ranked}, {warmup}"
        )
    began = time.perf_counter()
    prior, made = replicate(
        model,
        data,
        replications=replications,
        ranked=ranked,
        warmup=warmup,
        seed=seed,
        wrap=wrap,
        executor=executor,
    )
    shaped = {name: _ranks(made, name, seed) for name in made[0].truth}
    flat = {label: column for name, ranks in shaped.items() for label, column in _scalars(name, ranks)}
    test = Uniformity(replications)
    return Calibration(
        model=model.name,
        ranks=flat,
        p_values={name: test.p_value(column) for name, column in flat.items()},
        divergences=sum(r.divergences for r in made),
        prior=prior,
        seconds=time.perf_counter() - began,
        tree=_tree(model.bind(data), shaped),
    )


def _ranks(made: list[Replication], name: str, seed: int) -> np.ndarray:
    """Randomised ranks in (0, 1): uniform for a right model whatever the number of ranked draws."""
    rng = np.random.default_rng([seed, 1 << 21])
    rows = []
    for r in made:
        below = np.sum(r.draws[name] < r.truth[name], axis=0)
        ties = np.sum(r.draws[name] == r.truth[name], axis=0)
        spot = rng.uniform(size=np.shape(below)) * (ties + 1)
        rows.append((below + spot) / (len(r.draws[name]) + 1))
    return np.array(rows)


def _scalars(name: str, ranks: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if ranks.ndim == 1:
        return [(name, ranks)]
    return [
        (f"{name}[{', '.join(map(str, index))}]", ranks[(slice(None), *index)])
        for index in np.ndindex(*ranks.shape[1:])
    ]


def _tree(bound: BoundModel, ranks: Mapping[str, np.ndarray]) -> Any:
    """The group that ArviZ's plots of calibration read: one chain, a draw per replication."""
    import xarray as xr

    from gradmc.results.attrs import standard_attributes, storable
    from gradmc.results.labels import Labels
    from gradmc.results.tree import draws_dataset

    labels = Labels.of(bound)
    attributes = storable(standard_attributes(labels))
    variables = {name: array[None] for name, array in ranks.items()}
    group = draws_dataset(variables, (0,), labels, attributes)
    return xr.DataTree.from_dict({"prior_sbc": group}, name=bound.model.name)


def shape(ranks: np.ndarray) -> str:
    """What the histogram of ranks looks like, and what that means."""
    middle = float(np.mean((ranks > 0.25) & (ranks < 0.75)))
    mean = float(np.mean(ranks))
    if abs(mean - 0.5) > 2.5 / np.sqrt(12 * len(ranks)):
        return f"the posterior lies too {'high' if mean < 0.5 else 'low'} (mean rank {mean:.2f})"
    if middle < 0.5:
        return f"the posterior is too narrow ({middle:.0%} of the true values in its middle half)"
    return f"the posterior is too wide ({middle:.0%} of the true values in its middle half)"
