"""An optimizer step moves the weights far too much, or hardly at all.

What it measures
For every weight matrix the size of the optimizer's first update over the size of the weight itself (L2 over L2), for the
optimizer and learning rate found in the file or given with `--optimizer` and `--lr`; then the median over the weights.
Biases, norm scales, embeddings (only the rows of the batch move), weights that start at zero or constant, weights
without any gradient yet (behind a part that starts at zero), and gradients that are zero or rounding noise do not count.

Why it matters
A step that is as large as the weight overwrites the initialisation: the next loss has nothing to do with this one. A step
of a millionth of the weight needs a million steps to change anything. Around one thousandth is customary.

Limits and where they come from
`too-high` 1 (ratio): above it the first step replaces more than the weight itself. Adam moves every element by the learning
rate, so lr 1e-3 gives 0.01 to 0.1 at usual widths and trains; the limit leaves a decade for small and for very wide layers.
`too-low` 1e-6 (ratio): a thousandth of the smallest ratio in common advice (1e-3); half precision could not even store it.
`vanished` 3 (decades of steady drop along the spine): from there on a ratio that is too low is what GC101 already explains,
and no learning rate makes up for it.

When it is wrong
A warm-up starts from a tiny learning rate on purpose (a rate of exactly zero is passed over). For SGD the step really does
scale with the loss, so here, and only here, multiplying the loss changes the verdict, as it changes the training.

What to do
Lower the learning rate by the factor that brings the median to about 1e-3 (SGD) or below 0.1 (Adam), or warm up. When the
ratio is too low under SGD, look for a vanishing gradient first.

References
A. Karpathy, CS231n notes, "Ratio of weights:updates"; D. Kingma, J. Ba, Adam (2015), section 2.1: the step is bounded by lr.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, OptimizerProfile, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import parameter_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import worst_trend

RULE = Rule(
    code="GC106",
    name="unusable-step-size",
    summary="The optimizer's first step is out of proportion to the weights.",
    severity="error",
    limits=(
        Limit(name="too-high", value=1.0, unit="update / weight", source="the first step replaces the weight"),
        Limit(name="too-low", value=1e-6, unit="update / weight", source="a thousandth of the customary 1e-3"),
        Limit(name="vanished", value=3.0, unit="decades of steady drop", source="GC101; too low is then its consequence"),
    ),
)
CONFIRM = "none"  # arithmetic on one gradient and the optimizer; the median over layers does not hang on a seed
EFFECT = Quantity("update / weight", "", worse="either", log=True)


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    optimizer = profile.optimizer
    weights = [p for p in profile.parameters if _counts(p)]
    if optimizer is None or not optimizer.lr > 0 or not weights:
        return
    ratios = {p.name: p.update_ratio for p in weights if p.update_ratio is not None}
    median = statistics.median(ratios.values())
    if limits["too-low"] <= median <= limits["too-high"]:
        return
    high = median > limits["too-high"]
    if not high and (trend := worst_trend(profile, +1.0)) is not None and trend.steady >= limits["vanished"]:
        return  # no learning rate makes up for a gradient that does not arrive: GC101
    extreme = (max if high else min)(weights, key=lambda p: ratios[p.name])
    limit = limits["too-high" if high else "too-low"]
    effect = "the first step overwrites them" if high else "they hardly move"
    yield Finding(
        code="GC106",
        severity="error" if high else "warning",
        layer="",
        message=f"{optimizer.name} with learning rate {optimizer.lr:g} moves the weights by {median:.2g} times their size "
        f"(limit {limit:g}): {effect}",
        details=(("extreme", f"`{extreme.name}`: {ratios[extreme.name]:.2g} times its size"),),
        facts={
            "direction": "high" if high else "low",
            "update_ratio": median,
            "optimizer": optimizer.name,
            "lr": optimizer.lr,
            "better_lr": float(f"{optimizer.lr * (0.01 if high else 1e-3) / median:.2g}"),
        },
    )


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    weights = [p for p in profile.parameters if _counts(p)]
    if profile.optimizer is None or not weights:
        return None
    median = statistics.median(p.update_ratio for p in weights if p.update_ratio is not None)
    return Reading(median, limits["too-high" if finding.facts["direction"] == "high" else "too-low"])


def _counts(parameter: ParameterProfile) -> bool:
    return (
        parameter.role in ("weight", "recurrent")
        and parameter.state == "measured"
        and parameter.update_ratio is not None
        and 0 < parameter.update_ratio < math.inf  # no gradient at all is another rule's business
        and parameter.noise is None
        and not parameter.constant
        and parameter.value.rms > 0
    )


def _example(name: str, lr: float, *ratios: float) -> Profile:
    parameters = tuple(parameter_of(f"net.{i}.weight", update_ratio=r) for i, r in enumerate(ratios))
    return profile_of(parameters=parameters, optimizer=OptimizerProfile(name=name, lr=lr, origin="found: optimizer"))


FIRES = (
    lambda: _example("Adam", 0.5, 8.0, 5.0, 4.0),
    lambda: _example("SGD", 10.0, 3.0, 2.0, 0.5),
    lambda: _example("SGD", 1e-9, 1e-9, 3e-9, 1e-10),
)
CLEAN = (
    lambda: _example("Adam", 1e-3, 0.02, 0.03, 0.1),
    lambda: _example("AdamW", 6e-4, 0.3, 0.03, 0.03),  # a residual projection that starts small
    lambda: _example("SGD", 0.0, 0.0, 0.0),  # warm-up
    lambda: _example("AdamW", 1e-3, 0.0, 0.0),  # all silenced by a part that starts at zero
    lambda: _example("AdamW", 1e-3, 0.01, 0.0, 0.0, 0.0),  # the A matrices of LoRA, while B is zero
    lambda: _example("SGD", 0.1, 1e-3, 1e-4, 1e-8),  # one layer far below: another rule's business
)
