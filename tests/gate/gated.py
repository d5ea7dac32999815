"""Small reports to gate: a chain of layers with findings on some of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gradcheck_cli.gate.decide import decide
from gradcheck_cli.records import Finding, IgnoreComment, Profile, Report, SourceSite
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings


def chain(gain: float, layers: int) -> Profile:
    """Linear layers whose gradients shrink by `gain` from one to the one before it; layer i is built on line 10 + i."""
    profile = profile_of(*[layer_of(f"net.{i}", gradient=0.01 * gain ** (layers - 1 - i)) for i in range(layers)])
    placed = tuple(
        dataclasses.replace(x, site=SourceSite(file="model.py", line=10 + int(x.name[4:]))) if x.name.startswith("net.") else x
        for x in profile.layers
    )
    return dataclasses.replace(profile, target="model.py", layers=placed)


def judged(profile: Profile, *more: Finding, **options: object) -> tuple[Report, Settings]:
    """The report of a profile before anything is accepted, and settings for it."""
    settings = Settings(**{"target": "model.py", "identity": "model.py", **options})
    return Report(tool_version="0.1.0", profiles=(profile,), findings=(*judge((profile,), settings), *more)), settings


def gated(profile: Profile, *more: Finding, comments: tuple[IgnoreComment, ...] = (), **options: object) -> Report:
    """The report of a profile as the gate leaves it."""
    report, settings = judged(profile, *more, **options)
    return decide(report, comments, settings)


def dead(layer: str, line: int | None = None) -> Finding:
    """A finding that one layer has dead units."""
    site = None if line is None else SourceSite(file="model.py", line=line)
    return Finding(code="GC201", name="dead-units", severity="error", layer=layer, site=site, message=f"`{layer}` is dead")


def comment(line: int, *selectors: str, covers: tuple[int, ...] = (), reason: str = "") -> IgnoreComment:
    return IgnoreComment(file="model.py", line=line, covers=(line, *covers), selectors=selectors, reason=reason)


def written(folder: Path, text: str) -> str:
    file = folder / "baseline.json"
    file.write_text(text, "utf-8")
    return str(file)
