"""What a renderer is told about the place that its text goes to, and what it must know beside the scans."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gradcheck_cli.targets import file_of

if TYPE_CHECKING:  # the command line's start builds a Look, and should not wait for the records
    from gradcheck_cli.records import Finding, Rule, Scan, SourceSite


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    """A rule and its page, as `gradcheck explain` shows it."""

    rule: Rule
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to render. `width` None: plain lines without a limit. `source`: the text of lines by (file, line).

    `rules`: every rule, for formats that describe them. `folder`: the working directory, which sites are relative to, as
    seen from the project's root; "" when it is the root.
    """

    format: str = "text"
    layers: Literal["all", "worst", "none"] = "worst"
    depth: int | None = None
    width: int | None = None
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    hints: bool = True
    source: Mapping[tuple[str, int], str] = field(default_factory=dict)
    rules: tuple[RulePage, ...] = ()
    folder: str = ""

    def from_root(self, file: str) -> str:
        """Turn a site's file into a path relative to the project's root."""
        return posixpath.normpath(posixpath.join(self.folder, file))


def location(scan: Scan, finding: Finding) -> SourceSite:
    """Return the line to show a finding at: where its layer is built, else line 1 of the target's file (not exact)."""
    from gradcheck_cli.records import SourceSite

    site = scan.report.site_of(finding) if scan.report else None
    return site or SourceSite(file=file_of(scan.target), line=1, exact=False)
