"""The output, or its activation, and the loss do not fit.

What it measures
The last operation before the loss, the loss, and the shapes: softmax or sigmoid in front of a loss that applies its own;
softmax over a single unit; one output unit for several classes; probabilities or raw logits where the loss wants the other; and
for elementwise losses outputs and targets whose shapes are broadcast against each other.

Why it matters
Softmax twice squeezes all logits into [0, 1]: the loss cannot fall below ln(1 + (C-1)/e) and its gradient is small. Softmax
over one unit is constantly 1. `NLLLoss` on probabilities rewards growth without bound, `BCELoss` on logits is
undefined outside [0, 1]. Outputs [N, 1] against targets [N] are compared each with each, and the best answer is the mean
of all targets. ReLU in front of a classification loss cuts off all negative logits and their gradient.

Limits and where they come from
None: read off the graph and the shapes.

When it is wrong
A bounded output in front of cross-entropy may be meant (a temperature follows inside the loss); silence it for that layer.

What to do
Give `CrossEntropyLoss` and `BCEWithLogitsLoss` the raw logits; give `NLLLoss` `log_softmax`; one output unit for each class.

References
PyTorch, `torch.nn.CrossEntropyLoss`, `NLLLoss`, `BCEWithLogitsLoss`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, ObjectiveProfile, Profile, Rule, Severity
from gradcheck_cli.rules.examples import objective_of, profile_of, stats_of
from gradcheck_cli.rules.paths import leaves
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC605",
    name="mismatched-output",
    summary="The output activation and the loss do not fit.",
    severity="error",
    hides=("GC202", "GC403", "GC405", "GC406", "GC602"),  # softmax over one unit is a constant: nothing flows through it
)
CONFIRM = "none"  # read off the graph
EFFECT = Quantity("mismatches", "")
_SQUASHING = ("sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign")
_ROUNDING = 1e-4  # a log-probability is at most 0, but for rounding
_BELOW_ZERO_CUT = ("relu", "relu6", "softplus")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    for problem, severity, words in _problems(profile.objective):
        last = leaves(profile)[-1:]
        same = [x for x in last if profile.objective.output_activation in (x.kind.lower(), x.units and x.units.activation)]
        yield Finding(
            code="GC605",
            severity=severity,
            layer=same[0].name if same else "",
            site=same[0].site if same else None,
            message=words,
            facts={"problem": problem, "loss_kind": profile.objective.kind, "activation": profile.objective.output_activation},
        )
        return


def measure(profile: Profile, _finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    return Reading(float(any(True for _ in _problems(profile.objective))), 0.0)


def _problems(o: ObjectiveProfile) -> Iterator[tuple[str, Severity, str]]:
    """Mismatches, gravest first; the first one is reported."""
    logits = o.kind == "cross_entropy" or (o.log_softmax_in_loss and o.kind != "nll")
    last = o.output_activation
    if last in ("softmax", "log_softmax") and o.softmax_width == 1:
        yield "one-unit-softmax", "error", f"{last} over a single unit is constant: nothing can be learnt through it"
    if o.kind == "cross_entropy" and o.classes == 1:
        yield "one-class", "error", "cross-entropy over one output unit is constantly zero: use one unit for each class"
    if o.kind in ("bce", "bce_logits") and o.output_units == 1 and o.target_max is not None and o.target_max > 1:
        yield "one-unit", "error", f"one output unit for classes up to {o.target_max:g}: use one unit for each class"
    if logits and last == "softmax":
        yield "double-softmax", "error", "softmax in front of a loss that applies log-softmax itself: give it the raw logits"
    if logits and last in _SQUASHING:
        yield "squashed-logits", "error", f"{last} squeezes the logits in front of log-softmax: give the loss the raw logits"
    if o.kind == "bce_logits" and last in ("sigmoid", "hardsigmoid", "softmax"):
        yield "double-sigmoid", "error", f"{last} in front of a loss that applies sigmoid itself: give it the raw logits"
    if o.kind == "nll" and last != "log_softmax" and o.output_max is not None and o.output_max > _ROUNDING:
        what = "probabilities" if last == "softmax" else f"outputs up to {o.output_max:.3g}"
        yield "nll-without-log", "error", f"NLLLoss wants log-probabilities and gets {what}: apply log_softmax"
    if o.kind in ("mse", "l1", "huber") and o.output and o.target and _spreads(o.output.shape, o.target.shape):
        shapes = f"outputs {list(o.output.shape)} and targets {list(o.target.shape)}"
        yield "broadcast", "error", f"{shapes} are broadcast against each other: every output is compared with every target"
    low, high = o.output_min, o.output_max
    if o.kind == "bce" and low is not None and high is not None and (low < 0 or high > 1):
        yield "bce-on-logits", "error", f"BCELoss wants probabilities and gets outputs from {low:.3g} to {high:.3g}"
    if (logits or o.kind == "bce_logits") and last in _BELOW_ZERO_CUT:
        yield (
            "clipped-logits",
            "warning",
            f"{last} in front of a classification loss: logits below zero and their gradient are cut",
        )


def _spreads(output: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Say whether elementwise arithmetic on the two shapes gives more elements than either has: [N, 1] and [N] give [N, N]."""
    length = max(len(output), len(target))
    pairs = zip((1,) * (length - len(output)) + output, (1,) * (length - len(target)) + target, strict=True)
    sizes = [max(pair) if 1 in pair or pair[0] == pair[1] else 0 for pair in pairs]
    return math.prod(sizes) > max(math.prod(output), math.prod(target))


def _example(kind: str, last: str | None = None, **fields: object) -> Profile:
    return profile_of(objective=objective_of(kind, output_activation=last, **fields))


FIRES = (
    lambda: _example("cross_entropy", "softmax", log_softmax_in_loss=True),
    lambda: _example("bce", "softmax", softmax_width=1),
    lambda: _example("cross_entropy", classes=1),
    lambda: _example("bce", "sigmoid", output_units=1, target_max=3.0),
    lambda: _example("nll", "softmax", output_max=0.4),
    lambda: _example("bce", output_min=-3.0, output_max=2.0),
    lambda: _example("bce_logits", "sigmoid"),
    lambda: _example("cross_entropy", "relu"),
    lambda: _example("mse", output=stats_of(shape=(64, 1)), target=stats_of(shape=(64,))),
)
CLEAN = (
    lambda: _example("mse", output=stats_of(shape=(64, 1)), target=stats_of(shape=(64, 1))),
    lambda: _example("mse", output=stats_of(shape=(64, 8)), target=stats_of(shape=(8,))),  # one target row for all samples
    lambda: _example("cross_entropy"),
    lambda: _example("nll", "log_softmax", output_max=-0.1, log_softmax_in_loss=False),
    lambda: _example("nll", output_max=-1e-3),  # a hand-written log-softmax
    lambda: _example("bce", "sigmoid", output_min=0.1, output_max=0.9, output_units=1, target_max=1.0),
    lambda: _example("cross_entropy", "log_softmax"),  # log-softmax twice changes nothing
    lambda: _example("mse", "relu"),
    lambda: _example("mse", "softmax", softmax_width=5),
)
