"""What a check found, and the report of all checks on one model.

A *finding* has a severity, a code with a section of its own in docs/check.md, the user's line, what it means
for sampling and what to write instead. An *error* makes the results wrong or sampling impossible, a *warning*
deserves a look, a *note* explains; errors alone fail a check.
"""

import html
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gradmc.errors import SourceLocation
from gradmc.printable import printable

type Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
DECLARATIONS = frozenset(["support", "flat-parameter", "unused-parameter"])
"""Codes of what is wrong with a parameter's declaration."""
WIDTH = 100
EXIT_CODE = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Args:
        severity: "error", "warning" or "note".
        code: kebab-case name; docs/check.md has a section for it.
        message: what was found, with its numbers.
        meaning: what it means for sampling.
        remedy: what to write instead, with code.
        location: the user's line, where there is one.
        parameters: names of the parameters concerned.
    """

    severity: Severity
    code: str
    message: str
    meaning: str
    remedy: str
    location: SourceLocation | None = None
    parameters: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.location is not None:
            lines.append(f"  --> {self.location}")
            if self.location.text.strip():
                lines.append(f"      {self.location.text.strip()}")
        lines += _filled("means: ", self.meaning)
        lines += _filled("try:   ", self.remedy)
        return printable("\n".join(lines))


def _filled(label: str, text: str) -> list[str]:
    """A labelled paragraph; lines of code, which begin with blanks, stay as they are."""
    lines: list[str] = []
    for part in text.splitlines():
        if part.startswith(" "):
            lines.append(f"         {part}")
        else:
            indent = "  " + " " * len(label)
            first = f"  {label}" if not lines else indent
            lines += textwrap.wrap(part, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
    return lines


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        model: name of the model.
        findings: errors first, then in the order of the program's lines.
        checks: names of the checks that were made.
        seconds: how long each of them took.
        costs: time of a gradient, loops and how they run, predicted time of a run; empty if not measured.
        skipped: checks that were not possible, with the reason.
    """

    model: str
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    @property
    def clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the check fail."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def exit_code(self) -> int:
        """0, or 3 if there is an error."""
        return 0 if self.passed else EXIT_CODE

    def as_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "model": self.model,
            "passed": self.passed,
            "findings": [finding.as_json() for finding in self.findings],
            "checks": list(self.checks),
            "seconds": dict(self.seconds),
            "costs": dict(self.costs),
            "skipped": dict(self.skipped),
        }

    def verdict(self) -> str:
        """One sentence."""
        counts = [(kind, sum(f.severity == kind for f in self.findings)) for kind in SEVERITIES]
        told = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)
        made = ", ".join(self.checks)
        return f"{self.model}: {told}." if told else f"{self.model}: nothing to complain about ({made})."

    def __str__(self) -> str:
        parts = [str(finding) for finding in self.findings]
        if self.costs.get("text"):
            parts.append(self.costs["text"])
        if self.skipped:
            parts.append("\n".join(f"Not checked: {name} ({why})." for name, why in self.skipped.items()))
        return "\n\n".join([*parts, self.verdict()])

    def __repr__(self) -> str:
        return f"<Report of {self.verdict()}>"

    def _repr_html_(self) -> str:
        colours = {"error": "#b00020", "warning": "#b06000", "note": "#406080"}
        rows = []
        for f in self.findings:
            where = f"<br><code>{html.escape(str(f.location))}</code>" if f.location else ""
            text = f"<pre style='margin:0'>{html.escape(f.location.text.strip())}</pre>" if f.location else ""
            rows.append(
                f"<tr><td style='color:{colours[f.severity]};vertical-align:top'><b>{f.severity}</b><br>"
                f"<code>{f.code}</code></td><td style='text-align:left'>{html.escape(f.message)}{where}{text}"
                f"<i>{html.escape(f.meaning)}</i><pre style='margin:0'>{html.escape(f.remedy)}</pre></td></tr>"
            )
        costs = f"<pre>{html.escape(self.costs['text'])}</pre>" if self.costs.get("text") else ""
        skipped = "".join(f"<p>Not checked: {html.escape(f'{n} ({why})')}.</p>" for n, why in self.skipped.items())
        return f"<p>{html.escape(self.verdict())}</p><table>{''.join(rows)}</table>{costs}{skipped}"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by line; of findings with the same code and line only the first, but all declarations."""
    kept: dict[tuple[Any, ...], Finding] = {}
    for finding in findings:
        line = finding.location.line if finding.location else 0
        declared = finding.code in DECLARATIONS  # the parameters of a program share a line, as a rule
        kept.setdefault((finding.code, line, "" if line and not declared else finding.message), finding)
    return tuple(
        sorted(
            kept.values(),
            key=lambda f: (SEVERITIES.index(f.severity), f.location.line if f.location else 0),
        )
    )
