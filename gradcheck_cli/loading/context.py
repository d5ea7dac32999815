"""What every step of loading shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck_cli.loading.target import Target
from gradcheck_cli.settings import Settings


@dataclass(slots=True, kw_only=True)
class Context:
    """The user's names, the settings, and the guesses made so far; `base` is the directory gradcheck was run in."""

    settings: Settings
    target: Target
    base: Path
    space: dict[str, Any] = field(default_factory=dict)  # the live globals of the user's file
    module: str = ""  # its __name__
    source: str = ""
    assumptions: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    data_origin: str = ""  # where the batches come from, for the report

    @property
    def label(self) -> str:
        """The target without its attribute, as it is typed before `:Name`."""
        attribute = self.target.attribute
        return self.target.text.removesuffix(":" + attribute) if attribute else self.target.text

    def assume(self, sentence: str) -> None:
        """Keep one guess for the report, once."""
        if sentence not in self.assumptions:
            self.assumptions.append(sentence)

    def leave_out(self, sentence: str) -> None:
        """Keep a source of data that could not be used, for the report and for the error if no other is found."""
        self.left_out.append(sentence)
        self.assume(sentence)

    def defines(self, kind: object) -> bool:
        """Whether a class or function was written in the user's file and not imported into it."""
        return getattr(kind, "__module__", None) == self.module
