"""The gradient shrinks steadily on its way from the loss to the first layers.

What it measures
The L2 norm of the gradient at every point of the spine: the tensors that each gradient path from the loss to a first
layer must pass. Between two neighbours lies one layer or block; log10 of the ratio of their norms is its gain in
decades, and the gains add up exactly to the drop. Layers whose gain shape alone decides (pooling, flattening,
dropout) are left out, and so are steps of an unrolled loop (GC103) and the two largest single losses: a healthy
network is flat with one or two jumps, a sick one falls along a straight line. What remains is the steady drop.

Why it matters
A layer that receives a thousandth of the gradient learns a thousandth as fast under SGD, and its update drowns in the
noise of the layers behind it. Plain gradient descent does not recover from this, and adaptive optimizers only while
the rest is small.

Limits and where they come from
`steady-note`, `steady-warning` and `steady-error` in decades: measured on the networks of
`benchmarks/trainability.py`, where the drop predicts whether training with tuned SGD or Adam succeeds, and on the
healthy networks of `benchmarks/verdicts.py`, none of which reaches the lower limit. `short-segments` 7: up to two or
three layers with their activations count as a short spine. Once the suspect is looked at again, the median of the steady
drop over seeds and batches is compared.

When it is wrong
Adam divides by the gradient's own size and can outrun a drop of a few decades in a shallow network; the finding is
then softened to a warning that says so (not where the file's optimizer is SGD), and to a note when the spine is also
short and mild. A network whose first layers are meant to learn nothing (random features) is not harmed.

What to do
Use an activation whose gain is near one (ReLU, GELU, SELU) with the initialisation that belongs to it (He for ReLU,
LeCun for SELU, Xavier for tanh); add normalisation or residual connections when the network is deep. `gradcheck scan`
lists which layers lose most.

References
X. Glorot, Y. Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"; K. He et al.
(2015), "Delving deep into rectifiers"; S. Schoenholz et al. (2017), "Deep information propagation".
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule, Severity
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import losses_fall, trend_finding, worst_trend

_SOURCE = "benchmarks/trainability.py and benchmarks/verdicts.py"
RULE = Rule(
    code="GC101",
    name="vanishing-gradient",
    summary="The gradient shrinks steadily on its way from the loss to the first layers.",
    severity="error",
    limits=(
        Limit(name="steady-note", value=2.0, unit="decades", source=_SOURCE),
        Limit(name="steady-warning", value=3.0, unit="decades", source=_SOURCE),
        Limit(name="steady-error", value=4.0, unit="decades", source=_SOURCE),
        Limit(
            name="short-segments",
            value=7.0,
            unit="layers and activations on the spine",
            source="chosen by us: two or three layers",
        ),
    ),
    hides=("GC105", "GC203", "GC205", "GC301", "GC405"),
)
CONFIRM = "training"
EFFECT = Quantity("drop", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    trend = worst_trend(profile, +1.0)
    if trend is None or trend.steady < limits["steady-note"]:
        return
    severity: Severity = "note"
    if trend.steady >= limits["steady-warning"]:
        severity = "error" if trend.steady >= limits["steady-error"] else "warning"
    yield trend_finding(profile, trend, "GC101", +1.0, severity)


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the drop that the message states; what it has in single jumps counts here, so the limit is on the safe side."""
    trend = worst_trend(profile, +1.0)
    return Reading(trend.total, limits["steady-warning"]) if trend else None


def reconsider(finding: Finding, profile: Profile, limits: Mapping[str, float]) -> Finding | None:
    """Judge by the median over seeds and batches; soften what the trained copy outruns with Adam, for SGD would not."""
    looks = profile.confirmation
    if looks is None or finding.severity == "note":
        return finding
    seeds = [t.steady for r in looks.repeats if (t := worst_trend(r, +1.0)) is not None]
    middle = statistics.median([finding.facts["steady"], *seeds])
    if middle < limits["steady-warning"]:
        return dataclasses.replace(finding, severity="note", confirmed=f"{middle:.1f} decades over other seeds and batches")
    if middle < limits["steady-error"]:
        finding = dataclasses.replace(finding, severity="warning")
    said = f"seen with {len(seeds)} further seeds" if seeds else ""
    if not looks.trained:
        return dataclasses.replace(finding, confirmed=said)
    last = looks.trained[-1]
    after = worst_trend(last.profile, +1.0)
    if after is None or after.steady >= limits["steady-warning"]:
        return dataclasses.replace(
            finding, confirmed=f"{said}; still there after {last.steps} Adam steps on a copy".strip("; ")
        )
    if profile.optimizer is not None and profile.optimizer.name.lower() == "sgd":
        lifted = f"{said}; Adam would lift it, but this model is trained by SGD, which does not"
        return dataclasses.replace(finding, confirmed=lifted.strip("; "))
    short = finding.facts["depth"] <= limits["short-segments"] and finding.facts["steady"] < limits["steady-error"]
    mild = short and losses_fall(profile)
    return dataclasses.replace(
        finding,
        severity="note" if mild else "warning",
        confirmed=f"{said}; {last.steps} Adam steps lift it to {after.total:.1f} decades, which plain SGD does not do".strip(
            "; "
        ),
    )


def _chain(gain: float, layers: int) -> Profile:
    """Linear layers whose gradients shrink by `gain` from one to the one before it."""
    return profile_of(*[layer_of(f"net.{i}", gradient=0.01 * gain ** (layers - 1 - i)) for i in range(layers)])


FIRES = (lambda: _chain(0.3, 12), lambda: _chain(0.1, 8))
CLEAN = (lambda: _chain(1.0, 30), lambda: _chain(0.9, 12), lambda: _chain(3.0, 12))
