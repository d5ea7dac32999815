"""A NaN or infinity is made in the backward pass, though the forward pass is finite.

What it measures
The first operation, from the loss on, whose incoming gradient is finite and whose outgoing gradient is not.

Why it matters
The loss looks fine and one optimizer step fills the weights with NaN. It happens where a derivative is infinite at a
finite value: `sqrt` and `norm` at zero, `x ** 0.5`, `acos` at one, and behind `torch.where`, which multiplies the
branch not taken by zero, and zero times infinity is NaN.

Limits and where they come from
None.

When it is wrong
Where something in front discards it: the derivative of ReLU, `clamp` and max-pooling picks values instead of multiplying by
zero, so `sqrt(relu(x))` sends an infinity backward that reaches no parameter. While every parameter's gradient is finite
this is a note.

What to do
Keep the argument away from the singular point inside the function (`sqrt(x.clamp_min(eps))`), and choose the safe argument
before the function, not the result after it.

References
PyTorch, "Numerical accuracy"; pytorch issue 6394 (gradient of sqrt at zero).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal

from gradcheck_cli.records import Finding, NonFinite, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, parameter_of, profile_of, stats_of
from gradcheck_cli.rules.nonfinite_origin import describe, lead_up
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC502",
    name="nonfinite-backward",
    summary="A NaN or infinity is made in the backward pass.",
    severity="error",
    hides=("GC101", "GC102", "GC103", "GC104", "GC105", "GC106", "GC503"),
)
CONFIRM = "none"  # one NaN is enough
EFFECT = Quantity("origins of NaN or infinity going backward", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    origin = next((n for n in profile.nonfinite if n.phase == "backward"), None)
    if origin is None:
        return
    harmed = any(p.gradient is not None and p.gradient.nonfinite for p in profile.parameters)
    effect = f"the loss itself is {profile.objective.value:g}" if harmed else "it is discarded before it reaches a parameter"
    yield Finding(
        code="GC502",
        severity="error" if harmed else "note",
        layer=origin.layer,
        site=origin.site,
        message=f"{describe(origin)}, going backward; {effect}",
        details=lead_up(origin),
        facts={"origin": origin.operation, "kind": origin.kind, "scope": "model"},
    )


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    return Reading(float(sum(n.phase == "backward" for n in profile.nonfinite)), 0.0)


def _example(*phases: Literal["forward", "backward"]) -> Profile:
    origins = tuple(NonFinite(phase=phase, layer="head", operation="sqrt", kind="nan") for phase in phases)
    parameters = (parameter_of("head.weight", gradient=None), parameter_of("head.bias", shape=(8,)))
    harmed = dataclasses.replace(parameters[0], state="measured", gradient=stats_of(nonfinite=3))
    return profile_of(layer_of("head"), nonfinite=origins, parameters=(harmed, parameters[1]))


FIRES = (lambda: _example("backward"),)
CLEAN = (profile_of, lambda: _example("forward"))
