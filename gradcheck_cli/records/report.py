"""What a scan results in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcheck_cli.records.comparison import Comparison
from gradcheck_cli.records.findings import SEVERITIES, Finding, Prescription, Severity, Trial, at_least
from gradcheck_cli.records.gating import BaselineCheck, CloseCall, Suppressed
from gradcheck_cli.records.layers import SourceSite
from gradcheck_cli.records.profile import SCHEMA_VERSION, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a scan; one profile for each objective (a GAN has two)."""

    schema_version: str = SCHEMA_VERSION
    tool_version: str
    profiles: tuple[Profile, ...]
    findings: tuple[Finding, ...]
    prescriptions: tuple[Prescription, ...] = ()
    trials: tuple[Trial, ...] = ()  # for each finding in the findings' order, best first
    settings: Mapping[str, Any] = field(default_factory=dict)  # what the verdict depends on, echoed
    identity: str = ""  # the target as fingerprints and comparisons know it, from whichever folder it was scanned
    checked: tuple[str, ...] = ()  # codes of the rules that were asked
    suppressed: tuple[Suppressed, ...] = ()  # found, but accepted by a comment, a setting or the baseline
    baseline: BaselineCheck | None = None
    close_calls: tuple[CloseCall, ...] = ()
    comparison: Comparison | None = None  # with an earlier report, where one was asked for

    @property
    def target(self) -> str:
        """What was scanned, as it was named."""
        return self.profiles[0].target

    def site_of(self, finding: Finding) -> SourceSite | None:
        """The line that builds the finding's layer, else what holds it, else the model; None where no line is known."""
        if finding.site is not None:
            return finding.site
        sites = {layer.name: layer.site for profile in self.profiles for layer in profile.layers if layer.site}
        name = finding.layer.partition("/")[0]
        while name and name not in sites:
            name = name.rpartition(".")[0]
        found = sites.get(name)
        return None if found is None else dataclasses.replace(found, exact=found.exact and name == finding.layer)

    def worst(self) -> Severity | None:
        """The gravest severity among the findings, None when there is none."""
        return next((s for s in SEVERITIES if any(f.severity == s for f in self.findings)), None)

    def fails(self, bar: Severity) -> bool:
        """Whether a finding is at least as grave as the bar."""
        return any(at_least(f.severity, bar) for f in self.findings)

    def prescriptions_for(self, finding: Finding) -> list[Prescription]:
        """Return the suggestions for a finding, in the order to try them."""
        return [p for p in self.prescriptions if (p.code, p.layer) == (finding.code, finding.layer)]

    def trials_for(self, finding: Finding) -> list[Trial]:
        """Return what was tried for a finding, best first."""
        key = finding.code, finding.layer, finding.objective
        return [t for t in self.trials if (t.code, t.layer, t.objective) == key]

    def _repr_html_(self) -> str:
        """Show the report in a notebook; the view is imported when one asks for it."""
        from gradcheck_cli.reporting.notebook import page

        return page(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutline:
    """A layer before anything is measured; counts are of the parameters that it holds itself."""

    name: str
    kind: str
    parameters: int
    trainable: int
    aliases: tuple[str, ...] = ()  # further names of the same module
    site: SourceSite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The layers of a model that was built and not run."""

    schema_version: str = SCHEMA_VERSION
    target: str
    model_kind: str
    layers: tuple[LayerOutline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no verdict: a GradcheckError without its trace. `id` is stable."""

    id: str
    what: str
    why: str
    do: str
    where: str | None  # the user's file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What became of one target: a report, or the reason why there is none."""

    target: str
    report: Report | None = None
    error: Failure | None = None
