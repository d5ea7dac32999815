"""The data hold NaN or infinity.

What it measures
Non-finite values in the tensors of the batch and in the targets.

Why it matters
One NaN in the input reaches every weight of the model in one step.

Limits and where they come from
None: one such value is enough.

When it is wrong
A model that replaces missing values itself (`torch.nan_to_num`, a mask) is fine; where loss and gradients are finite this
is a note.

What to do
Find the rows, drop or impute them; guard the loading code with an assertion.

References
IEEE 754-2019, section 6.2: NaN propagates through arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Profile, Rule, TensorStats
from gradcheck_cli.rules.examples import input_of, objective_of, profile_of, stats_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC603",
    name="nonfinite-input",
    summary="The data hold NaN or infinity.",
    severity="error",
    hides=(
        "GC101", "GC102", "GC103", "GC104", "GC105", "GC106", "GC201", "GC202", "GC203", "GC204", "GC205", "GC301", "GC403",
        "GC405", "GC501", "GC502", "GC503", "GC504", "GC601", "GC602", "GC606", "GC607",
    ),
)  # fmt: skip
CONFIRM = "none"
EFFECT = Quantity("values that are NaN or infinite", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    found = _found(profile)
    if not found:
        return
    gradients = [p.gradient for p in profile.parameters if p.gradient is not None]
    harmless = math.isfinite(profile.objective.value) and not any(g.nonfinite for g in gradients)
    where = ", ".join(f"`{name}`: {stats.nonfinite} of {stats.numel} values" for name, stats in found)
    yield Finding(
        code="GC603",
        severity="note" if harmless else "error",
        layer="",
        message=f"the data hold NaN or infinity: {where}"
        + ("; loss and gradients are finite all the same" if harmless else ""),
        facts={"inputs": [name for name, _ in found], "scope": "model"},
    )


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    return Reading(float(sum(stats.nonfinite for _, stats in _found(profile))), 0.0)


def _found(profile: Profile) -> list[tuple[str, TensorStats]]:
    found = [(t.name, t.stats) for t in profile.batch if t.stats.nonfinite]
    target = profile.objective.target
    return [*found, ("target", target)] if target is not None and target.nonfinite else found


FIRES = (
    lambda: profile_of(batch=(input_of(stats=stats_of(nonfinite=3)),), objective=objective_of(value=math.nan)),
    lambda: profile_of(objective=objective_of("mse", value=math.nan, target=stats_of(nonfinite=1))),
    lambda: profile_of(batch=(input_of(stats=stats_of(nonfinite=3)),)),
)
CLEAN = (profile_of,)
