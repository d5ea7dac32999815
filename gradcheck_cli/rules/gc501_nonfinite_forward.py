"""A NaN or infinity is made in the forward pass.

What it measures
The first operation, in execution order, whose input is finite and whose output is not; or a parameter that already holds
such a value. The lines before it show how the numbers got there.

Why it matters
Everything computed from it is lost: the loss, and with it every gradient and every weight after one step.

Limits and where they come from
None. Minus infinity that stays inside (an attention mask) is no finding while loss and gradients are finite.

When it is wrong
A NaN in rows that the loss leaves out does not reach it; that is a warning, because a gradient of zero times NaN is NaN.

What to do
`log(x + eps)`, `sqrt(x + eps)`, `softmax` with the maximum subtracted (`F.log_softmax`), a bound on exponents; never divide
by a norm or a count that can be zero. In float16 look at GC504 first.

References
PyTorch, "Numerical accuracy"; D. Goldberg (1991).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from gradcheck_cli.records import Finding, NonFinite, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, objective_of, profile_of
from gradcheck_cli.rules.nonfinite_origin import describe, lead_up
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC501",
    name="nonfinite-forward",
    summary="A NaN or infinity is made in the forward pass.",
    severity="error",
    hides=(
        "GC101", "GC102", "GC103", "GC104", "GC105", "GC106", "GC201", "GC202", "GC203", "GC204", "GC205", "GC301", "GC302",
        "GC401", "GC403", "GC405", "GC502", "GC503", "GC602", "GC604", "GC606", "GC607",
    ),
)  # fmt: skip
CONFIRM = "none"  # one NaN is enough
EFFECT = Quantity("origins of NaN or infinity", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    for parameter in profile.parameters:
        if parameter.value.nonfinite:
            yield Finding(
                code="GC501",
                severity="error",
                layer=parameter.layer,
                parameter=parameter.name,
                site=parameter.site,
                message=f"`{parameter.name}` itself holds {parameter.value.nonfinite} values that are NaN or infinite",
                facts={"origin": "parameter", "scope": "model"},
            )
            return
    origin = next((n for n in profile.nonfinite if n.phase == "forward"), None)
    harmed = _harmed(profile)
    if origin is None or not (harmed or origin.kind == "nan"):
        return
    yield Finding(
        code="GC501",
        severity="error" if harmed else "warning",
        layer=origin.layer,
        site=origin.site,
        message=f"{describe(origin)}; the loss is {profile.objective.value:g}",
        details=lead_up(origin),
        facts={"origin": origin.operation, "kind": origin.kind, "scope": "model"},
    )


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    """Count them; parameters that hold such values count too, and harmless infinities (masks) do not."""
    made = [n for n in profile.nonfinite if n.phase == "forward" and (n.kind == "nan" or _harmed(profile))]
    return Reading(float(len(made) + sum(p.value.nonfinite > 0 for p in profile.parameters)), 0.0)


def _harmed(profile: Profile) -> bool:
    gradients = (p.gradient for p in profile.parameters)
    return not math.isfinite(profile.objective.value) or any(g is not None and g.nonfinite for g in gradients)


def _example(kind: Literal["nan", "inf"], loss: float) -> Profile:
    origin = NonFinite(phase="forward", layer="head", operation="log", kind=kind, lead_up=(("net.3: exp", 0.0),))
    return profile_of(layer_of("head"), nonfinite=(origin,), objective=objective_of(value=loss))


FIRES = (lambda: _example("nan", math.nan), lambda: _example("inf", math.inf), lambda: _example("nan", 1.0))
CLEAN = (lambda: _example("inf", 2.3), profile_of)  # a mask of minus infinity
