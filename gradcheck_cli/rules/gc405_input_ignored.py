"""The output does not depend on the input.

What it measures
How much the output differs between the samples of the batch and, where it does not differ at all, whether other values in
the input change it.

Why it matters
A model that gives the same answer to everything has nothing to learn from the data: its input is overwritten, multiplied by
zero, or lost behind a dead or saturated layer.

Limits and where they come from
`dependence` 0 (change of the output relative to its size): only exact independence counts; what is merely small is the
business of the vanishing-gradient and indistinct-samples rules.

When it is wrong
With an output head that starts at zero nothing depends on the input yet: such a head opens with the first optimizer
step, so the finding must still hold on a copy trained for some steps.

What to do
Check what the forward pass does with its argument (an overwritten variable, a wrong index, a mask of zeros).

References
A. Karpathy (2019), "A recipe for training neural networks": visualise what goes into the net, verify that it uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule
from gradcheck_cli.rules.examples import profile_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC405",
    name="input-ignored",
    summary="The output does not depend on the input.",
    severity="error",
    limits=(Limit(name="dependence", value=0.0, unit="relative change of the output", source="exact independence"),),
    hides=("GC203",),
)
CONFIRM = "training"
UNCONFIRMED = "silent"  # a zero output head, or a branch that starts shut
EVERY_OBJECTIVE = True
EFFECT = Quantity("change of the output", "share", worse="below")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    if profile.input_dependence is None or profile.input_dependence > limits["dependence"]:
        return
    yield Finding(
        code="GC405",
        severity="error",
        layer="",
        message="the output is the same whatever the input: nothing can be learnt from the data",
        facts={"dependence": profile.input_dependence},
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    return None if profile.input_dependence is None else Reading(profile.input_dependence, limits["dependence"])


FIRES = (lambda: profile_of(input_dependence=0.0),)
CLEAN = (lambda: profile_of(input_dependence=1e-12), lambda: profile_of(input_dependence=0.9), profile_of)
