"""Weights that are frozen.

What it measures
Weights with `requires_grad = False`, as a share of all parameters, and whether their BatchNorm layers still run in training
mode.

Why it matters
Usually freezing is meant, so this is a note: it says what the verdict leaves out. A frozen BatchNorm in training mode is
not frozen altogether: it normalises with the batch at hand and keeps updating its running statistics.

Limits and where they come from
`share` 0.001 (share of the parameters): a frozen position table or filter bank is not worth a line.

When it is wrong
Never more than a note. Adapters (LoRA) freeze nearly everything on purpose.

What to do
Nothing, if it is meant. Call `.eval()` on a frozen backbone with BatchNorm after each `model.train()`.

References
PyTorch, "Autograd mechanics", setting requires_grad and evaluation mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import listed
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC402",
    name="frozen-weights",
    summary="Weights that are frozen.",
    severity="note",
    limits=(Limit(name="share", value=0.001, unit="share of parameters", source="chosen: a small table is no news"),),
)
CONFIRM = "none"
EVERY_OBJECTIVE = True
EFFECT = Quantity("frozen weights", "share")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    frozen = _frozen(profile)
    total = sum(p.value.numel for p in profile.parameters)
    values = sum(p.value.numel for p in frozen)
    if not frozen or values < limits["share"] * total:
        return
    held = {p.layer for p in profile.parameters if p.state == "frozen"}
    moving = [x.name for x in profile.layers if x.name in held and "BatchNorm" in x.kind and x.mode == "train" and x.calls]
    layers = list(dict.fromkeys(p.layer for p in frozen))
    yield Finding(
        code="GC402",
        severity="note",
        layer=layers[0],
        site=frozen[0].site,
        message=f"{values / total:.0%} of the parameters are frozen weights: {listed(layers, 3)}",
        details=(
            (("but", f"BatchNorm still runs in training mode and updates its statistics: {listed(moving, 3)}"),)
            if moving
            else ()
        ),
        facts={"share": values / total, "weights": len(frozen), "batchnorm_in_training": bool(moving)},
        affected=tuple(layers[1:]),
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    total = sum(p.value.numel for p in profile.parameters)
    return Reading(sum(p.value.numel for p in _frozen(profile)) / total, limits["share"]) if total else None


def _frozen(profile: Profile) -> list[ParameterProfile]:
    return [p for p in profile.parameters if p.state == "frozen" and p.role in ("weight", "recurrent", "embedding")]


def _frozen_backbone() -> Profile:
    return profile_of(
        layer_of("backbone.0"),
        layer_of("backbone.1", "BatchNorm2d"),
        layer_of("head"),
        parameters=(
            parameter_of("backbone.0.weight", gradient=None, state="frozen"),
            parameter_of("backbone.1.weight", gradient=None, state="frozen", shape=(32,), role="scale"),
            parameter_of("head.weight"),
        ),
    )


FIRES = (_frozen_backbone,)
CLEAN = (
    lambda: profile_of(parameters=(parameter_of("a.weight"), parameter_of("a.bias", shape=(8,)))),
    lambda: profile_of(
        parameters=(
            parameter_of("a.weight", shape=(512, 512)),
            parameter_of("pos.weight", gradient=None, state="frozen", role="embedding", shape=(8, 8)),
        )
    ),
)
