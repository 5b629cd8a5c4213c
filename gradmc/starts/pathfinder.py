"""Starting points near where the posterior's mass is, by Pathfinder (Zhang, Carpenter, Gelman & Vehtari 2022).

A *path* is an L-BFGS search for a mode from a random point.  Each of its iterates gives a normal approximation, whose
fit is measured by the evidence lower bound, ELBO = mean of (log density - log approximation) over draws of the
approximation; the best one along the path is the path's own, once its draws have made it better.  So a path that runs
on into a spike of infinite density (a centred funnel) is stopped where a chain would go.

The ELBO also says how much of the mass a path has found: where modes differ, it tells them apart by their mass and
not by their height.  The *pool* of a run are those of its first paths whose ELBO comes near that of the best of them.
Chain k starts from path k, at a draw of its approximation, if the path's ELBO comes near the best too; a path that ends
in a mode with a negligible share, or in a far tail, gives no chain, and its chain takes one from the pool.  Modes of
comparable mass keep theirs, so that R-hat can say that there are several.

Searches that go straight up stop at the first mode on their way, which may be one that a chain would soon leave.  So
as long as the paths keep finding other modes, more of them are run, and these begin where *scouts* come to: short
chains from random points, which the run's own kernel moves over the low ridges between modes (measured on a mixture of
three normals and on a sine of unknown frequency: half and a quarter of such paths find the mode with all of the mass,
of others a quarter and a twentieth or fewer).

The pool is a function of the seed alone, and chain k's choice one of the pool, path k and its own random numbers, so
that its draws do not depend on how many chains there are.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gradmc.arguments import check_whole
from gradmc.density.reach import ATTEMPTS, random_point
from gradmc.starts.asking import Evaluate, Explore, Search, together
from gradmc.starts.lbfgs import Ascent, Iterate, look
from gradmc.starts.normal import NormalApproximation, approximation, by_fisher_divergence
from gradmc.starts.start import SUPERCHAINS, Found, StartingPoint

PATHS = 8  # of the first round, and of each that follows as long as these find other modes
ROUNDS = 4
APART = 10.0  # squared distance of the means per coordinate, in standard deviations of either normal: another mode
MOST_PATHS = SUPERCHAINS  # chains from this one on have no path of their own
MOST_STEPS = 400
STALE = 40  # approximations in a row, none better, before a path ends
NEAR = 5.0  # gain of a step (or one unit per coordinate), above which the path is still on its way
DRAWS_PER_STEP = 5  # for the ELBO of an iterate (Zhang et al. 2022)
DENSE = 10  # iterates are judged one by one, the next ten every second one, and ever more rarely on a long path
DRAWS_PER_PATH = (20, 64)  # at least and at most, for that of a path and for the chains
MOST_REFINEMENTS = 40
LEAST_RISE = 0.5  # of the bound, in nats, for which a refinement is repeated
SPREADS = 4.0  # standard deviations of a normal's log density allowed for
MEDIAN_ERROR = 0.93  # of a normal's median, in interquartile ranges over the root of the number of draws
NEARBY = 0.02  # of the radius of random starts: how far from a given point its path begins, to learn the curvature
NEGLIGIBLE = 10.0  # an ELBO lower by this many nats, 3 standard errors allowed, is a share of 5e-5 of the mass


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """The approximation that a path found.

    Attributes:
        normal: the approximation.
        points: draws of it, (n, dim).
        values: log densities there, (n,); -inf where they are not finite.
        elbo: the evidence lower bound, by the median in place of the mean: in a few coordinates the approximation may
            reach beyond a cliff of the density, where single draws decide the mean.
        error: its standard error.
        top: highest log density on the path.
    """

    normal: NormalApproximation
    points: np.ndarray
    values: np.ndarray
    elbo: float
    error: float
    top: float

    @property
    def useful(self) -> bool:
        """Whether the draws lie no farther below the top than those of a normal.

        Elsewhere the path has run into a spike (a hierarchy whose spread goes to 0), or away: its approximations fit
        what is left behind on the way there, which says nothing of the mass.
        """
        half = self.normal.mean.size / 2
        return self.top - float(np.median(self.values)) <= half + SPREADS * math.sqrt(half) + NEGLIGIBLE

    @property
    def good(self) -> np.ndarray:
        """Rows of the draws that a chain may start from: the upper half in log density."""
        finite = np.flatnonzero(np.isfinite(self.values))
        return finite[np.argsort(-self.values[finite], kind="stable")][: (len(finite) + 1) // 2]


@dataclasses.dataclass(slots=True)
class Counted:
    """An evaluation that counts the gradients for which it was asked."""

    evaluate: Evaluate
    asked: int = 0

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `evaluate`."""
        self.asked += len(points)
        return self.evaluate(points)


type Firsts = Callable[[Sequence[int]], Sequence[np.ndarray | None]]
"""Where the paths of these numbers begin; None for a random point."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pathfinder:
    """Several paths per run; chains start from those that found the mass.

    Args:
        paths: in the pool, at least 1.
    """

    paths: int = PATHS

    def __post_init__(self) -> None:
        check_whole("paths", self.paths, 1, 2**15)

    def find(
        self,
        evaluate: Evaluate,
        radius: np.ndarray,
        seed: int,
        chains: Sequence[int],
        explore: Explore | None = None,
    ) -> Found | None:
        """A point for each chain; None where most paths have no usable approximation."""
        counted = Counted(evaluate)

        def firsts(numbers: Sequence[int]) -> Sequence[np.ndarray | None]:
            if explore is None or numbers[0] < self.paths:
                return [None] * len(numbers)
            points = np.stack([np.random.default_rng([seed, 3 << 32, k]).uniform(-radius, radius) for k in numbers])
            ends, gradients = explore(points, numbers)
            counted.asked += gradients
            return list(ends)

        tried, pool = self._tried(counted, radius, seed, firsts)
        if not pool:
            return None
        rest = [chain for chain in chains if chain not in tried and chain < MOST_PATHS]
        tried |= _run(rest, counted, radius, seed, [None] * len(rest))
        near = _near(tried, _best(pool))
        points = tuple(_point(near, pool, chain, np.random.default_rng([seed, 1 << 32, chain])) for chain in chains)
        return Found(
            points=points,
            gradients=counted.asked,
            note=f"{len(near)} of {len(tried)} paths found the mass",
            another=lambda chain, before: _point(
                {}, pool, chain, np.random.default_rng([seed, 2 << 32, chain, before])
            ),
        )

    def around(
        self, evaluate: Evaluate, radius: np.ndarray, seed: int, chains: Sequence[int], first: np.ndarray
    ) -> Found | None:
        """As `find`, by one path that begins near a given point (dim,); None where it has no usable approximation."""
        counted = Counted(evaluate)
        noise = np.random.default_rng([seed, 4 << 32]).uniform(-radius, radius)
        (path,) = _run([0], counted, radius, seed, [first + NEARBY * noise]).values()
        if path is None or not path.useful:
            return None
        points = tuple(_point({}, {0: path}, k, np.random.default_rng([seed, 1 << 32, k])) for k in chains)
        return Found(points=points, gradients=counted.asked, note="one path around the point that was given")

    def _tried(
        self, evaluate: Evaluate, radius: np.ndarray, seed: int, firsts: Firsts
    ) -> tuple[dict[int, Path | None], dict[int, Path]]:
        """The paths of all rounds, and those of them that found the mass."""
        tried: dict[int, Path | None] = {}
        for _ in range(ROUNDS):
            numbers = range(len(tried), len(tried) + self.paths)
            tried |= _run(numbers, evaluate, radius, seed, firsts(numbers))
            pool = _pool(tried)
            if not pool or not _more_modes([path for path in tried.values() if path is not None and path.useful]):
                break
        return tried, pool

    def pool(self, evaluate: Evaluate, radius: np.ndarray, seed: int) -> tuple[list[NormalApproximation], int]:
        """The approximations of the paths that found the mass, and the number of paths tried.

        Args:
            evaluate, radius, seed: as for `find`.
        """
        tried, pool = self._tried(evaluate, radius, seed, lambda numbers: [None] * len(numbers))
        return [path.normal for path in pool.values()], len(tried)


def _run(
    numbers: Sequence[int],
    evaluate: Evaluate,
    radius: np.ndarray,
    seed: int,
    firsts: Sequence[np.ndarray | None],
) -> dict[int, Path | None]:
    """The paths of these numbers, each from its first point or a random one."""
    searches = [
        _path(np.random.default_rng([seed, number]), radius, first)
        for number, first in zip(numbers, firsts, strict=True)
    ]
    return dict(zip(numbers, together(searches, evaluate), strict=True))


def _more_modes(paths: Sequence[Path]) -> bool:
    """Whether searches that found these suggest that there are modes which none has found.

    Boender & Rinnooy Kan (1987, 'Bayesian stopping rules for multistart global optimization methods'): n searches that
    found w modes let one expect w (n - 1) / (n - w - 2) of them in all.
    """
    count, modes = len(paths), _modes(paths)
    return modes * (count - 1) > (modes + 0.5) * (count - modes - 2)


def _modes(paths: Sequence[Path]) -> int:
    """How many modes the paths found: each is that of the best path that is not in one already."""
    modes: list[NormalApproximation] = []
    for path in sorted(paths, key=lambda path: -path.elbo):
        if not any(_alike(path.normal, mode) for mode in modes):
            modes.append(path.normal)
    return len(modes)


def _alike(a: NormalApproximation, b: NormalApproximation) -> bool:
    return min(a.distance(b.mean), b.distance(a.mean)) <= APART * a.mean.size


def _pool(tried: Mapping[int, Path | None]) -> dict[int, Path]:
    """The paths whose ELBO comes near the best; none where most of them are of no use."""
    useful = {number: path for number, path in tried.items() if path is not None and path.useful}
    return _near(useful, _best(useful)) if 2 * len(useful) >= len(tried) else {}


def _best(paths: Mapping[int, Path]) -> Path:
    return max(paths.values(), key=lambda path: path.elbo - path.error)


def _near(paths: Mapping[int, Path | None], best: Path) -> dict[int, Path]:
    """The useful ones whose share of the mass is not negligible beside that of the best."""
    return {
        number: path
        for number, path in paths.items()
        if path is not None
        and path.useful
        and best.elbo - path.elbo <= NEGLIGIBLE + 3 * math.hypot(best.error, path.error)
    }


def _point(near: Mapping[int, Path], pool: Mapping[int, Path], chain: int, rng: np.random.Generator) -> StartingPoint:
    """Where a chain starts: on its own path, or else on one of the pool."""
    number = chain if chain in near else list(pool)[rng.integers(len(pool))]
    path = near[number] if number in near else pool[number]
    row = path.good[rng.integers(len(path.good))]
    return StartingPoint(position=path.points[row], normal=path.normal, path=number, elbo=path.elbo)


def _path(rng: np.random.Generator, radius: np.ndarray, first: np.ndarray | None = None) -> Search[Path | None]:
    """One path: where it starts, up along it, and its best approximation."""
    place, dim = (yield from _begin(rng, radius, first)), len(radius)
    if place is None:
        return None
    ascent = Ascent(place=place, diagonal=np.ones(dim))
    best: tuple[float, NormalApproximation] | None = None
    stale = judged = passed = 0
    for _ in range(MOST_STEPS):
        moved = yield from ascent.advance()
        if moved and ascent.gain > max(NEAR, dim):
            continue
        passed += 1
        if moved and passed <= judged // DENSE:
            continue
        judged, passed = judged + 1, 0
        normal = approximation(ascent)
        elbo = -math.inf
        if normal is not None:
            sample = yield from _sample(normal, rng, DRAWS_PER_STEP)
            elbo = float(np.median(sample.weights))
        stale += 1
        if normal is not None and (best is None or elbo > best[0]) and elbo > -math.inf:
            best, stale = (elbo, normal), 0
        if not moved or stale >= STALE:
            break
    return None if best is None else (yield from _refined(best[1], ascent.place.log_density, rng))


def _refined(normal: NormalApproximation, top: float, rng: np.random.Generator) -> Search[Path | None]:
    """The path of an approximation, made better by its own draws as long as that raises the bound."""
    path: Path | None = None
    for _ in range(MOST_REFINEMENTS):
        sample = yield from _sample(normal, rng, draws_of(normal.mean.size))
        low, middle, high = np.quantile(sample.weights, (0.25, 0.5, 0.75), method="lower")
        if not math.isfinite(low) or (path is not None and middle <= path.elbo):
            break
        gain = math.inf if path is None else middle - path.elbo
        error = MEDIAN_ERROR * (high - low) / math.sqrt(len(sample.weights))
        top = max(top, float(np.max(sample.values)))
        path = Path(normal, sample.points, sample.values, float(middle), float(error), top)
        better = by_fisher_divergence(sample.points[sample.finite], sample.gradients[sample.finite])
        if better is None or gain < LEAST_RISE:
            break
        normal = better
    return path


def draws_of(dim: int) -> int:
    """How many draws of a path's approximation: enough to see all directions of a small space."""
    return int(np.clip(dim + 10, *DRAWS_PER_PATH))


def _begin(rng: np.random.Generator, radius: np.ndarray, first: np.ndarray | None) -> Search[Iterate | None]:
    """A first point with finite density and gradient: `first`, or a random one."""
    for attempt in range(ATTEMPTS):
        random = random_point(rng, radius, len(radius), attempt)
        place = yield from look(random if first is None or attempt else first)
        if place.finite:
            return place
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """Draws of an approximation, with the density there.

    Attributes:
        points: (n, dim).
        values: log densities, -inf where they or the gradients are not finite.
        gradients: (n, dim).
        weights: by how much the log densities exceed the approximation's own.
    """

    points: np.ndarray
    values: np.ndarray
    gradients: np.ndarray
    weights: np.ndarray

    @property
    def finite(self) -> np.ndarray:
        """Which are."""
        return np.isfinite(self.values)


def _sample(normal: NormalApproximation, rng: np.random.Generator, count: int) -> Search[_Sample]:
    points, own = normal.draw(rng.standard_normal((count, normal.mean.size)))
    values, gradients = yield points
    finite = np.isfinite(values) & np.all(np.isfinite(gradients), axis=1)
    values = np.where(finite, values, -np.inf)
    return _Sample(points=points, values=values, gradients=gradients, weights=values - own)
