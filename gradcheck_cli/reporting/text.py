"""The report for a person."""

from __future__ import annotations

from gradcheck_cli.records import Report
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean


def render(report: Report, look: Look) -> str:
    """Render the report as lines."""
    lines = []
    for finding in report.findings:
        lines.append(f"{finding.severity} {finding.code} {finding.name}  {clean(finding.message)}")
        lines += [f"  {clean(label)}  {clean(text)}" for label, text in finding.details]
    return "\n".join(lines or ["healthy"]) + "\n"
