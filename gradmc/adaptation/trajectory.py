"""The trajectory length of HMC from all chains: it maximises the change of the estimator of the expected square.

ChEES (Hoffman, Radul & Sountsov 2021, 'An adaptive MCMC scheme for setting trajectory lengths in Hamiltonian Monte
Carlo'): with z the whitened position of a chain, less the mean of all chains, and z' that at the end of its trajectory,
the criterion is E (|z'|^2 - |z|^2)^2 / 4.  Its derivative by the logarithm of the length, at the end of a trajectory of
time t with whitened velocity w', is

    t (|z'|^2 - |z|^2) z'w',

averaged over the chains with their probabilities of acceptance as weights (their equation 10, and the code that belongs
to it).  Adam (Kingma & Ba 2015) climbs it, a step after each transition of warmup; the draws use the mean of the
logarithms over the last 15 %.

The original works on positions that are scaled by a diagonal metric or not at all; here they are whitened by the metric
in force, so that no coordinate decides alone.  The length is the scale of the metric (`gradmc.kernels.chees`).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.adaptation import Adapted
from gradmc.adaptation.pooled import GAIN, Acceptance, Pooled, next_step, pooled_estimate
from gradmc.adaptation.schedule import Schedule, final_start
from gradmc.adaptation.spectrum import Spectrum
from gradmc.kernels.chees import CheesInfo
from gradmc.kernels.kernel import Draw
from gradmc.kernels.metric import DenseMetric, DiagonalMetric, LowRankMetric, Metric
from gradmc.records import record

RATE = 0.025  # of Adam, in the logarithm of the length (Hoffman, Radul & Sountsov 2021)
DECAY = 0.95  # of the mean square of the derivative
LIMITS = (0.05, 50.0)  # of the length, in units of the whitened scale


@record
class Trajectories(Acceptance):
    """The end of the chain's last trajectory, and how far the length is adapted."""

    position: Float[Array, "dim"]
    momentum: Float[Array, "dim"]
    time: Float[Array, ""]
    acceptance: Float[Array, ""]
    log_length: Float[Array, ""]
    mean_log_length: Float[Array, ""]  # in the final phase
    square: Float[Array, ""]  # mean square of the derivative


def whitened(metric: Any, x: np.ndarray) -> np.ndarray:
    """F^-1 x for rows x, (n, dim), and a metric of NumPy arrays."""
    match metric:
        case DiagonalMetric():
            return x / metric.scale
        case LowRankMetric():
            scaled, used = x / metric.scale, int(metric.used)
            vectors, stretch = np.asarray(metric.vectors)[:used], np.asarray(metric.stretch)[:used]
            along = np.einsum("nd,kd->nk", scaled, vectors)
            return scaled + np.einsum("nk,kd->nd", along * (1 / stretch - 1), vectors)
        case DenseMetric():
            return np.linalg.solve(np.asarray(metric.factor), x.T).T
    raise TypeError(f"the metric must be one of gradmc.kernels.metric, got {type(metric).__name__}")


def slope(
    before: np.ndarray, after: np.ndarray, velocity: np.ndarray, time: np.ndarray, acceptance: np.ndarray
) -> float:
    """The derivative of the criterion by the logarithm of the length, from whitened positions and velocities (n, dim).

    Chains whose trajectory ended where nothing is finite, or is certainly rejected, do not count.
    """
    good = np.all(np.isfinite(after), axis=1) & np.isfinite(acceptance) & (acceptance > 0)
    if np.sum(good) < 2:
        return 0.0
    before, after, velocity, weight = before[good], after[good], velocity[good], acceptance[good]
    start = before - np.mean(before, axis=0)
    end = after - np.einsum("n,nd->d", weight, after) / np.sum(weight)
    change = np.sum(end**2, axis=1) - np.sum(start**2, axis=1)
    derivative = time[good] * change * np.sum(end * velocity, axis=1)
    return float(np.sum(weight * derivative) / np.sum(weight))


@dataclasses.dataclass(frozen=True, slots=True)
class TrajectoryLength(Pooled):
    """Adapts the length of the trajectories of `Chees` besides one step size and one metric, for all chains.

    Its settings are those of `Pooled`.
    """

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"], step_size: Float[Array, ""]
    ) -> Adapted:
        """A metric of the chain's own, from the gradient, until the chains adapt together."""
        adapted = Pooled.initial(self, position, gradient, step_size)
        nothing, nowhere = jnp.zeros_like(step_size), jnp.zeros_like(position)
        state = Trajectories(
            **vars(adapted.state),
            position=nowhere,
            momentum=nowhere,
            time=nothing,
            acceptance=nothing,
            log_length=nothing,
            mean_log_length=nothing,
            square=nothing,
        )
        return dataclasses.replace(adapted, state=state)

    def update(
        self, adapted: Adapted, draw: Draw, info: Any, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[Adapted, Bool[Array, ""]]:
        """Note the acceptance and the end of the trajectory."""
        adapted, restart = Pooled.update(self, adapted, draw, info, transition, schedule)
        told: CheesInfo = info
        state = dataclasses.replace(
            adapted.state,
            position=told.position,
            momentum=told.momentum,
            time=told.n_steps.astype(adapted.step.value.dtype) * adapted.step.value,
            acceptance=jnp.where(told.diverging, 0, told.acceptance_rate).astype(adapted.step.value.dtype),
        )
        return dataclasses.replace(adapted, state=state), restart

    def next_update(self, transition: int, warmup: int) -> int | None:
        """After each transition of warmup."""
        return transition + 1 if transition < warmup else None

    def on_host(self, adapted: Any, history: Any, transition: int, warmup: int) -> Adapted:
        """Length, step size and metric of all chains, from arrays with an axis of chains."""
        state: Trajectories = adapted.state
        final, last = transition > final_start(warmup), transition >= warmup
        lack = float(np.sum(state.total) / max(np.sum(state.count), 1)) - self.target_accept
        step = next_step(adapted.step, GAIN * lack, final=final, last=last)
        before = float(np.median(state.log_length))
        derivative = self._slope(adapted, history, transition)
        square = DECAY * float(np.asarray(state.square)[0]) + (1 - DECAY) * derivative**2
        unbiased = square / (1 - DECAY ** max(transition - 1, 1))
        change = RATE * derivative / np.sqrt(unbiased) if unbiased > 0 else 0.0
        log_length = float(np.clip(before + change, *np.log(LIMITS)))
        count = float(np.asarray(step.averaged)[0])
        mean = float(np.asarray(state.mean_log_length)[0])
        mean = mean + (log_length - mean) / count if count > 1 else log_length
        used = mean if last else log_length
        # The step size is in units of the metric, whose scale the length is.
        factor = np.exp(used - before)
        step = dataclasses.replace(step, value=step.value / factor, log_averaged=step.log_averaged - (used - before))
        metric = self._metric(adapted.metric, None if final else pooled_estimate(history, transition), used, factor)
        numbers = {"log_length": used, "mean_log_length": mean, "square": square, "total": 0.0, "count": 0.0}
        fresh = {name: np.full_like(getattr(state, name), value) for name, value in numbers.items()}
        settled = np.ones_like(state.settled)
        return Adapted(metric=metric, step=step, state=dataclasses.replace(state, settled=settled, **fresh))

    def _slope(self, adapted: Any, history: Any, transition: int) -> float:
        """The derivative; 0 before the second transition, and while the chains have metrics of their own."""
        state, rows = adapted.state, history.draws.shape[1]
        if transition < 2 or not np.all(state.settled):
            return 0.0
        metric = jax.tree.map(lambda leaf: leaf[0], adapted.metric)
        start, end = history.draws[:, (transition - 2) % rows], state.position
        centre = np.mean(start, axis=0)
        before, after = (whitened(metric, np.asarray(x - centre, float)) for x in (start, end))
        return slope(before, after, np.asarray(state.momentum, float), state.time, state.acceptance)

    def _metric(self, present: Any, spectrum: Spectrum | None, log_length: float, factor: float) -> Metric:
        """The metric of an estimate, with the length as its scale; else the present one, with its scale changed."""
        name = "factor" if isinstance(present, DenseMetric) else "scale"
        table = getattr(present, name)
        if spectrum is None:
            return dataclasses.replace(present, **{name: table * factor})
        found = self.metric_of(dataclasses.replace(spectrum, scale=spectrum.scale * np.exp(log_length)), table.dtype)
        return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], len(table), axis=0), found)
