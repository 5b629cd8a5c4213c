"""The codes of all findings, what each means for sampling, and what to do. docs/check.md has a section for each."""

from dataclasses import dataclass
from typing import Any

from gradmc.check.finding import Finding, Severity
from gradmc.errors import SourceLocation


@dataclass(frozen=True, slots=True)
class Code:
    """What all findings of one code have in common."""

    severity: Severity
    meaning: str
    remedy: str


CODES: dict[str, Code] = {
    "plateau": Code(
        "error",
        "Its derivative is 0 wherever it has one, so the gradient does not see how the density changes with the "
        "parameter; Hamiltonian dynamics then goes straight on over cliffs, and most proposals are rejected.",
        "Declare a whole number as a sum over its values (see the mixture and hidden Markov examples), or use a "
        "smooth function:\n    weight = 1 / (1 + math.exp(-(x - threshold) / width))",
    ),
    "step": Code(
        "error",
        "A truth value used as a number is a step: its derivative is 0 and its value jumps, which the sampler "
        "cannot follow.",
        "Use a smooth switch, or sum the two cases weighted by their probabilities:\n"
        "    weight = 1 / (1 + math.exp(-(x - threshold) / width))",
    ),
    "selection": Code(
        "error",
        "Which entry is chosen changes in jumps, and the gradient does not see the choice.",
        "Choose smoothly, or sum over the choices:\n    weights = np.exp(x - logsumexp(x))",
    ),
    "lookup": Code(
        "error",
        "A subscript that depends on a parameter picks entries in jumps; the gradient sees the entry that is "
        "picked and not the choice.",
        "Interpolate between the entries, or sum over the index weighted by its probabilities:\n"
        "    value = np.interp(x, grid, table)",
    ),
    "stop-gradient": Code(
        "warning",
        "The gradient leaves out how the density changes through this value, so it is not the gradient of the "
        "density: proposals, made along a wrong path, are accepted less often.",
        "Remove stop_gradient.",
    ),
    "sawtooth": Code(
        "error",
        "A remainder jumps back to 0 at every multiple of the divisor; the gradient does not see the jumps.",
        "If the parameter is an angle or a phase, declare it so and use sine and cosine:\n    phase: Circular",
    ),
    "kink": Code(
        "note",
        "The density is continuous and has a derivative almost everywhere; sampling works, at a step size that "
        "the corner may make smaller.",
        "Nothing need be done. A smooth form may mix faster: np.logaddexp(a, b) for max(a, b), math.sqrt(x**2 + e**2) "
        "for abs(x).",
    ),
    "jump": Code(
        "error",
        "The two sides of the branch do not agree where they meet, so the density jumps. The gradient does not see "
        "the jump; proposals across it are rejected, or the sampler hardly ever crosses it.",
        "Make the sides agree at the boundary, or make the case a mixture:\n"
        "    lp += np.logaddexp(math.log(p) + first, math.log(1 - p) + second)",
    ),
    "bent": Code(
        "note",
        "Both sides of the branch or step agree in value but not in slope: a kink, which costs at most step size.",
        "Nothing need be done.",
    ),
    "wrong-gradient": Code(
        "error",
        "The gradient is not the derivative of the density. Trajectories do not follow the density, and most "
        "proposals are rejected.",
        "Correct the derivative rule (custom_jvp, custom_vjp) at this line, or remove it and let JAX differentiate.",
    ),
    "nan": Code(
        "error",
        "The density is not a number at points inside the declared support; a trajectory that gets there ends as a "
        "divergence, and a start there fails.",
        "Declare the support so that the argument stays where the function is defined, or write a form that does not "
        "leave it.",
    ),
    "bad-gradient": Code(
        "error",
        "The density is finite but its gradient is not, so the trajectory stops there.",
        "Keep the argument away from the point without a derivative:\n    math.sqrt(x**2 + 1e-12) instead of "
        "math.sqrt(x**2); np.where(safe, x, 1.0) before, not after, the function",
    ),
    "far-away": Code(
        "note",
        "Far from the bulk the density cannot be computed: a number gets too large for floating point, or an "
        "approximation breaks down. Trajectories do not go there once warmup has found the bulk.",
        "If chains fail to start, work with logarithms: logsumexp, log1p, expm1, poisson_log.",
    ),
    "support": Code(
        "error",
        "The density is 0 on part of the declared support: the sampler wastes its effort against a wall that it "
        "cannot see, and the posterior near the wall is sampled badly.",
        "Declare the support that the density has; gradmc then samples a transformed parameter, with the Jacobian.",
    ),
    "hole": Code(
        "warning",
        "The density is 0 in part of the interior of the declared supports; the gradient does not point away from "
        "such a region.",
        "Declare parameters so that their supports exclude it (ends may depend on earlier parameters):\n"
        "    b: Interval(0, lambda a: 1 - a)",
    ),
    "flat-parameter": Code(
        "error",
        "The density does not depend on it, and its support is infinite: the posterior is improper and the chain "
        "wanders off without end.",
        "Use the parameter, give it a prior, or remove it from the signature:\n    lp += normal(name, 0.0, 1.0)",
    ),
    "unused-parameter": Code(
        "warning",
        "The density does not depend on it, so its draws are uniform on its support.",
        "Use it, give it a prior, or remove it from the signature.",
    ),
    "hand-jacobian": Code(
        "warning",
        "gradmc adds the log-determinant of the transformation of constrained parameters itself. Adding it in the "
        "program counts it twice and changes the posterior.",
        "Remove the line. If it is meant as a prior, write it as one: 1 / x is -math.log(x), and a flat prior needs "
        "no line.",
    ),
    "fractional-count": Code(
        "error",
        "A log mass of counts is given data that are not whole numbers; the formula goes through between them but is "
        "not a probability.",
        "Pass counts, or use a density for real data (gamma, lognormal, normal).",
    ),
    "index-as-number": Code(
        "warning",
        "The same integers are used as subscripts and in arithmetic. A label has no size: group 4 is not twice "
        "group 2.",
        "Use a coefficient per label, `effect[group[i]]`, or pass the covariate as data of its own.",
    ),
    "negative-label": Code(
        "warning",
        "Python counts a negative subscript from the end: -1, which often stands for a missing group, is the last one.",
        "Number groups from 0, and leave out rows without one (or give them an entry of their own).",
    ),
    "label-from-1": Code(
        "warning",
        "Subscripts begin at 0. The first entry has nothing but its prior, and if there are as many groups as entries "
        "the labels are off by one.",
        "Subtract 1 from the labels, and declare as many entries as there are groups.",
    ),
    "plain-differs": Code(
        "error",
        "Run as ordinary Python the program gives another value than compiled: it depends on something besides its "
        "arguments (random numbers, global state, the types of its arguments), or the compiler is wrong.",
        "Make the program a function of its arguments alone. If it is, please report this as a bug in gradmc.",
    ),
    "plain-fails": Code(
        "warning",
        "The program cannot be run as ordinary Python on floats, so it cannot be tested or debugged that way.",
        "Use functions of math, numpy and gradmc.lpdf instead of methods of JAX arrays.",
    ),
    "program": Code(
        "error",
        "The program cannot be compiled.",
        "See the message.",
    ),
    "no-start": Code(
        "error",
        "No random point on the unconstrained scale, within 2 of 0, much nearer or farther out, has a finite density "
        "and gradient, so no chain can start.",
        "Correct the term that is named, or give starting points: gm.sample(..., initial={...}).",
    ),
    "not-identified": Code(
        "warning",
        "Along this direction the posterior is flat: the data and priors determine a combination of the parameters "
        "only. Chains wander along it, and may never converge.",
        "Give the parameters proper priors, fix one of them, or rewrite the model in the combination that matters.",
    ),
    "correlated": Code(
        "note",
        "Parameters are strongly correlated at the mode; a diagonal mass matrix needs long trajectories.",
        'Centre covariates, write groups in non-centred form (theta = mu + tau * z), or use the metric "low_rank" (the '
        'default) or "dense":\n    gm.sample(..., metric="dense")',
    ),
    "scales": Code(
        "note",
        "Parameters live on very different scales. Warmup learns the scales, but until then steps fit the narrowest "
        "parameter and trajectories are too short for the widest.",
        "Standardise data and covariates, or declare the parameter in units in which it is about 1:\n"
        "    slope = 1e-3 * slope_in_thousandths",
    ),
    "funnel": Code(
        "note",
        "As the scale shrinks the group has ever less room: a funnel, where divergences and bias arise.",
        "Write the group in non-centred form:\n    theta = mu + tau * z[j]\n    lp += normal(z[j], 0.0, 1.0)",
    ),
}


def finding(
    code: str,
    message: str,
    *,
    location: SourceLocation | None = None,
    parameters: tuple[str, ...] = (),
    remedy: str | None = None,
    **changes: Any,
) -> Finding:
    """A finding of a code, with the code's own severity, meaning and remedy unless others are given."""
    common = CODES[code]
    return Finding(
        severity=changes.get("severity", common.severity),
        code=code,
        message=message,
        meaning=changes.get("meaning", common.meaning),
        remedy=common.remedy if remedy is None else remedy,
        location=location,
        parameters=parameters,
    )
