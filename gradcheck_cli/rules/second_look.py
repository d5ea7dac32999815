"""What a finding becomes once it was looked at again: other seeds, other batches, a trained copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from gradcheck_cli.records import Finding, Profile, TrainedProbe
from gradcheck_cli.rules import RuleFile
from gradcheck_cli.rules.root_causes import layers_of

_Limits = Mapping[str, float]


def look_again(finding: Finding, file: RuleFile, profile: Profile, limits: _Limits) -> Finding | None:
    """Return the finding with what the second look showed: confirmed, softened to a note, or None.

    Without a second look in the profile, and for rules that one look decides, the finding is as it was.
    """
    looks = profile.confirmation
    if looks is None or file.confirm == "none":
        return finding
    if file.reconsider is not None:
        return file.reconsider(finding, profile, limits)
    again = sum(_raised(finding, file, repeat, limits) for repeat in looks.repeats)
    of = len(looks.repeats)
    seen = f"raised again in {again} of {of} looks with other seeds and batches" if of else ""
    if of and 2 * again <= of:
        return _softened(finding, file, f"{seen}: it depends on the seed or the batch")
    last = looks.trained[-1] if file.confirm == "training" and looks.trained else None
    if last is None:
        return dataclasses.replace(finding, confirmed=seen)
    after = f"after {last.steps} {last.optimizer} steps on a copy"
    if _raised(finding, file, last.profile, limits):
        return dataclasses.replace(finding, confirmed="; ".join(w for w in (seen, f"still there {after}") if w))
    return _softened(finding, file, f"gone {after}{_pattern(profile, last)}")


def _raised(finding: Finding, file: RuleFile, profile: Profile, limits: _Limits) -> bool:
    """Say whether the rule raises the same again: same code, a layer in common (the worst of a group may change)."""
    where = layers_of(finding)
    return any(not where or not (w := layers_of(f)) or where & w for f in file.check(profile, limits))


def _softened(finding: Finding, file: RuleFile, seen: str) -> Finding | None:
    if file.unconfirmed == "silent":
        return None
    return dataclasses.replace(finding, severity="note", confirmed=seen)


def _pattern(profile: Profile, last: TrainedProbe) -> str:
    """Name the known harmless cause where the profile tells: a part that starts at zero and has begun to move."""
    trained = {parameter.name: parameter for parameter in last.profile.parameters}
    for parameter in profile.parameters:
        now = trained.get(parameter.name)
        opens = parameter.value.rms == 0.0 and now is not None and now.value.rms > 0.0
        if opens and parameter.role in ("weight", "scale", "other"):
            return f": zero-initialised part (`{parameter.name}`) that training opens"
    return ""
