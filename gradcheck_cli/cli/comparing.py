"""`scan --compare`: put beside each report what has changed since an earlier one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.clean import clean

if TYPE_CHECKING:  # imported when a scan has ended, so that --help stays quick
    from gradcheck_cli.records import Comparison, Scan
    from gradcheck_cli.settings import Gate


def read_earlier(gate: Gate) -> Sequence[Scan] | None:
    """Return what the earlier report holds, None where none is named. Raises E685 before a scan runs for minutes."""
    if gate.compare is None:
        return None
    from gradcheck_cli.gate.stored import read_scans

    return read_scans(gate.compare)


def with_comparisons(
    scans: Sequence[Scan], earlier: Sequence[Scan] | None, limit: float | None
) -> tuple[tuple[Scan, ...], int]:
    """Return the scans with their comparisons, and the exit code that follows: 1 for a regression, 2 for no comparison."""
    if earlier is None:
        return tuple(scans), 0
    from gradcheck_cli.gate.comparison import compare_scans, exit_code
    from gradcheck_cli.reporting.comparison_words import uncompared

    try:
        compared = compare_scans(earlier, scans)
    except GradcheckError as error:
        show_error(error, with_trace=False)
        return tuple(scans), 2
    asked = {scan.target for scan in scans}  # what else the earlier report holds is nobody's question
    sys.stderr.writelines(f"{clean(uncompared(each))}\n" for each in compared.uncompared if each.target in asked)
    made = {comparison.new.target: comparison for comparison in compared.comparisons}
    return tuple(_beside(scan, made) for scan in scans), exit_code(compared, limit)


def _beside(scan: Scan, made: Mapping[str, Comparison]) -> Scan:
    if scan.report is None:
        return scan
    return dataclasses.replace(scan, report=dataclasses.replace(scan.report, comparison=made.get(scan.report.target)))
