"""The checks behind the verdict, and the advice that goes with each.

Limits: R-hat at most 1.01 and 100 effective draws per chain (Vehtari et al. 2021), at most 0.1 % of divergences, no
saturated tree, BFMI at least 0.3 (Betancourt 2016, https://arxiv.org/abs/1604.00695), and an acceptance not far below
the one that warmup aimed at (`gradmc.diagnostics.acceptance`).
"""

import hashlib
import math
from typing import Any

import numpy as np

from gradmc.diagnostics import causes
from gradmc.diagnostics.acceptance import check_acceptance
from gradmc.diagnostics.batch_error import check_batches
from gradmc.diagnostics.disagreement import STUCK_ADVICE, explain, named, unmoved
from gradmc.diagnostics.locate import Lean, where_they_lie
from gradmc.diagnostics.own_check import check_own
from gradmc.diagnostics.summary import Row, Summary, is_empty, summarise
from gradmc.diagnostics.verdict import Check, Diagnosis
from gradmc.results.leaving_out import in_words, left_out
from gradmc.results.statistics import lost_draws

R_HAT_MAX = 1.01
ESS_PER_CHAIN = 100
MOST_ESS = 400
"""Effective draws that many short chains need, however many they are: what four chains need."""
BFMI_MIN = 0.3
DIVERGENT_SHARE = 1e-3
"""Up to this share divergences are a note: what such draws leave out is less than what 400 effective draws can tell."""
SATURATED_SHARE = 0.1
"""From this share of trajectories that are cut off on chains may be slow for no other reason."""
MOST_SATURATED = 0.9
"""From this share on all steps may be tiny."""
MANY_CHAINS = 64
"""From so many chains on BFMI is that of all of them together."""
ONE_CHAIN = 0.9
LEAST_OF_ONE = 5
"""Share of the divergences from which on those of one chain are told as its own, if they are so many: by chance one in
256 times four chains agree so."""


def diagnose(tree: Any, summary: Summary | None = None) -> Diagnosis:
    """Check the draws of a run.

    Args:
        tree: a DataTree with `posterior` and, where the sampler has them, `sample_stats`.
        summary: the summary of its posterior, if it is known already.

    Raises:
        UsageError: there is no posterior.
    """
    if summary is None and not is_empty(tree, "posterior"):
        summary = summarise(tree)
    if summary is None or summary.draws < 4:
        count = 0 if summary is None else summary.draws
        finding = f"there are only {count} draws per chain, too few to judge anything"
        few = Check("draws", False, float(count), 4.0, finding, "draw more")
        return Diagnosis(checks=(few,))
    if "pareto_k" in tree.attrs:
        return Diagnosis(checks=(check_finite(tree, summary), check_approximation(tree)))
    checks = [check_finite(tree, summary), check_r_hat(tree, summary), check_ess(summary), *check_transitions(tree)]
    if (copies := check_copies(tree)) is not None:
        checks.insert(0, copies)
    statistics = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else {}
    if "energy" in statistics:
        checks.append(check_energy(statistics["energy"].values))
    own = check_own(tree)
    if own is not None:
        checks.append(own)
    if chains := left_out(tree):
        checks.append(Check("chains", None, None, 0.0, f"{in_words(chains)}: the verdict is about the others"))
    return Diagnosis(checks=tuple(causes.told(checks)))


def check_approximation(tree: Any) -> Check:
    """Draws of an approximation are as good as their importance weights, where it gets to all of the posterior."""
    finding, _, advice = str(tree.attrs["trust"]).partition("; ")
    k, error = (
        (float(tree.attrs[name]), float(tree.attrs[limit]))
        for name, limit in (("pareto_k", "pareto_k_limit"), ("stein_error", "stein_limit"))
    )
    if k[0] < k[1] and not error[0] < error[1]:
        return Check("stein", False, *error, finding, advice)
    return Check("pareto_k", k[0] < k[1], *k, finding, advice)


def check_transitions(tree: Any) -> list[Check]:
    """The checks that need no estimates from the draws, as far as the tree has the statistics: quick."""
    if is_empty(tree, "sample_stats"):
        return []
    statistics = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else {}
    checks: list[Check | None] = [own := check_own(tree)]
    if "diverging" in statistics:
        checks.append(check_divergences(tree, statistics["diverging"].values))
    checks += [check_acceptance(tree), check_batches(tree)]
    if "reached_max_treedepth" in statistics:
        checks.append(check_trees(tree, statistics["reached_max_treedepth"].values))
    return [check for check in causes.told([check for check in checks if check is not None]) if check is not own]


def check_finite(tree: Any, summary: Summary) -> Check:
    """No draw may be infinite or not a number."""
    rows = [row for row in summary.rows if not math.isfinite(row["mean"])]
    bad = [row.name for row in rows]
    if not bad:
        return Check("finite", True, 0.0, 0.0, "all draws are finite")
    draws = quantity(tree, summary, rows[0])
    finding = (
        f"{_names(bad)} {'has' if len(bad) == 1 else 'have'} draws that are infinite or not a number "
        f"({np.sum(~np.isfinite(draws)):,} of {draws.size:,}{f' of {bad[0]}' if len(bad) > 1 else ''})"
    )
    return Check("finite", False, float(len(bad)), 0.0, finding, "look at how these quantities are computed")


def check_copies(tree: Any) -> Check | None:
    """No chain may be a copy of another, with which it would agree; None where none is."""
    values = [array.transpose("chain", "draw", ...).values for array in tree["posterior"].data_vars.values()]
    if "sample_stats" in tree.children and "energy" in tree["sample_stats"].data_vars:
        values.insert(0, tree["sample_stats"]["energy"].values)  # chains that both stand still differ in it
    seen: dict[bytes, int] = {}
    for chain in range(tree["posterior"].sizes["chain"]):
        digest = hashlib.blake2b(digest_size=16)
        for array in values:
            digest.update(np.ascontiguousarray(array[chain]) + 0)  # both zeros are equal
        other = seen.setdefault(digest.digest(), chain)
        same = other != chain and all(np.array_equal(array[other], array[chain]) for array in values)
        if same and any(np.any(array[chain] != array[chain][:1]) for array in values):
            finding = f"chains {other} and {chain} have the same draws: one is a copy of the other"
            return Check("copies", False, 1.0, 0.0, finding, "draw each chain with a number or a seed of its own")
    return None


def check_r_hat(tree: Any, summary: Summary) -> Check:
    """The chains must agree."""
    if summary.chains < 2:
        finding = "one chain alone cannot show whether chains agree (R-hat); run at least 2, better 4"
        return Check("r_hat", None, None, R_HAT_MAX, finding)
    rows = _judged(summary, "r_hat")
    if not rows:
        return Check("r_hat", None, None, R_HAT_MAX, "R-hat cannot be computed")
    rows.sort(key=lambda row: -row["r_hat"])
    worst, largest = rows[0], rows[0]["r_hat"]
    bad = [row.name for row in rows if row["r_hat"] > R_HAT_MAX]
    what = f"nested R-hat of {summary.superchains} superchains" if summary.superchains else "R-hat"
    if not bad:
        return Check("r_hat", True, largest, R_HAT_MAX, f"the chains agree ({what} at most {largest:.3f})")
    where = f" for {worst.name}" if len(bad) > 1 else ""
    finding = f"the chains disagree about {_names(bad)} ({what} {largest:.3f}{where})"
    chains, bounds = tree["posterior"].to_dataset()["chain"].values, tree.attrs.get("start_elbo")
    known = bounds is not None and len(bounds) == len(chains)
    statistics = tree["sample_stats"].data_vars if "sample_stats" in tree.children else {}
    cause = explain(
        quantity(tree, summary, worst),
        chains,
        np.asarray(bounds, float) if known else None,
        statistics["lp"].transpose("chain", "draw").values if "lp" in statistics else None,
        str(tree.attrs.get("metric", "")),
    )
    saturated = statistics.get("reached_max_treedepth")
    cut = saturated is not None and not cause.first and float(saturated.values.mean()) >= SATURATED_SHARE
    advice = f"see first to the trajectories that are cut off; {cause.advice}" if cut else cause.advice
    return Check("r_hat", False, largest, R_HAT_MAX, f"{finding}: {cause.finding}", advice, cause.first)


def check_ess(summary: Summary) -> Check:
    """There must be enough effective draws to trust the estimates, R-hat and intervals."""
    limit = float(MOST_ESS if summary.superchains else ESS_PER_CHAIN * summary.chains)
    rows = [(min(r["ess_bulk"], r["ess_tail"]), r) for r in _judged(summary, "ess_bulk", "ess_tail")]
    if not rows:
        return Check("ess", None, None, limit, "effective sample sizes cannot be computed")
    rows.sort(key=lambda item: item[0])
    least = rows[0][0]
    bad = [f"{row.name} ({ess:,.0f})" for ess, row in rows if ess < limit]  # the slowest first
    if not bad:
        return Check("ess", True, least, limit, f"every quantity has at least {least:,.0f} effective draws")
    finding = f"too few effective draws of {_names(bad)}: at least {limit:,.0f} needed"
    factor = math.ceil(limit / max(least, 1.0))
    advice = f"draw {factor} times as many" if factor <= 20 else "the chains hardly move: reparameterise"
    return Check("ess", False, least, limit, finding, advice)


def check_divergences(tree: Any, diverging: np.ndarray) -> Check:
    """No trajectory may have left the region where the integrator is accurate."""
    count = int(np.sum(diverging))
    if not count:
        return Check("divergences", True, 0.0, 0.0, "no divergences")
    finding = f"{count} of {diverging.size:,} draws ({_percent(count, diverging.size)}) diverged"
    lost = int(np.sum(lost_draws(tree["sample_stats"].to_dataset())))  # smaller steps do not help these
    if lost:
        what = "gradient" if tree.attrs.get("not_finite_in") == "gradient" else "density or its gradient"
        finding += f", {'all' if lost == count else lost} of them where the {what} is not finite"
    if (angles := tree.attrs.get("diverging_at_centre_of")) and not lost:
        finding += f" at the centre around which {angles} is measured"
        return Check("divergences", None, float(count), 0.0, f"{finding}, where nothing is left out of the draws")
    lean = where_they_lie(tree, diverging)
    smaller_steps, first = _smaller_steps(tree), ""
    advice = f"{smaller_steps}; if they stay, reparameterise"
    chain, most = int(np.argmax(diverging.sum(axis=1))), int(np.max(diverging.sum(axis=1)))
    if len(diverging) > 1 and most >= max(ONE_CHAIN * count, LEAST_OF_ONE):
        still = bool(unmoved(tree)[chain])
        numbers = tree["posterior"].to_dataset()["chain"].values[[chain]]
        finding += (
            f", {'all' if most == count else most} of them in {named(numbers)}{', which is stuck' if still else ''}"
        )
        advice = STUCK_ADVICE if still else f"see first whether {named(numbers)} stands where the others do; {advice}"
    if lean is not None:
        medians = f"median {lean.there:.3g}, elsewhere {lean.elsewhere:.3g}"
        finding += f", mostly where {lean.name} is {lean.side} ({medians})"
        advice = _divergence_advice(lean, smaller_steps)
        first = f"write {lean.scales} in non-centred form" if lean.scales else ""
    if lost:
        advice = _loss_advice(tree, lean, advice if 2 * lost < count else "")
        first = first if 2 * lost < count else "see to what is not finite"
    few = count <= DIVERGENT_SHARE * diverging.size
    return Check("divergences", None if few else False, float(count), 0.0, finding, advice, first)


def check_trees(tree: Any, saturated: np.ndarray) -> Check:
    """No trajectory may have been cut off at the largest tree depth."""
    count = int(np.sum(saturated))
    if not count:
        return Check("tree_depth", True, 0.0, 0.0, "no saturated trees")
    share = _percent(count, saturated.size)
    finding = f"{count} of {saturated.size:,} trajectories ({share}) were cut off at the largest tree depth"
    dense = "" if tree.attrs.get("metric") == "dense" else 'try metric="dense", '
    advice = f"scales differ too much: {dense}rescale, or raise max_tree_depth"
    if count >= MOST_SATURATED * saturated.size:
        advice += "; or the density jumps, so that steps have to be tiny: see `gradmc check`"
    return Check("tree_depth", False, float(count), 0.0, finding, advice)


def check_energy(energy: np.ndarray) -> Check:
    """Momentum draws must reach the whole range of energies (BFMI)."""
    steps = np.mean(np.diff(energy, axis=1) ** 2, axis=1)
    spread = np.var(energy, axis=1, ddof=1)
    if energy.shape[0] >= MANY_CHAINS:  # a single short chain says nothing of the spread; all together do
        steps, spread = np.mean(steps, keepdims=True), np.var(energy, ddof=1, keepdims=True)[:, 0]
    with np.errstate(all="ignore"):
        bfmi = steps / spread
    if not np.all(np.isfinite(bfmi)):
        return Check("bfmi", None, None, BFMI_MIN, "BFMI cannot be computed")
    least = float(np.min(bfmi))
    bad = np.flatnonzero(bfmi < BFMI_MIN)
    if not len(bad):
        return Check("bfmi", True, least, BFMI_MIN, f"energies are explored well (BFMI at least {least:.2f})")
    finding = f"{named(bad)} explored the energies slowly (BFMI {least:.2f})"
    advice = "the tails are heavy or a scale varies widely: reparameterise (non-centred), or use lighter tails"
    return Check("bfmi", False, least, BFMI_MIN, finding, advice)


def _smaller_steps(tree: Any) -> str:
    """The advice to take smaller steps than those of the run."""
    if tree.attrs.get("batch"):
        return "take larger batches, or a smaller step_size"
    return "raise target_accept to 0.95" if tree.attrs.get("target_accept", 0.0) < 0.95 else "raise target_accept"


def _divergence_advice(lean: Lean, smaller_steps: str) -> str:
    if lean.scales:
        scale = lean.name if lean.itself else "its scale"
        what = f"the entries of {lean.scales} lie close together" if lean.several else f"{lean.scales} varies little"
        return (
            f"a funnel: {what} where {lean.name} is {lean.side}. Write "
            f"{lean.scales} in non-centred form (mean + {scale} * standard normal); where few diverge, {smaller_steps}"
        )
    if lean.side == "small":
        return f"the density narrows at small {lean.name}: {smaller_steps}, and look at the prior of {lean.name}"
    return f"look at the prior of {lean.name}, and {smaller_steps}"


def _loss_advice(tree: Any, lean: Lean | None, other: str) -> str:
    """The advice where draws were lost; `other` is that of the other divergences, where they are most of all."""
    advice = [other] if other else []
    known = tree.attrs.get("not_finite", "")
    if lean is not None and not other and tree.attrs.get("not_finite_in") != "gradient":
        advice.append(f"look at the prior of {lean.name}, and whether its support is declared too wide")
    if not known:
        advice.append("`gradmc check` (`gm.check`) looks for the line that makes the density or its gradient so")
    return "; ".join([*advice, f"at one of these points {known}"] if known else advice)


def quantity(tree: Any, summary: Summary, row: Row) -> np.ndarray:
    """The draws of the quantity in a row, shape (chain, draw); rows follow the variables and their entries in order."""
    left = summary.rows.index(row)
    for array in tree["posterior"].data_vars.values():
        values = array.transpose("chain", "draw", ...).values
        values = values.reshape(*values.shape[:2], -1)
        if left < values.shape[-1]:
            return values[..., left].astype(float)
        left -= values.shape[-1]
    raise AssertionError(f"{row.name} is a row of the summary of other draws")


def _judged(summary: Summary, *statistics: str) -> list[Row]:
    """Rows that vary and have these statistics; R-hat may be infinite, if chains do not move at all."""
    return [r for r in summary.rows if not r.constant and not any(math.isnan(r[s]) for s in statistics)]


def _names(names: list[str], limit: int = 3) -> str:
    if len(names) <= limit:
        return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def _percent(count: int, total: int) -> str:
    share = 100 * count / total
    return f"{share:.0f} %" if share >= 10 else f"{share:.2g} %"
