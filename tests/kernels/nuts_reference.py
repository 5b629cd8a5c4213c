"""NUTS as in the papers: recursive, in plain NumPy, slow; what `gradmc.kernels.nuts` must equal number by number.

Written from Betancourt (2017), appendix A, in the form of Stan's `base_nuts.hpp`: momenta p with an inverse mass
matrix, velocities p# = M^-1 p, the generalised U-turn criterion over every subtree and across the halves of
every subtree, biased progressive sampling between trees.  Within a subtree the next leaf replaces the proposal with its
share of the weight so far: leaf by leaf, which has the same multinomial law as Stan's choices between halves.  The
random bits of each leaf and of the directions come from outside.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tests.kernels.threefry_reference import threefry_2x32

type Density = Callable[[np.ndarray], tuple[float, np.ndarray]]
type Uniforms = Callable[[int], tuple[float, float]]

LEAF, TRAJECTORY = 0, 0xC000_0000


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A point of phase space."""

    q: np.ndarray
    p: np.ndarray
    log_density: float
    gradient: np.ndarray
    energy: float


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Consecutive leaves in the order of their making: first and last momentum, and their sum."""

    first: np.ndarray
    last: np.ndarray
    rho: np.ndarray


@dataclasses.dataclass
class Result:
    """All that a transition decides."""

    draw: Leaf
    backward: Leaf
    forward: Leaf
    depth: int
    n_steps: int
    diverging: bool
    turning: bool
    acceptance_sum: float
    symmetric_sum: float
    max_energy_error: float
    log_weight: float
    rho: np.ndarray
    leaves: list[Leaf]  # of the whole tree without a broken subtree, in the order of time
    doublings: list[list[Leaf]]  # the start, then each complete subtree in the order of its making


class Diverged(Exception):
    """The energy error is too large."""


class Turned(Exception):
    """A subtree has made a U-turn."""


@dataclasses.dataclass
class Nuts:
    """The sampler's settings and, during a transition, its counters."""

    density: Density
    inverse_mass: np.ndarray
    step_size: float
    max_depth: int = 10
    max_energy_error: float = 1000.0

    def transition(self, q: np.ndarray, p: np.ndarray, directions: int, uniforms: Uniforms) -> Result:
        """From one draw to the next; bit d of `directions` is that of doubling d, `uniforms(n)` are those of leaf n."""
        self._uniforms = uniforms
        start = self._leaf(q, p, *self.density(q))
        self._start_energy = start.energy
        self.n_steps, self.acceptance, self.symmetric, self.max_error = 0, 0.0, 0.0, 0.0
        ends = [start, start]
        leaves, doublings = [start], [[start]]
        rho, log_weight, draw, depth = start.p, 0.0, start, 0
        diverging = turning = False
        while depth < self.max_depth and not turning:
            side = (directions >> depth) & 1
            self._moving, self._sign = ends[side], 2 * side - 1
            edge, other = ends[side].p, ends[1 - side].p
            self._subtree_weight, self._proposal, made = -np.inf, None, len(leaves)
            self._made: list[Leaf] = []
            try:
                subtree = self._build(depth)
            except Diverged:
                diverging = True
                ends[side] = self._moving
                break
            except Turned:
                turning = True
                ends[side] = self._moving
                break
            ends[side] = self._moving
            assert len(self._made) == made
            leaves = leaves + self._made if side == 1 else self._made[::-1] + leaves
            doublings.append(self._made)
            depth += 1
            if np.log(self._merge_uniform) < self._subtree_weight - log_weight:
                draw = self._proposal
            turning = (
                self._turns(rho + subtree.rho, other, subtree.last)
                or self._turns(rho + subtree.first, other, subtree.first)
                or self._turns(subtree.rho + edge, edge, subtree.last)
            )
            rho = rho + subtree.rho
            log_weight = np.logaddexp(log_weight, self._subtree_weight)
        return Result(
            draw=draw,
            backward=ends[0],
            forward=ends[1],
            depth=depth,
            n_steps=self.n_steps,
            diverging=diverging,
            turning=turning,
            acceptance_sum=self.acceptance,
            symmetric_sum=self.symmetric,
            max_energy_error=self.max_error,
            log_weight=log_weight,
            rho=rho,
            leaves=leaves,
            doublings=doublings,
        )

    def _build(self, depth: int) -> Stretch:
        if depth == 0:
            return self._step()
        left = self._build(depth - 1)
        right = self._build(depth - 1)
        rho = left.rho + right.rho
        if (
            self._turns(rho, left.first, right.last)
            or self._turns(left.rho + right.first, left.first, right.first)
            or self._turns(right.rho + left.last, left.last, right.last)
        ):
            raise Turned
        return Stretch(first=left.first, last=right.last, rho=rho)

    def _turns(self, rho: np.ndarray, first: np.ndarray, last: np.ndarray) -> bool:
        return not (rho @ self.inverse_mass @ first > 0 and rho @ self.inverse_mass @ last > 0)

    def _step(self) -> Stretch:
        take, self._merge_uniform = self._uniforms(self.n_steps)
        leaf = self._moving = self._leapfrog(self._moving)
        self.n_steps += 1
        error = leaf.energy - self._start_energy
        error = error if np.isfinite(error) else np.inf
        self.acceptance += min(1.0, np.exp(-max(error, 0.0)))
        self.symmetric += 2 * np.exp(-abs(error)) / (1 + np.exp(-abs(error)))
        self.max_error = error if abs(error) > abs(self.max_error) else self.max_error
        if error > self.max_energy_error:
            raise Diverged
        self._subtree_weight = np.logaddexp(self._subtree_weight, -error)
        if self._proposal is None or np.log(take) < -error - self._subtree_weight:
            self._proposal = leaf
        self._made.append(leaf)
        return Stretch(first=leaf.p, last=leaf.p, rho=leaf.p)

    def _leapfrog(self, leaf: Leaf) -> Leaf:
        step = self._sign * self.step_size
        p = leaf.p + step / 2 * leaf.gradient
        q = leaf.q + step * self.inverse_mass @ p
        log_density, gradient = self.density(q)
        return self._leaf(q, p + step / 2 * gradient, log_density, gradient)

    def _leaf(self, q: np.ndarray, p: np.ndarray, log_density: float, gradient: np.ndarray) -> Leaf:
        energy = 0.5 * p @ self.inverse_mass @ p - log_density
        return Leaf(q=q, p=p, log_density=log_density, gradient=gradient, energy=energy)


def counted_uniforms(key: tuple[int, int], transition: int) -> Uniforms:
    """The uniforms of the leaves of a transition, from the counter-based generator."""

    def uniforms(n: int) -> tuple[float, float]:
        first, second = threefry_2x32(key, (transition, LEAF + n))
        return (first + 0.5) / 2**32, (second + 0.5) / 2**32

    return uniforms


def counted_directions(key: tuple[int, int], transition: int) -> int:
    """The directions of a transition."""
    return threefry_2x32(key, (transition, TRAJECTORY))[0]
