"""Is the finding gone from the patched source, and has nothing come up instead?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradcheck_cli.records import Edit, Finding, Profile, Report

_NAMES_STAY = {"activation", "initialise", "scale_weights", "bias", "open_gate", "learning_rate", "optimizer", "weight_decay"}


def stray(before: Profile, after: Sequence[Profile], edits: Sequence[Edit]) -> str:
    """Return which layer the patched source has made another kind of that the edits leave alone, "" for none.

    Only where the edits leave all layers their names, so that they can be told apart.
    """
    profile = next((p for p in after if p.objective.name == before.objective.name), None)
    if profile is None or not {edit.kind for edit in edits} <= _NAMES_STAY:
        return ""
    named = {name for edit in edits for name in edit.layers}
    kinds = {x.name: x.kind for x in profile.layers if not x.functional}
    for layer in before.layers:
        if layer.role == "activation" and layer.name not in named and kinds.get(layer.name, layer.kind) != layer.kind:
            return f"the patched source makes `{layer.name}` a {kinds[layer.name]}, which the cure leaves alone"
    return ""


def renamed(before: Profile, after: Sequence[Profile]) -> tuple[str, ...]:
    """Return a note on parameters that have another name in the patched source, none where all keep theirs."""
    profile = next((p for p in after if p.objective.name == before.objective.name), None)
    if profile is None:
        return ()
    was, now = _shapes(before), _shapes(profile)
    moved = [name for name, shape in was.items() if now.get(name) != shape]
    if not moved:
        return ()
    first = moved[0]
    fresh = [name for name, shape in now.items() if was.get(name) != shape == was[first] and _last(name) == _last(first)]
    what = f"`{first}` becomes `{fresh[0]}`" if fresh else f"`{first}` is no more"
    more = ", among others" if len(moved) > 1 else ""
    return (f"state-dict keys change: {what}{more}; weights saved before do not load",)


def _shapes(profile: Profile) -> dict[str, tuple[int, ...]]:
    return {x.name: x.value.shape for x in profile.parameters}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def complaint(before: Report, after: Report, cured: Sequence[Finding]) -> str:
    """Return why the patched source is no cure of these findings, "" when it is one.

    Layers may have other names after a patch, so findings of one code are counted too, not only compared by place.
    """
    was, now = _grave(before), _grave(after)
    places = {_place(f) for f in now}
    for finding in cured:
        if _place(finding) in places:
            return f"{finding.code} {finding.name} is still found in the patched source"
    counts, gone = Counter(f.code for f in was), Counter(f.code for f in cured)
    for code, number in Counter(f.code for f in now).items():
        if number > counts[code] - gone[code]:
            found = next(f for f in now if f.code == code)
            where = f" at `{found.layer}`" if found.layer else ""
            return f"the patched source shows {code} {found.name}{where}"
    return ""


def _grave(report: Report) -> list[Finding]:
    return [f for f in report.findings if f.grave]


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.layer, finding.objective
