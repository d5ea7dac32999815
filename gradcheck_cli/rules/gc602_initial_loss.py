"""The first loss of a classifier is far above that of a guess.

What it measures
The cross-entropy of output and target with a plain mean, recomputed so that weights, reductions and factors of the loss have
no say, against that of a uniform guess: ln C for C classes.

Why it matters
A new classifier knows nothing and should lose about ln C. Ten times that means logits of large size: it is certain and
wrong, and spends its first steps on unlearning it. Usually something in front is too large: input, weights, or logits
that are not divided by the square root of the width.

Limits and where they come from
`ratio` 10: sound networks start between 0.9 and 1.5; language models with an output embedding of standard deviation
one reach 3 to 6 and train.

When it is wrong
A trained model on data it was not trained for. A loss far below ln C is no finding: it may have been trained.

What to do
Scale the output layer down (multiply its weight by 0.1 or start it at zero), and look at the scale of the input.

References
A. Karpathy, "A Recipe for Training Neural Networks" (2019): verify loss at init.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule
from gradcheck_cli.rules.examples import objective_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC602",
    name="overconfident-start",
    summary="The first loss of a classifier is far above that of a guess.",
    severity="warning",
    limits=(Limit(name="ratio", value=10.0, unit="cross-entropy over ln C", source="sound networks start below 6"),),
)
CONFIRM = "repeats"
UNCONFIRMED = "silent"  # a matter of this batch
EFFECT = Quantity("first loss / ln C", "", log=True)


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    loss, uniform = profile.objective.class_loss, profile.objective.uniform_loss
    if loss is None or not uniform or not loss > limits["ratio"] * uniform:
        return
    classes = f" over {profile.objective.classes} classes" if profile.objective.classes else ""
    yield Finding(
        code="GC602",
        severity="warning",
        layer="",
        message=f"the first loss is {loss:.3g} where a uniform guess{classes} has {uniform:.3g}: "
        f"{loss / uniform:.2g} times as much (limit {limits['ratio']:g})",
        facts={
            "ratio": loss / uniform,
            "classes": profile.objective.classes,
            "output_factor": float(f"{uniform / loss:.1g}"),  # the loss of large logits is proportional to them
        },
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    loss, uniform = profile.objective.class_loss, profile.objective.uniform_loss
    return Reading(loss / uniform, limits["ratio"]) if loss is not None and uniform else None


FIRES = (lambda: profile_of(objective=objective_of(class_loss=190.0, uniform_loss=2.3, classes=10)),)
CLEAN = (
    lambda: profile_of(objective=objective_of(class_loss=2.4, uniform_loss=2.3, classes=10)),
    lambda: profile_of(objective=objective_of(class_loss=9.0, uniform_loss=2.3, classes=10)),
    lambda: profile_of(objective=objective_of(class_loss=0.01, uniform_loss=2.3, classes=10)),  # trained
    lambda: profile_of(objective=objective_of("mse")),
)
