"""Writes docs/check.md: a section per finding code, each with a program of the zoo that gets it.

`python -m tests.check.page` writes the page; a test holds it up to date.
"""

import ast
import inspect
import textwrap
from pathlib import Path

from gradmc.check.codes import CODES
from tests.check.zoo import MARK, Ill, load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"
INTRO = """# Checking a model

`gradmc check run.toml`, or `gm.check(model, data)`, asks whether a program is differentiable, correct and well
posed, before any sampling. Exit code 3 says that there is an error. `--fast` leaves out what needs the mode or
further compilation; `--json` prints the report for machines.

```python
import gradmc as gm
from gradmc import Data, Real
from gradmc.lpdf import normal

@gm.model
def line(slope: Real, *, x: Data["n"], y: Data["n"]):
    return normal(slope, 0.0, 1.0) + normal(y, slope * x, 1.0)

report = gm.check(line, {"x": [1.0, 2.0, 3.0], "y": [1.1, 1.9, 3.2]}, fast=True)
assert report.passed
print(report)
```

What is looked at:

1. **Differentiable**: operations of the traced program that the gradient does not see, on a way from a parameter to the
   density.
2. **Jumps**: branches on parameters, and functions with steps (floor, comparison, argmax, remainder): the boundary is
   found by bisection, and value and gradient on both sides are compared. A step that the density does not feel, as in
   `(x > knot) * (x - knot)`, is none.
3. **Gradient**: reverse mode against forward mode and against finite differences of sixth order.
4. **Finite**: points in the support with a density that is NaN, or finite with a gradient that is not; the first
   operation that made it is named.
5. **Support**: is the density positive on the declared supports, does it depend on every parameter?
6. **Plain Python**: the program as ordinary Python on floats against the compiled one.
7. **Cost**: time and memory of a gradient, and of the gradient of each line that adds a term (not with `--fast`);
   how often loops run, what was made of each and why; how long the run may take.
8. **Identifiability**, at the mode: flat directions, correlations, different scales, funnels.

All of it takes 20 seconds of the processor at most (`--seconds`, `seconds=`): each check may take half of what is left,
and the report names those that there was no time for. Where one evaluation takes long, fewer points are tried. Ctrl-C
ends it at once.

When no chain finds a start, the error names the first operation that is not finite in the same way, with its line.

Densities that do not come from a gradmc program can be checked too: `gm.check(gm.from_numpyro(model, ...))`,
`gm.check(gm.from_logdensity(function, position))`. What is not possible for them is listed with the reason.

## Every run checks itself

`gm.sample` and `gradmc sample` compare the compiled program with plain Python once, before the first draw, at the
starting point of the first chain (of ten candidates the first with a finite log density):

- the **value** that plain Python gives against the one of the compiled function that moves the chains. Whole numbers
  among the data have no limit in plain Python, so an overflow of 64 bits shows. If the values differ the run stops,
  with the line (`SelfCheckError`; exit code 3): its draws would be those of another model.
- the **gradient** along a random direction against a difference quotient. If it differs, or is not finite, a warning
  names parameter and line; the draws may still be right, but the chains move along a wrong path.

```python
draws = gm.sample(line, {"x": [1.0, 2.0, 3.0], "y": [1.1, 1.9, 3.2]}, seed=1, warmup=200, draws=200, progress="none")
assert draws.attrs["self_check_value"] == "agrees"
assert draws.attrs["self_check_gradient"] == "agrees"
```

The attributes `self_check_value` and `self_check_gradient` of the results (the errors beside them, under `..._error`)
and `gm.diagnose` say what was found, or `unchecked: ` and why: plain Python takes longer than a second (and than XLA
compiles), the difference quotient does not converge, the density is not a gradmc program. Values may differ by half of
the digits of the precision, and where sums cancel by as much as a change of the parameters in their last digits makes;
a quotient is believed as far as quotients at several steps agree.

The plain program runs, in silence, while XLA compiles, and the compiled numbers come from the function that samples: in
all, 1 to 3 % of the processor time of a cold run of the shipped models. `check=False`, or `check = "off"` under
`[sampler]`, leaves it out. A run that is resumed or extended has been checked when it began.

One point shows what happens at one point. `gm.check` looks at many, and in more ways.

## `gm.calibrate`: do program, simulator and sampler agree?

`gradmc calibrate run.toml` draws parameters from the prior (the program without its observed terms), simulates data
with the model's simulator, samples the posterior of these data by a chain that begins at another draw of the prior (the
one of up to 64 that fits these data best), and ranks the parameters among the draws. If all agree, the ranks are
uniform; the log likelihood is ranked too, since it finds what the parameters alone do not.
Exit code 4 says that they are not, or that the draws of the prior are not independent, which is told too: such ranks
mean nothing. The result holds a DataTree with the group `prior_sbc` for ArviZ's plots.

# Findings

An *error* makes the check fail, a *warning* deserves a look, a *note* explains. Each finding shows your line.
The marked line is the one that is named.
"""


def render() -> str:
    """The page."""
    cases: dict[str, Ill] = {}
    for case in load():
        cases.setdefault(case.code, case)
    parts = [INTRO]
    for code, common in CODES.items():
        lines = [f"## {code}", f"*{common.severity}*. {common.meaning}"]
        if code in cases:
            lines.append(f"```py\n{example(cases[code])}\n```")
        remedy = common.remedy.splitlines()
        words = " ".join(line for line in remedy if not line.startswith(" "))
        code_lines = [line.strip() for line in remedy if line.startswith(" ")]
        lines.append(f"**Remedy.** {words}")
        if code_lines:
            lines.append("```py\n" + "\n".join(code_lines) + "\n```")
        parts.append("\n\n".join(textwrap.fill(p, 118) if not p.startswith("```") else p for p in lines) + "\n")
    return "\n".join(parts)


def example(case: Ill) -> str:
    """The source of a case without its decorators, with an arrow at the line that is named."""
    source = textwrap.dedent(inspect.getsource(case.model.fn))
    definition = ast.parse(source).body[0]
    lines = source.splitlines()[definition.lineno - 1 :]
    return "\n".join(line.replace(MARK, "# <--") for line in ["@gm.model", *lines])


if __name__ == "__main__":
    PAGE.write_text(render())
