"""What the tests of the pytest plugin share: settings of a project, and the outcomes of a run."""

from __future__ import annotations

import re

import pytest


def configure(pytester: pytest.Pytester, *lines: str) -> None:
    (pytester.path / "pyproject.toml").write_text("\n".join(["[tool.gradcheck]", *lines, ""]), "utf-8")


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """Return the outcome of each test by its node id, from the lines of -v or -rA."""
    how = "(PASSED|FAILED|ERROR)"
    found = [re.match(rf"(?:{how} )?(?:\[gw\d\] .*{how} )?([^ ]+::[^ ]+)(?:.* {how})?", line) for line in result.outlines]
    return {line[3]: line[1] or line[2] or line[4] for line in found if line and (line[1] or line[2] or line[4])}
