"""The No-U-Turn sampler as a state machine: one leapfrog step per tick.

Hoffman & Gelman (2014); multinomial sampling, biased progressive merging and the generalised U-turn criterion of
Betancourt (2017, 'A conceptual introduction to Hamiltonian Monte Carlo', A.4), with the additional checks across the
two halves of every (sub)tree, as in Stan's `base_nuts`.  The tree is not built by recursion: the leaves of a subtree
are visited in order, and O(log) *checkpoints* suffice for every U-turn check (Phan, Pradhan & Jankowiak 2019).

Vocabulary
  tree      the trajectory so far; doubling it adds a *subtree* of as many leaves at one end
  moving    the end that grows; `other` is the opposite end
  leaf      the number of a point within its subtree, from 0
  rho       a sum of momenta over consecutive leaves

Checkpoints.  Row popcount(n) is written at leaf n.  When leaf b, with t trailing one bits, is reached, the subtrees of
2, 4, .., 2^t leaves that end at b are complete; their first leaves lie in rows popcount(b) - 1, .., popcount(b) - t,
and the first leaf of the right half of each lies one row above its own.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from gradmc.arguments import check_real, check_whole
from gradmc.kernels.branching import branch, pick, read_rows, write_rows
from gradmc.kernels.hamiltonian import Hamiltonian, Phase, Point, energy
from gradmc.kernels.kernel import STATISTICS, Draw, Info, Tally, count, draw_at, new_tally, summarise
from gradmc.kernels.random import Event, uniform
from gradmc.records import record


@record
class Checkpoints:
    """What the U-turn checks need of earlier leaves of the subtree, one row each."""

    momentum: Float[Array, "rows dim"]
    previous: Float[Array, "rows dim"]  # momentum of the leaf before; in row 0, that of the tree's moving end
    rho_before: Float[Array, "rows dim"]  # sum of the subtree's momenta before the leaf


@record
class Subtree:
    """The subtree under construction; `log_weight` and `rho` hold nothing before its first leaf."""

    leaf: Int[Array, ""]
    log_weight: Float[Array, ""]
    rho: Float[Array, "dim"]


@record
class Tree:
    """The tree without its subtree."""

    depth: Int[Array, ""]
    log_weight: Float[Array, ""]
    rho: Float[Array, "dim"]
    turning: Bool[Array, ""]


@record
class NutsTrajectory:
    """The state of one NUTS transition.

    Pairs of points are kept in two rows with a row number, so that a change of direction or of the proposal is a
    change of a number and moves no vectors.
    """

    ends: Phase  # row 0: backward in time, row 1: forward
    side: Int[Array, ""]  # the row of the moving end
    proposals: Draw  # of the tree and of the subtree
    chosen: Int[Array, ""]  # the row of the tree's proposal
    directions: UInt32[Array, ""]
    tally: Tally
    tree: Tree
    subtree: Subtree

    @property
    def moving(self) -> Phase:
        """The end that grows."""
        return read_rows(self.ends, self.side)

    @property
    def direction(self) -> Float[Array, ""]:
        """+1 or -1."""
        return 2 * self.side.astype(self.tree.log_weight.dtype) - 1


@record
class NutsInfo(Info):
    """What NUTS tells of a transition besides."""

    tree_depth: Int[Array, ""]
    reached_max_treedepth: Bool[Array, ""]


def is_turning(rho: Float[Array, "dim"], first: Float[Array, "dim"], last: Float[Array, "dim"]) -> Bool[Array, ""]:
    """The generalised U-turn criterion for a stretch with momenta `first` .. `last` that sum to `rho`."""
    return (jnp.sum(rho * first) <= 0) | (jnp.sum(rho * last) <= 0)


def halves_are_turning(
    rho_left: Float[Array, "dim"],
    rho_right: Float[Array, "dim"],
    first: Float[Array, "dim"],
    end_left: Float[Array, "dim"],
    start_right: Float[Array, "dim"],
    last: Float[Array, "dim"],
) -> Bool[Array, ""]:
    """The criterion over a stretch of two halves, and over each half with the nearest point of the other."""
    return (
        is_turning(rho_left + rho_right, first, last)
        | is_turning(rho_left + start_right, first, start_right)
        | is_turning(rho_right + end_left, end_left, last)
    )


def _side(bits: UInt32[Array, ""], depth: Int[Array, ""]) -> Int[Array, ""]:
    return ((bits >> depth.astype(jnp.uint32)) & np.uint32(1)).astype(jnp.int32)


def _twice[S](value: S) -> S:
    return jax.tree.map(lambda x: jnp.stack([x, x]), value)


def _subtree_is_turning(
    checkpoints: Checkpoints,
    leaf: Int[Array, ""],
    previous: Float[Array, "dim"],
    momentum: Float[Array, "dim"],
    rho: Float[Array, "dim"],
) -> Bool[Array, ""]:
    """Check every complete subtree that ends at `leaf`; `rho` sums the subtree's momenta up to it.

    An odd leaf completes a pair with the `previous` one.  The halves of a pair are single points, so that the three
    criteria are one.
    """
    odd = leaf & 1
    pair = branch(odd == 1, _pair_is_turning, jnp.bool_(False), (previous, momentum))
    top = lax.population_count(leaf)
    bottom = top + 1 - lax.population_count(leaf ^ (leaf + 1))

    def check(carry: tuple[Int[Array, ""], Bool[Array, ""]]) -> tuple[Int[Array, ""], Bool[Array, ""]]:
        row = carry[0] - 1
        first, middle = read_rows(checkpoints, row), read_rows(checkpoints, row + 1)
        turning = halves_are_turning(
            middle.rho_before - first.rho_before,
            rho - middle.rho_before,
            first.momentum,
            middle.previous,
            middle.momentum,
            momentum,
        )
        return row, turning

    return lax.while_loop(lambda carry: (carry[0] > bottom) & ~carry[1], check, (top - odd, pair))[1]


def _pair_is_turning(_: Bool[Array, ""], pair: tuple[Float[Array, "dim"], Float[Array, "dim"]]) -> Bool[Array, ""]:
    first, last = pair
    return is_turning(first + last, first, last)


@record
class _Doubling:
    """What merging a complete subtree changes."""

    tree: Tree
    leaf: Int[Array, ""]
    side: Int[Array, ""]
    chosen: Int[Array, ""]


@record
class _Complete:
    """What merging reads: the complete subtree, the momenta of both ends and around the seam, random bits."""

    log_weight: Float[Array, ""]
    rho: Float[Array, "dim"]
    ends: Float[Array, "2 dim"]
    checkpoints: Checkpoints
    directions: UInt32[Array, ""]
    event: Event


def _merge(doubling: _Doubling, complete: _Complete) -> _Doubling:
    """Join the complete subtree to the tree and choose the end at which the next one starts."""
    tree, checkpoints = doubling.tree, complete.checkpoints
    accept = jnp.log(uniform(complete.event.word(1), tree.log_weight.dtype)) < complete.log_weight - tree.log_weight
    turning = halves_are_turning(
        tree.rho,
        complete.rho,
        first=read_rows(complete.ends, 1 - doubling.side),
        end_left=checkpoints.previous[0],
        start_right=checkpoints.momentum[0],
        last=read_rows(complete.ends, doubling.side),
    )
    depth = tree.depth + 1
    return _Doubling(
        tree=Tree(
            depth=depth,
            log_weight=jnp.logaddexp(tree.log_weight, complete.log_weight),
            rho=tree.rho + complete.rho,
            turning=turning,
        ),
        leaf=jnp.int32(0),
        side=_side(complete.directions, depth),
        chosen=lax.select(accept, 1 - doubling.chosen, doubling.chosen),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Nuts(Hamiltonian):
    """NUTS with at most `max_tree_depth` doublings (1 to 30; Stan: 10), diverging above `max_energy_error`."""

    max_tree_depth: int = 10
    max_energy_error: float = 1000.0

    def __post_init__(self) -> None:
        check_whole("max_tree_depth", self.max_tree_depth, 1, 30)
        check_real("max_energy_error", self.max_energy_error, 0, None)

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Those of every kernel, and the tree's."""
        return {**STATISTICS, "tree_depth": np.dtype(np.int64), "reached_max_treedepth": np.dtype(bool)}

    def workspace(self, dim: int, dtype: jnp.dtype) -> Checkpoints:
        """Empty checkpoints; their contents need no reset between transitions."""
        table = jnp.zeros((self.max_tree_depth + 1, dim), dtype)
        return Checkpoints(momentum=table, previous=table, rho_before=table)

    def start(self, point: Point, word: UInt32[Array, ""], step_size: Float[Array, ""]) -> NutsTrajectory:
        """A tree of one leaf; bit d of `word` is the direction of doubling d."""
        del step_size
        start_energy = energy(point)
        return NutsTrajectory(
            ends=_twice(point.phase),
            side=_side(word, jnp.int32(0)),
            proposals=_twice(draw_at(point, start_energy)),
            chosen=jnp.int32(0),
            directions=word,
            tally=new_tally(start_energy),
            tree=Tree(
                depth=jnp.int32(0),
                log_weight=jnp.zeros_like(start_energy),
                rho=point.momentum,
                turning=jnp.bool_(False),
            ),
            subtree=Subtree(
                leaf=jnp.int32(0), log_weight=jnp.zeros_like(start_energy), rho=jnp.zeros_like(point.momentum)
            ),
        )

    def extend(
        self,
        trajectory: NutsTrajectory,
        workspace: Checkpoints,
        before: Phase,
        point: Point,
        event: Event,
    ) -> tuple[NutsTrajectory, Checkpoints, Bool[Array, ""]]:
        """Add a leaf; close the subtree and double when it is full."""
        tree, subtree, dtype = trajectory.tree, trajectory.subtree, point.log_density.dtype
        end_energy = energy(point)
        tally, error = count(trajectory.tally, end_energy, self.max_energy_error)
        first = subtree.leaf == 0
        rho_before = jnp.where(first, 0, subtree.rho)
        log_weight = jnp.logaddexp(jnp.where(first, -jnp.inf, subtree.log_weight), -error)
        take = first | (jnp.log(uniform(event.word(0), dtype)) < -error - log_weight)
        rho = rho_before + point.momentum

        row = lax.population_count(subtree.leaf)
        checkpoints = write_rows(
            workspace,
            Checkpoints(
                momentum=point.momentum,
                previous=before.momentum,
                rho_before=rho_before,
            ),
            row,
        )
        turning = _subtree_is_turning(checkpoints, subtree.leaf, before.momentum, point.momentum, rho)
        broken = turning | tally.diverging
        leaf = subtree.leaf + 1
        full = ~broken & (leaf >= jnp.int32(1) << tree.depth)
        ends = write_rows(trajectory.ends, point.phase, trajectory.side)
        spare = 1 - trajectory.chosen
        proposal = pick(take, draw_at(point, end_energy), read_rows(trajectory.proposals, spare))
        doubling = branch(
            full,
            _merge,
            _Doubling(
                tree=dataclasses.replace(tree, turning=turning),
                leaf=leaf,
                side=trajectory.side,
                chosen=trajectory.chosen,
            ),
            _Complete(
                log_weight=log_weight,
                rho=rho,
                ends=ends.momentum,
                checkpoints=checkpoints,
                directions=trajectory.directions,
                event=event,
            ),
        )
        tree = doubling.tree
        grown = NutsTrajectory(
            ends=ends,
            side=doubling.side,
            proposals=write_rows(trajectory.proposals, proposal, spare),
            chosen=doubling.chosen,
            directions=trajectory.directions,
            tally=tally,
            tree=tree,
            subtree=Subtree(leaf=doubling.leaf, log_weight=log_weight, rho=rho),
        )
        done = broken | tree.turning | (full & (tree.depth >= self.max_tree_depth))
        return grown, checkpoints, done

    def conclude(self, trajectory: NutsTrajectory) -> tuple[Draw, NutsInfo]:
        """The tree's proposal; a broken subtree gives no draw and does not count in `tree_depth`."""
        tree, tally = trajectory.tree, trajectory.tally
        saturated = (tree.depth >= self.max_tree_depth) & ~tree.turning & ~tally.diverging
        draw = read_rows(trajectory.proposals, trajectory.chosen)
        return draw, NutsInfo(**vars(summarise(tally, draw)), tree_depth=tree.depth, reached_max_treedepth=saturated)
