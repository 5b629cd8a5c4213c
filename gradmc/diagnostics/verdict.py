"""What the checks of a run found, and the verdict in words."""

import math
import shutil
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from gradmc.markup import element
from gradmc.printable import printable


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        name: `copies`, `r_hat`, `ess`, `divergences`, `acceptance`, `bfmi`, `tree_depth`, `finite`, `draws`,
            `self_check`, `chains` (some were left out), `batches`, `pareto_k`, `stein` (all of approximate draws).
        passed: None if it could not be made, or if what it found is too little to matter.
        value: what was measured.
        limit: what it is compared with.
        finding: one sentence.
        advice: what to do, if it did not pass.
        first: the same in a few words ("write theta in non-centred form"), where other checks may fail for no other
            reason (`gradmc.diagnostics.causes`).
    """

    name: str
    passed: bool | None
    value: float | None
    limit: float
    finding: str
    advice: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis:
    """All checks of a run; printed, it is the verdict in words."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    def __str__(self) -> str:
        return printable(self._words())

    __repr__ = __str__

    def _words(self) -> str:
        unknown = [check for check in self.checks if check.passed is None]
        notes = "".join(f"\n{_note(check)}" for check in unknown)
        if self.passed:
            findings = [check.finding for check in self.checks if check.passed and check.name != "finite"]
            return _wrap(f"The draws look trustworthy: {', '.join(findings)}.") + notes
        lines = ["Do not trust these draws yet:"]
        for check in self.failures:
            lines.append(_wrap(f"- {check.finding[0].upper()}{check.finding[1:]}.", "  "))
            if check.advice:
                lines.append(_wrap(f"  Advice: {check.advice}.", "  "))
        return "\n".join(lines) + notes

    def _repr_html_(self) -> str:
        said = {True: ("#14693b", "passed"), False: ("#9c2219", "failed"), None: ("#6b5200", "not judged")}
        verdict = "The draws look trustworthy." if self.passed else "Do not trust these draws yet."
        lines = []
        for check in sorted(self.checks, key=lambda check: (check.passed is not False, check.passed is True)):
            colour, word = said[check.passed]
            advice = element("div", f"Advice: {check.advice}.") if check.passed is False and check.advice else ""
            mark = element("td", word, style=f"color:{colour};vertical-align:top;text-align:left")
            finding = f"{check.finding[:1].upper()}{check.finding[1:]}."
            lines.append(element("tr", mark, element("td", finding, advice, style="text-align:left")))
        banner = element("b", verdict, style=f"color:{said[self.passed][0]}")
        return element("div", banner, element("table", element("tbody", *lines)))

    def as_json(self) -> dict[str, Any]:
        """The checks as JSON."""
        checks = [asdict(check) for check in self.checks]
        for check in checks:
            if check["value"] is not None and not math.isfinite(check["value"]):
                check["value"] = None
        return {"passed": self.passed, "checks": checks}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Diagnosis":
        """The inverse of `as_json`."""
        return cls(checks=tuple(Check(**check) for check in content["checks"]))


def _note(check: Check) -> str:
    return _wrap(f"Note: {check.finding}{f'; {check.advice}' if check.advice else ''}.", "  ")


def _wrap(text: str, indent: str = "") -> str:
    """Fill lines to the width of the terminal."""
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    return "\n".join(textwrap.wrap(text, width=width, subsequent_indent=indent, break_on_hyphens=False))
