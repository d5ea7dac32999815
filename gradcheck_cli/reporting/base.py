"""What a renderer is told about the place that its text goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to render. `width` None: plain lines without a limit. `source`: the text of lines by (file, line)."""

    format: Literal["text", "json"] = "text"
    layers: Literal["all", "worst", "none"] = "worst"
    depth: int | None = None
    width: int | None = None
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    hints: bool = True
    source: Mapping[tuple[str, int], str] = field(default_factory=dict)
