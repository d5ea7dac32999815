"""JUnit XML: a suite for each target and rule, so that a build server lists findings among its tests.

An error or a warning is a failed case, a rule that found nothing a passed one, an accepted finding a skipped one, and a
target without a verdict a case with an error. A note fails nothing: it is a passed case whose output is the message. There
are no times: the same scan gives the same bytes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from gradcheck_cli.records import Failure, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.results import Result, results, told_apart, why

_OUTCOMES = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render all targets. ASCII only: every other character is a reference; what XML forbids is written as an escape."""
    targets = told_apart(scan.target or "gradcheck" for scan in scans)
    suites = [suite for scan, target in zip(scans, targets, strict=True) for suite in _suites(scan, target, look)]
    totals = {key: str(sum(int(suite.get(key, "0")) for suite in suites)) for key in ("tests", "failures", "errors")}
    root = ET.Element("testsuites", {"name": "gradcheck", **totals})
    root.extend(suites)
    ET.indent(root)
    text = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suites(scan: Scan, target: str, look: Look) -> list[ET.Element]:
    """Make a suite named `<target>: <code> <name>` for each rule that was asked or has found something, by code."""
    if scan.error is not None:
        return [_no_verdict(target, scan.error)]
    names = {page.rule.code: page.rule.name for page in look.rules}
    by_code: dict[str, list[Result]] = {code: [] for code in (scan.report.checked if scan.report else ())}
    for result in results(scan):
        by_code.setdefault(result.finding.code, []).append(result)
        names.setdefault(result.finding.code, result.finding.name)
    return [_suite(target, code, names.get(code, ""), found) for code, found in sorted(by_code.items())]


def _suite(target: str, code: str, rule: str, found: Sequence[Result]) -> ET.Element:
    title = clean(f"{target}: {code} {rule}".rstrip())
    if not found:
        return _counted(title, [ET.Element("testcase", name=clean(rule or code), classname=title)])
    names = told_apart(_name(result) for result in found)
    return _counted(title, [_case(title, name, result) for name, result in zip(names, found, strict=True)])


def _counted(title: str, cases: Sequence[ET.Element]) -> ET.Element:
    counts = {key: str(sum(case.find(tag) is not None for case in cases)) for key, tag in _OUTCOMES.items()}
    suite = ET.Element("testsuite", {"name": title, "tests": str(len(cases)), **counts})
    suite.extend(cases)
    return suite


def _name(result: Result) -> str:
    """Name a case by what its finding is about, never by a number: a build server compares runs by name."""
    finding = result.finding
    parameter = f" {finding.parameter}" if finding.parameter else ""
    objective = f" under {finding.objective}" if finding.objective and len(result.report.profiles) > 1 else ""
    return clean(f"{result.layer}{parameter}{objective}")


def _case(title: str, name: str, result: Result) -> ET.Element:
    finding, accepted = result.finding, result.suppressed
    case = ET.Element("testcase", name=name, classname=title)
    if accepted:
        reason = f": {accepted.reason}" if accepted.reason else ""
        ET.SubElement(case, "skipped", type=accepted.by, message=clean(f"accepted by {accepted.by}{reason}"))
    elif finding.grave:
        failure = ET.SubElement(case, "failure", type=finding.severity, message=clean(result.message))
        failure.text = _evidence(result)
    else:
        ET.SubElement(case, "system-out").text = f"note: {clean(result.message)}\n{_evidence(result)}"
    return case


def _evidence(result: Result) -> str:
    finding = result.finding
    place = f"{result.site.file}:{result.site.line}{result.remark}"
    lines = [place, *(f"{label}: {text}" for label, text in finding.details)]
    lines += [f"confirmed: {finding.confirmed}"] if finding.confirmed else []
    lines += [result.cure] if result.cure else []
    return "\n".join(map(clean, lines))


def _no_verdict(target: str, failure: Failure) -> ET.Element:
    title = clean(f"{target}: no verdict")
    case = ET.Element("testcase", name="scan", classname=title)
    error = ET.SubElement(case, "error", type=clean(failure.id), message=clean(f"{failure.id} {why(failure)}"))
    error.text = clean(failure.where or "")
    return _counted(title, [case])
