"""Findings that a comment in the source or a setting accepts, and what accepts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from gradcheck_cli.records import Finding, IgnoreComment, Report, Scan, SourceSite, Suppressed
from gradcheck_cli.rules import declared, gc901_unused_suppression
from gradcheck_cli.rules.selection import names, severity_of, suggestion
from gradcheck_cli.settings import LayerIgnore, Settings


@dataclass(frozen=True, slots=True)
class _Excuse:
    """One rule that one comment, or one entry of `per-layer-ignores`, names."""

    selector: str
    origin: IgnoreComment | LayerIgnore

    def accepts(self, finding: Finding, site: SourceSite | None) -> bool:
        """Say whether it is for a finding whose layer is built at this site."""
        if not names(finding.code, finding.name, self.selector):
            return False
        if isinstance(self.origin, LayerIgnore):
            return _matches(finding.layer, self.origin.pattern)
        return site is not None and site.file == self.origin.file and site.line in self.origin.covers

    @property
    def by(self) -> Literal["comment", "setting"]:
        return "comment" if isinstance(self.origin, IgnoreComment) else "setting"

    @property
    def site(self) -> SourceSite | None:
        return SourceSite(file=self.origin.file, line=self.origin.line) if self.origin.file else None


def suppress(report: Report, comments: Sequence[IgnoreComment], settings: Settings) -> Report:
    """Move what is accepted from the findings to the suppressed ones, and raise GC901 for what accepts nothing."""
    excuses = [
        *(_Excuse(s, comment) for comment in comments for s in comment.selectors if not _is_blanket(s)),
        *(_Excuse(s, ignore) for ignore in settings.per_layer_ignores for s in ignore.selectors),
    ]
    sites = [report.site_of(finding) for finding in report.findings]
    counted: list[Finding] = []
    accepted: list[Suppressed] = []
    used: set[int] = set()
    for finding, site in zip(report.findings, sites, strict=True):
        hits = [i for i, excuse in enumerate(excuses) if excuse.accepts(finding, site)]
        used.update(hits)
        if hits:
            first = excuses[hits[0]]
            reason = first.origin.reason if isinstance(first.origin, IgnoreComment) else ""
            accepted.append(
                Suppressed(
                    finding=finding,
                    by=first.by,
                    selector=first.selector,
                    pattern=first.origin.pattern if isinstance(first.origin, LayerIgnore) else "",
                    reason=reason,
                    site=first.site,
                )
            )
        else:
            counted.append(finding)
    idle = [excuse for i, excuse in enumerate(excuses) if i not in used]
    blanket = [c for c in comments if not c.selectors or any(map(_is_blanket, c.selectors))]
    counted += _unused(report.checked, idle, blanket, settings)
    return dataclasses.replace(report, findings=tuple(counted), suppressed=(*report.suppressed, *accepted))


def _is_blanket(selector: str) -> bool:
    """Say whether a comment's selector names more than a family of rules: that is told to be unused."""
    return selector.upper() == "ALL" or len(selector) < len("GC1")


def _matches(layer: str, pattern: str) -> bool:
    """Match the layer's name, and of a functional operation (`block/sigmoid`) also that of the module it belongs to.

    What is about no layer is called as reports call it.
    """
    layer = layer or "(model)"
    return fnmatchcase(layer, pattern) or fnmatchcase(layer.partition("/")[0], pattern)


def _unused(
    checked: Sequence[str], idle: Sequence[_Excuse], blanket: Sequence[IgnoreComment], settings: Settings
) -> Iterator[Finding]:
    """Raise GC901; a rule that was not asked leaves open whether its suppression is needed."""
    rule = gc901_unused_suppression.RULE
    if rule.code not in checked:
        return
    severity = severity_of(rule, settings) or rule.severity
    known = [d.rule for d in declared()]
    for comment in blanket:
        why = "it names no rule; write `# gradcheck: ignore[GC101] reason`"
        site = SourceSite(file=comment.file, line=comment.line)
        yield gc901_unused_suppression.finding("", site, why, severity)
    for excuse in idle:
        meant = [r.code for r in known if names(r.code, r.name, excuse.selector)]
        place = f"on a layer called `{excuse.origin.pattern}`" if isinstance(excuse.origin, LayerIgnore) else "on its line"
        if not meant:
            why = f"no rule is called so; {suggestion(excuse.selector, known)}"
        elif set(meant).isdisjoint(checked):
            continue
        else:
            why = f"nothing of the kind was found {place}"
        pattern = excuse.origin.pattern if isinstance(excuse.origin, LayerIgnore) else ""
        yield gc901_unused_suppression.finding(excuse.selector, excuse.site, why, severity, pattern=pattern)


def settle(scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """Take back GC901 where another target of the same run needs the suppression, or has no verdict that could tell."""
    used = {(s.site, s.selector, s.pattern) for scan in scans if scan.report for s in scan.report.suppressed}
    unknown = any(scan.report is None for scan in scans)
    seen: set[tuple[SourceSite | None, str, str]] = set()
    settled = []
    for scan in scans:
        if scan.report is None:
            settled.append(scan)
            continue
        kept = []
        for finding in scan.report.findings:
            key = finding.site, str(finding.facts.get("selector")), str(finding.facts.get("pattern"))
            if finding.code != gc901_unused_suppression.RULE.code:
                kept.append(finding)
            elif not unknown and key not in used and key not in seen:
                seen.add(key)
                kept.append(finding)
        settled.append(dataclasses.replace(scan, report=dataclasses.replace(scan.report, findings=tuple(kept))))
    return tuple(settled)
