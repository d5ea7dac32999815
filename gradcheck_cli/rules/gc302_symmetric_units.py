"""All units of a layer start with the same weights and stay the same.

What it measures
Weights whose output rows are all equal, after a copy of the model has been trained for some steps.

Why it matters
Units with the same weights compute the same value and receive the same gradient: a layer of a thousand units is worth one.

Limits and where they come from
None: rows are equal or they are not, before and after training.

When it is wrong
A zero-initialised layer starts with equal rows and is fine, because its rows receive different gradients (the last layer of
a residual branch, an output head, the second half of a low-rank adapter). So only what is still equal after training
counts. A weight that is all zero and already receives gradient is no suspect to begin with. Where all hidden layers on the
way to the loss start with equal rows, it stays a warning even if training parts the units: rounding and random biases did
that, not the data. Two zero gates around a randomly initialised branch (ControlNet) are not all.

What to do
Initialise at random: the default of `nn.Linear`, Xavier or He. Only biases and norm scales may start constant.

References
I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 8.4: initial parameters need to break symmetry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import parameter_of, profile_of
from gradcheck_cli.rules.paths import forward_path, listed, weights_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC302",
    name="symmetric-units",
    summary="All units of a layer start with the same weights and stay the same.",
    severity="error",
    hides=("GC101", "GC102", "GC105", "GC201", "GC202", "GC203", "GC204", "GC205", "GC301", "GC405"),
)
CONFIRM = "training"
EFFECT = Quantity("weights with equal rows", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    alike = [p for p in profile.parameters if _stuck(p)]
    if not alike:
        return
    first, rest = alike[0], alike[1:]
    units = first.value.shape[0]
    yield Finding(
        code="GC302",
        severity="error",
        layer=first.layer,
        parameter=first.name,
        site=first.site,
        message=f"all {units} units of `{first.name}` have the same weights"
        + (f" (RMS {first.value.rms:.2g})" if first.value.rms else " (zero)"),
        details=((("further", listed([p.name for p in rest])),) if rest else ()),
        facts={"units": units, "value": first.value.rms, "parameters": len(alike), "everywhere": _everywhere(profile)},
        affected=tuple(dict.fromkeys(p.layer for p in rest if p.layer != first.layer)),
    )


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    return Reading(float(sum(_stuck(p) for p in profile.parameters)), 0.0)


def reconsider(finding: Finding, profile: Profile, limits: Mapping[str, float]) -> Finding | None:
    """Keep what training does not part; equal rows that part are the usual zero-initialised branch, unless all start so."""
    last = profile.confirmation.trained[-1] if profile.confirmation and profile.confirmation.trained else None
    if last is None:
        return finding
    after = f"{last.steps} {last.optimizer} steps on a copy"
    if any(True for _ in check(last.profile, limits)):
        return dataclasses.replace(finding, confirmed=f"still there after {after}")
    if not finding.facts["everywhere"]:
        return None
    words = f"{after} part the units, by rounding and by random biases"
    return dataclasses.replace(finding, severity="warning", confirmed=words)


def _everywhere(profile: Profile) -> bool:
    """Say whether all linear layers on the way to the loss but the last, and at least two, start with equal rows."""
    weights = weights_of(profile)
    hidden = [weights[x.name] for x in forward_path(profile) if x.role == "linear" and x.name in weights][:-1]
    return len(hidden) >= 2 and all(p.identical_units for p in hidden)


def _stuck(parameter: ParameterProfile) -> bool:
    if not parameter.identical_units or parameter.role not in ("weight", "recurrent") or parameter.state != "measured":
        return False
    moves = parameter.gradient is not None and parameter.gradient.abs_max > 0
    return parameter.value.rms > 0 or not moves


def _example(rms: float, gradient: float | None, **fields: object) -> Profile:
    return profile_of(parameters=(parameter_of("fc.weight", rms=rms, gradient=gradient, identical_units=True, **fields),))


FIRES = (lambda: _example(0.05, 0.01), lambda: _example(0.0, 0.0))
CLEAN = (
    lambda: _example(0.0, 0.01),  # a zero head that is about to move
    lambda: _example(0.0, 0.0, role="scale"),
    lambda: _example(0.0, None, state="frozen"),
    lambda: profile_of(parameters=(parameter_of("fc.weight"),)),
)
