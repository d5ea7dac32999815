"""No trainable parameter receives any gradient.

What it measures
Whether any parameter that requires a gradient receives one that is not exactly zero, under any of the losses.

Why it matters
Nothing can be learnt. Either the loss is cut off from all parameters, or everything on the way multiplies by zero.

Limits and where they come from
None: a gradient is there or it is not.

When it is wrong
A batch on which the loss is exactly zero (all targets ignored, a margin that is met) gives zero gradients; other seeds
and batches are looked at before this is believed.

What to do
Follow the loss backward: is it computed from the model's output, without `.detach()`, `.item()`, rounding or `argmax`?

References
PyTorch, "Autograd mechanics".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import parameter_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC403",
    name="nothing-reached",
    summary="No trainable parameter receives any gradient.",
    severity="error",
    hides=("GC101", "GC102", "GC105", "GC106", "GC201", "GC302", "GC401", "GC405"),
)
CONFIRM = "repeats"
EVERY_OBJECTIVE = True
EFFECT = Quantity("trainable parameters without a gradient", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    trainable = [p for p in profile.parameters if p.state != "frozen"]
    if not trainable or any(_receives(p) for p in trainable):
        return
    reached = sum(p.gradient is not None for p in trainable)
    how = f"{reached} of {len(trainable)} are reached, with exactly zero" if reached else "the loss reaches none of them"
    yield Finding(
        code="GC403",
        severity="error",
        layer="",
        message=f"none of the {len(trainable)} trainable parameters receives a gradient: {how}",
        facts={"trainable": len(trainable), "reached": reached, "scope": "model"},
    )


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    """Return how many receive none; one that does is enough for this rule."""
    trainable = [p for p in profile.parameters if p.state != "frozen"]
    return Reading(float(sum(not _receives(p) for p in trainable)), len(trainable) - 1.0) if trainable else None


def _receives(parameter: ParameterProfile) -> bool:
    return parameter.gradient is not None and (parameter.gradient.abs_max > 0 or parameter.gradient.nonfinite > 0)


FIRES = (
    lambda: profile_of(parameters=(parameter_of("a.weight", gradient=None), parameter_of("b.weight", gradient=None))),
    lambda: profile_of(parameters=(parameter_of("a.weight", gradient=0.0), parameter_of("b.weight", gradient=None))),
)
CLEAN = (
    lambda: profile_of(parameters=(parameter_of("a.weight"), parameter_of("b.weight", gradient=None))),
    lambda: profile_of(parameters=(parameter_of("a.weight", gradient=None, state="frozen"),)),
)
