"""Rules that stop a run before all draws are made.

A rule looks at the draws of all chains between chunks, with ArviZ's estimators. Stopping when an estimate
crosses a bound favours runs in which the estimate is too good by chance; the remedy is to look rarely: first
after `MIN_DRAWS` draws per chain (`FEWEST_DRAWS` of many chains), then each time the number of draws has grown by
`GROWTH`. Coverage of intervals stays nominal to the accuracy of simulation (see `docs/stopping.md`).
"""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradmc.arguments import check_real
from gradmc.errors import UsageError

MIN_DRAWS = 100
FEWEST_DRAWS = 8
"""With superchains, which need no long chains."""

GROWTH = 1.25
SHARE = 0.1
"""Largest share of the run time that looking at the draws may take."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What has to be reached; None and {} ask for nothing.

    Args:
        ess: smallest bulk and tail effective sample size of any quantity.
        r_hat: largest R-hat of any quantity.
        mcse: largest Monte Carlo standard error of the mean, by variable.
        seconds: time budget of this process, compiling included.
    """

    ess: float | None = None
    r_hat: float | None = None
    mcse: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, low in (("ess", 0.0), ("r_hat", 1.0), ("seconds", 0.0)):
            if (value := getattr(self, name)) is not None:
                check_real(name, value, low, None)
        if not isinstance(self.mcse, Mapping):
            raise UsageError(f"mcse must map names of variables to errors, such as {{'mu': 0.05}}; got {self.mcse!r}")
        for name, value in self.mcse.items():
            check_real(f"mcse of {name}", value, 0.0, None)

    @classmethod
    def of(cls, given: "Targets | Mapping[str, Any] | None") -> "Targets":
        """Targets as they are, or from a dictionary with these names.

        Raises:
            UsageError: it is something else, or has other names.
        """
        if given is None or isinstance(given, Targets):
            return given or cls()
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(given, Mapping) or not set(given) <= set(known):
            raise UsageError(
                f"stop must be gm.Targets(...), or a dictionary with some of {', '.join(known)}; got {given!r}"
            )
        return cls(**given)

    @property
    def any(self) -> bool:
        """Whether there is anything to stop for."""
        return self.on_draws or self.seconds is not None

    @property
    def on_draws(self) -> bool:
        """Whether there is anything to reach but a time budget."""
        return self.ess is not None or self.r_hat is not None or bool(self.mcse)


@dataclass(frozen=True, slots=True)
class Reached:
    """The estimates at one look."""

    draws: int
    ess: float
    r_hat: float
    mcse: Mapping[str, float]

    def satisfies(self, targets: Targets) -> bool:
        """Whether every target is reached; an estimate that does not exist reaches nothing."""
        enough = targets.ess is None or self.ess >= targets.ess
        agree = targets.r_hat is None or self.r_hat <= targets.r_hat
        exact = all(self.mcse.get(name, np.inf) <= bound for name, bound in targets.mcse.items())
        return bool(enough and agree and exact)


@dataclass(slots=True)
class Monitor:
    """Looks at the draws now and then.

    Args:
        targets: what has to be reached.
        superchains: how many the chains make up, for nested R-hat; 0 for the usual one.
        chains: how many there are, where that is known.
    """

    targets: Targets
    superchains: int = 0
    chains: int = 0
    began: float = field(default_factory=time.monotonic)
    next_draws: int = 0
    not_before: float = 0.0
    last: Reached | None = None

    def __post_init__(self) -> None:
        self.next_draws = first_look(self.superchains)

    def out_of_time(self) -> bool:
        """Whether the time budget is used up."""
        return self.targets.seconds is not None and time.monotonic() - self.began >= self.targets.seconds

    def due(self, draws: int) -> bool:
        """Whether to look, with so many draws of every chain."""
        return self.targets.on_draws and draws >= self.next_draws and time.monotonic() >= self.not_before

    def look(self, posterior: Mapping[str, np.ndarray]) -> bool:
        """Look at the draws (chain, draw, ...) of all variables; tells whether all targets are reached."""
        before = time.monotonic()
        if self.superchains and any(len(values) != self.chains for values in posterior.values()):
            return False  # some chains lag so far behind that they are not shown
        self.last = estimate(posterior, self.targets, self.superchains)
        after = time.monotonic()
        self.next_draws = int(self.last.draws * GROWTH) + 1
        self.not_before = after + (after - before) / SHARE
        return self.last.satisfies(self.targets)


def first_look(superchains: int) -> int:
    """Draws of every chain before they are judged for the first time."""
    return FEWEST_DRAWS if superchains else MIN_DRAWS


def _r_hat(draws: np.ndarray, superchains: int) -> Any:
    """R-hat of quantities, shape (quantity, chain, draw)."""
    from arviz_stats.base.array import array_stats

    if not superchains:
        return array_stats.rhat(draws)
    whole = draws.shape[1] // superchains * superchains
    return array_stats.rhat_nested(draws[:, :whole], superchain_ids=np.arange(whole) % superchains)


def estimate(posterior: Mapping[str, np.ndarray], targets: Targets, superchains: int = 0) -> Reached:
    """The worst estimates over all scalar quantities that vary."""
    from arviz_base import rcParams
    from arviz_stats.base.array import array_stats

    tail = float(rcParams["stats.ci_prob"])

    ess, r_hat, mcse = [np.inf], [-np.inf], dict.fromkeys(targets.mcse, np.inf)
    draws = 0
    for name, values in posterior.items():
        draws = values.shape[1]
        flat = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
        flat = flat[np.ptp(flat, axis=(1, 2)) > 0]
        if not len(flat):
            continue
        with np.errstate(all="ignore"):
            if targets.ess is not None:
                ess.append(_worst(np.min, array_stats.ess(flat, method="bulk")))
                ess.append(_worst(np.min, array_stats.ess(flat, method="tail", prob=tail)))
            if targets.r_hat is not None:
                r_hat.append(_worst(np.max, _r_hat(flat, superchains)))
            if name in targets.mcse:
                mcse[name] = _worst(np.max, array_stats.mcse(flat, method="mean"))
    return Reached(draws=draws, ess=min(ess), r_hat=max(r_hat), mcse=mcse)


def smallest_ess(posterior: Mapping[str, np.ndarray], limit: int = 50) -> float:
    """The smallest bulk effective sample size of the first `limit` scalar quantities that vary."""
    from arviz_stats.base.array import array_stats

    chosen: list[np.ndarray] = []
    for values in posterior.values():
        flat = values.reshape(*values.shape[:2], -1)
        chosen += [flat[:, :, i] for i in range(min(flat.shape[2], limit - len(chosen)))]
    varying = [values for values in chosen if np.ptp(values) > 0]
    with np.errstate(all="ignore"):
        ess = [float(np.asarray(array_stats.ess(values, method="bulk"))) for values in varying]
    return min(ess, default=np.nan)


def _worst(reduce: Any, values: Any) -> float:
    worst = float(reduce(values))
    if np.isnan(worst):
        return 0.0 if reduce is np.min else float("inf")
    return worst
