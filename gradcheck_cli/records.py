"""The frozen records that cross a stage, and their conversion to and from plain dictionaries.

Units: gradients, norms and RMS values are in the loss's own unit per unit of the tensor; a *gain* is a ratio of L2 norms;
`log10_gain` and `drop` are in decades. A non-finite number stays a float here and becomes "nan", "inf" or "-inf" in JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

SCHEMA_VERSION = "1.2"
_T = TypeVar("_T")

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

# What a layer does to a gradient. "shape": its gain is fixed by shape alone (pooling, flatten, dropout's mask).
Role = Literal["activation", "linear", "norm", "shape", "container", "recurrent", "embedding", "attention", "other"]

# measured: a gradient arrived. unreached: no path from the loss. frozen: requires_grad is False. uncalled: never run.
State = Literal["measured", "unreached", "frozen", "uncalled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSite:
    """The line that builds a layer: POSIX path relative to the working directory, 1-based line, whether it is exact."""

    file: str
    line: int
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of log2 magnitudes: `counts[i]` values lie in [2^(first+i), 2^(first+i+1)); zeros are not in it."""

    first: int
    counts: tuple[int, ...]
    total: int  # values looked at, zeros included
    sampled: bool = False

    def share_below(self, exponent: int) -> float:
        """Share of the looked-at values that are non-zero and smaller than 2^exponent."""
        below = sum(self.counts[: max(exponent - self.first, 0)])
        return below / self.total if self.total else 0.0

    def share_from(self, exponent: int) -> float:
        """Share of the looked-at values that are at least 2^exponent."""
        above = sum(self.counts[max(exponent - self.first, 0) :])
        return above / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStats:
    """Numbers that stand for one tensor. L2 and RMS are safe against under- and overflow; `nonfinite` counts NaN and Inf."""

    shape: tuple[int, ...]
    dtype: str
    numel: int
    l2: float
    rms: float
    abs_max: float
    mean: float
    zero_fraction: float  # share of exact zeros; of a sample where the histogram is of one
    nonfinite: int
    histogram: Histogram | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterProfile:
    """One parameter by its first name; `gradient` is None when none arrived, `noise` says why it is rounding noise."""

    name: str
    aliases: tuple[str, ...] = ()
    layer: str  # name of the module that holds it, "" for the root
    layer_kind: str  # its class name
    role: Literal["weight", "bias", "scale", "embedding", "recurrent", "other"]
    state: State
    value: TensorStats
    gradient: TensorStats | None = None
    gradient_l1: float | None = None
    fan_in: int | None = None  # terms in the sum behind one output; None for what is no matrix
    fan_out: int | None = None  # outputs that one input reaches, likewise
    constant: bool = False  # every element has the same value
    identical_units: bool = False  # all output rows are equal, with more than one row
    noise: str | None = None
    update_ratio: float | None = None  # RMS of the first update over RMS of the value, for the optimizer in the profile
    moves_loss: bool | None = None  # without (or with exactly zero) gradient: do other values of it change the loss?
    twin: str | None = None  # without gradient: a parameter with one that holds the same values (the network it is a copy of)
    touched_fraction: float | None = None  # embeddings: share of the rows that this batch looks up
    site: SourceSite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    """What an activation does to its units (features or channels), over all samples and positions of the batch."""

    activation: str  # lower-case function name: relu, sigmoid, tanh, gelu ...
    units: int
    dead_fraction: float  # share of units that are exactly zero on the whole batch
    saturated_fraction: float | None  # bounded activations: share of (sample, unit) pairs in the flat part
    saturated_units: float | None  # share of units that sit in the flat part for at least 95 % of the samples
    best_gain: float | None = None  # largest derivative the function has (sigmoid 0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProfile:
    """One module, or one functional operation (`functional`), in execution order of its first call.

    `output` and `gradient` combine the calls: L2 by root of the sum of squares, abs-max by maximum.
    """

    name: str
    kind: str
    role: Role
    order: int
    calls: int
    state: State
    leaf: bool
    functional: bool = False
    aliases: tuple[str, ...] = ()
    site: SourceSite | None = None
    parent: str | None = None  # functional operations: the module that owns it
    output: TensorStats | None = None
    gradient: TensorStats | None = None
    parameters: tuple[str, ...] = ()
    registered: bool = True  # False: not part of the model as torch sees it, so that its parameters reach no optimizer
    units: UnitFacts | None = None
    sample_variation: float | None = None  # RMS over the batch of (output - its batch mean) / RMS of the output, in [0, 1]
    mode: Literal["train", "eval"] = "train"
    facts: Mapping[str, float | str] = field(default_factory=dict)  # layer options that rules read (eps, p, num_features ...)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpinePoint:
    """A measured tensor that every gradient on its way from the loss to the spine's end passes."""

    layer: str
    kind: str
    role: Role
    call: int
    l2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What happens to the gradient between two neighbouring points of a spine.

    `layer` is what produced the loss-side point, so the gain is its doing. `bypassed` says that the segment is a region with
    parallel paths (a residual block).
    """

    layer: str
    kind: str
    role: Role
    call: int
    log10_gain: float
    bypassed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """The spine to one entry of the model, loss side first; `segments[i]` lies between points i and i+1."""

    entry: str
    points: tuple[SpinePoint, ...]
    segments: tuple[Segment, ...]

    @property
    def drop(self) -> float:
        """Decades of gradient lost from the loss to the entry; negative when the gradient grows."""
        return -sum(s.log10_gain for s in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeProfile:
    """Gradient through time of one recurrent layer: L2 of d(last step)/d(input at step t), t from the last step backward."""

    layer: str
    kind: str
    gated: bool
    hand_written: bool
    steps: int
    direction: Literal["forward", "backward"] = "forward"
    l2: tuple[float, ...]
    decay: float  # fitted log10 gain per step, negative when the gradient vanishes
    horizon: int | None  # steps after which less than 1 % is left; None when never
    loss_at_end: bool = True  # the loss sees the last step only; False when it attaches to many steps
    site: SourceSite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NonFinite:
    """The first operation, in execution order, whose input is finite and whose output is not."""

    phase: Literal["forward", "backward"]
    layer: str
    operation: str
    kind: Literal["nan", "inf"]
    site: SourceSite | None = None
    lead_up: tuple[tuple[str, float], ...] = ()  # (layer, abs-max) of what ran just before


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProfile:
    """One floating-point or integer tensor of the batch, by its name in the call."""

    name: str
    stats: TensorStats
    std: float
    floating: bool
    feature_scale_ratio: float | None = None  # largest over median RMS of its features (last or channel dimension)
    largest_feature: int | None = None
    sample_variation: float | None = None  # as LayerProfile.sample_variation


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveProfile:
    """The loss as it was computed, and what it says of output and target."""

    name: str
    kind: str  # cross_entropy, nll, bce, bce_logits, mse, l1, huber, model, projection, other
    origin: str  # "found: loss_fn", "inferred from output and target" ...
    value: float
    classes: int | None = None
    class_loss: float | None = None  # cross-entropy of output and target, recomputed with plain mean: free of the loss's scale
    uniform_loss: float | None = None  # ln C, or the entropy that a uniform guess has
    output: TensorStats | None = None
    target: TensorStats | None = None
    target_min: float | None = None
    target_max: float | None = None
    output_activation: str | None = None  # last operation before the loss if it is an activation: sigmoid, softmax, relu ...
    output_min: float | None = None
    output_max: float | None = None
    log_softmax_in_loss: bool = False
    softmax_width: int | None = None  # size of the dimension that the output's softmax normalises
    output_units: int | None = None  # width of the last dimension (or of the channel dimension) of the output
    ignored_fraction: float | None = None  # share of targets equal to ignore_index


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerProfile:
    """The optimizer the update ratios are for."""

    name: str
    lr: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionForecast:
    """What a half-precision run of the measured gradients would lose. Shares are of the non-zero gradient values."""

    dtype: str
    underflow_fraction: float  # flushed to zero at loss scale 1
    overflow_fraction: float  # beyond the largest number of the type, at loss scale 1
    worst_layer: str | None  # whose gradient loses most to underflow; None where none does
    worst_underflow: float  # share that is flushed to zero there
    loss_scale: float | None  # the largest power of two that does not overflow, if it mends the underflow
    scaled_underflow: float  # what still underflows at that scale
    forward_overflow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPair:
    """Two linear layers in a row on the spine with nothing non-linear between them."""

    first: str
    second: str
    widths: tuple[int, int, int]  # in, between, out


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedProbe:
    """The profile after `steps` optimizer steps on a copy; `losses` has one value a step, before each step."""

    optimizer: str
    steps: int
    losses: tuple[float, ...]
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What was measured again because the first pass raised suspects."""

    repeats: tuple[Profile, ...] = ()  # other seeds and batches, same weights
    trained: tuple[TrainedProbe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything measured of one model under one objective: plain numbers, to be judged, saved and compared."""

    schema_version: str = SCHEMA_VERSION
    target: str
    model_kind: str
    objective: ObjectiveProfile
    batch_size: int
    batch: tuple[InputProfile, ...]
    batch_origin: str = ""  # "found: x, y"; empty when the caller gave it
    device: str
    dtype: str
    seed: int
    mode: Literal["train", "eval"]
    versions: Mapping[str, str]
    parameter_count: int
    trainable_count: int
    layers: tuple[LayerProfile, ...]
    parameters: tuple[ParameterProfile, ...]
    spines: tuple[Spine, ...]
    times: tuple[TimeProfile, ...] = ()
    nonfinite: tuple[NonFinite, ...] = ()
    precision: tuple[PrecisionForecast, ...] = ()
    linear_pairs: tuple[LinearPair, ...] = ()
    optimizer: OptimizerProfile | None = None
    input_dependence: float | None = None  # relative change of the loss's input gradient; 0 when the loss ignores the batch
    confirmation: Confirmation | None = None
    assumptions: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()  # what was not measured, and why

    def layer(self, name: str) -> LayerProfile | None:
        """The layer of this name; reads all of them, so build a mapping to look up many."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def parameter(self, name: str) -> ParameterProfile | None:
        """The parameter of this name; as `layer`."""
        return next((p for p in self.parameters if p.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number a rule compares with: its unit, and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a rule file declares beside its `check`; the docstring of the file is its page."""

    code: str
    name: str
    summary: str
    severity: Severity
    limits: tuple[Limit, ...] = ()
    hides: tuple[str, ...] = ()  # codes whose findings on the same cause are victims of this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One root cause. `details` are labelled lines for people, `facts` the numbers behind the message."""

    code: str
    name: str = ""
    severity: Severity
    layer: str  # the layer the finding points to, "" for the whole model
    parameter: str | None = None
    site: SourceSite | None = None
    message: str
    details: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    affected: tuple[str, ...] = ()  # further layers that this cause harms, or that share it
    picture: tuple[float, ...] = ()  # log10 L2 of the gradient, input side first, for GC10x
    confirmed: str = ""  # what a second look showed, in words
    objective: str = ""
    fingerprint: str = ""  # the same in every scan of the target, whatever the numbers and lines; what a baseline knows it by

    @property
    def grave(self) -> bool:
        """Whether it is an error or a warning; a note is advice, or what a second look has excused."""
        return self.severity != "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change that a trial makes on a copy; `kind` is the file under `trials/edits` that makes it.

    `layers` are names as in LayerProfile (functional operations too), or parameter names where the kind edits parameters;
    empty where the kind works on the whole model, the data, the loss or the training loop.
    """

    kind: str
    layers: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # plain strings, numbers and booleans


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """A remedy from the catalogue for one finding.

    `status` is "tried" when a trial of the report has measured it alone, else "not tried", with the reason. Without
    `edits` the remedy is advice that no trial can carry out.
    """

    remedy: str
    title: str
    code: str  # of the finding
    layer: str  # of the finding
    action: str
    why: str
    cost: str
    applicability: Literal["safe", "unsafe", "display"]
    snippet: str
    sources: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    status: Literal["tried", "not tried"] = "not tried"
    reason: str = ""


# cured: within the rule's limits, nothing new raised, and the training probe does not speak against it
Outcome = Literal["cured", "improved", "no effect", "worse", "not applied"]
OUTCOMES: tuple[Outcome, ...] = ("cured", "improved", "no effect", "worse", "not applied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The measured number behind a finding, before and after an edit, in the finding's own terms."""

    label: str  # "drop", "dead units"
    unit: str  # "decades", "share", "" for a plain ratio
    before: float
    after: float | None  # None: it cannot be measured any more (the layer is gone, nothing is non-finite)
    limit: float | None  # the rule's own, None where it has none in this unit


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRuns:
    """Loss at the end of a few training steps from each seed, and at their start; inf or nan where it diverged."""

    start: tuple[float, ...]
    end: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProbe:
    """Original and edited copies trained on the same batches in the same order with the same seeds."""

    steps: int
    optimizer: str  # of the edited copies, in words: "Adam, lr 0.001, clipped at norm 1.2"
    original: TrainingRuns
    edited: TrainingRuns
    comparable: bool  # False when the edit changes the loss's scale, so that only relative falls compare
    verdict: Literal["better", "alike", "worse", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one remedy, or a combination of them, did to one finding when it was tried on a copy."""

    remedies: tuple[str, ...]  # ids in the catalogue, in the order they were applied
    title: str
    code: str  # of the finding
    layer: str  # of the finding
    objective: str = ""  # of the finding
    edits: tuple[Edit, ...]
    outcome: Outcome
    effect: Effect | None = None
    new_findings: tuple[str, ...] = ()  # "GC204 forward-growth": raised on the edited copy, not before
    also_cures: tuple[str, ...] = ()  # other findings of the report that are gone as well, as above
    training: TrainingProbe | None = None
    reason: str = ""  # why it could not be applied, or why it is no cure, or why training was not probed


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreComment:
    """A comment `# gradcheck: ignore[GC101] reason` in a file of the model."""

    file: str  # as in SourceSite
    line: int
    covers: tuple[int, ...]  # the lines whose layers it is for: its own, and where what ends on it begins
    selectors: tuple[str, ...]  # codes, beginnings of codes or names, as written; empty where it names none
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that does not count, and what says so."""

    finding: Finding
    by: Literal["comment", "setting", "baseline"]
    selector: str = ""  # the rule that the comment or the setting names, as written there
    reason: str = ""
    site: SourceSite | None = None  # of the comment or the setting


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """A known finding: what it is known by, and how grave it was when the baseline was written."""

    fingerprint: str
    target: str  # as in fingerprints: relative to the project's root where it is a file
    code: str
    name: str
    layer: str
    parameter: str | None = None
    severity: Severity
    label: str = ""  # what was measured: "drop"; empty where the rule has no number for it
    unit: str = ""
    value: float | None = None
    reason: str = ""  # why it is accepted; for people, kept when the file is written anew


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCheck:
    """What a baseline said of one scan."""

    file: str
    known: int  # findings that it holds and that are no worse
    worse: int  # findings that it holds and that count again
    stale: tuple[BaselineEntry, ...] = ()  # entries that were not found again
    remarks: tuple[str, ...] = ()  # where the scan was made under other conditions than the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCall:
    """A verdict that another limit, not far from the one that holds, would turn: whether the scan fails."""

    code: str  # of the rule whose limit it is
    name: str
    layer: str  # of the finding that fails the scan, or would
    limit: str  # its name
    value: float  # of the limit
    turns_at: float  # the limit from which on the verdict would be the other one
    unit: str
    verdict: Literal["fails", "passes"]  # of the scan as it is
    other: str = ""  # code of that finding where it is another rule's, which this limit lets explain it or not
    of_the_copy: bool = False  # the limit as a trained copy of the model is held against it
    looked_again: bool = True  # False: what would fail the scan was no suspect, so that no second look has had a say


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a scan; one profile for each objective (a GAN has two)."""

    schema_version: str = SCHEMA_VERSION
    tool_version: str
    profiles: tuple[Profile, ...]
    findings: tuple[Finding, ...]
    prescriptions: tuple[Prescription, ...] = ()
    trials: tuple[Trial, ...] = ()  # for each finding in the findings' order, best first
    settings: Mapping[str, Any] = field(default_factory=dict)  # what the verdict depends on, echoed
    checked: tuple[str, ...] = ()  # codes of the rules that were asked
    suppressed: tuple[Suppressed, ...] = ()  # found, but accepted by a comment, a setting or the baseline
    baseline: BaselineCheck | None = None
    close_calls: tuple[CloseCall, ...] = ()
    comparison: Comparison | None = None  # with an earlier report, where one was asked for

    @property
    def target(self) -> str:
        """What was scanned, as it was named."""
        return self.profiles[0].target

    def site_of(self, finding: Finding) -> SourceSite | None:
        """The line that builds the finding's layer, else what holds it, else the model; None where no line is known."""
        if finding.site is not None:
            return finding.site
        sites = {layer.name: layer.site for profile in self.profiles for layer in profile.layers if layer.site}
        name = finding.layer.partition("/")[0]
        while name and name not in sites:
            name = name.rpartition(".")[0]
        found = sites.get(name)
        return None if found is None else dataclasses.replace(found, exact=found.exact and name == finding.layer)

    def worst(self) -> Severity | None:
        """The gravest severity among the findings, None when there is none."""
        return next((s for s in SEVERITIES if any(f.severity == s for f in self.findings)), None)

    def prescriptions_for(self, finding: Finding) -> list[Prescription]:
        """Return the suggestions for a finding, in the order to try them."""
        return [p for p in self.prescriptions if (p.code, p.layer) == (finding.code, finding.layer)]

    def trials_for(self, finding: Finding) -> list[Trial]:
        """Return what was tried for a finding, best first."""
        key = finding.code, finding.layer, finding.objective
        return [t for t in self.trials if (t.code, t.layer, t.objective) == key]

    def _repr_html_(self) -> str:
        """Show the report in a notebook; the view is imported when one asks for it."""
        from gradcheck_cli.reporting.notebook import page

        return page(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutline:
    """A layer before anything is measured; counts are of the parameters that it holds itself."""

    name: str
    kind: str
    parameters: int
    trainable: int
    aliases: tuple[str, ...] = ()  # further names of the same module
    site: SourceSite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The layers of a model that was built and not run."""

    schema_version: str = SCHEMA_VERSION
    target: str
    model_kind: str
    layers: tuple[LayerOutline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no verdict: a GradcheckError without its trace. `id` is stable."""

    id: str
    what: str
    why: str
    do: str
    where: str | None  # the user's file:line


# How a gradient arrives. zero: exactly. unknown: one flows, but it cannot be seen (the output is edited in place).
Arrival = Literal["measured", "zero", "non-finite", "unreached", "frozen", "uncalled", "unknown"]

# worse: further from the gradient at the loss end. better: nearer to it. changed: as far, on the other side. unknown: one
# of the two cannot be seen.
Verdict = Literal["worse", "changed", "better", "alike", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The gradient at a layer relative to the one at the loss end of the spine, so that the loss's scale drops out."""

    arrival: Arrival
    decades: float | None = None  # log10 of the ratio of L2 norms, negative below the loss end; None unless measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A level in an earlier report and in a later one."""

    old: Level
    new: Level
    change: float | None = None  # decades, new - old; None unless both are measured
    worsening: float  # |new| - |old| in decades; inf where the gradient is gone or no longer finite, -inf where it is back
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShift:
    """A layer that both reports have; `order` is its place in the later one."""

    layer: str
    old_kind: str
    kind: str
    order: int
    shift: Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineShift:
    """A spine to an entry that both reports have; its drop is the negative of the level's decades.

    `old_picture` and `picture`: log10 L2 of the gradient relative to the loss end, input side first.
    """

    entry: str
    shift: Shift
    old_picture: tuple[float, ...]
    picture: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveComparison:
    """The layers and spines under one loss, worst first, and the layers that only one report has."""

    name: str
    layers: tuple[LayerShift, ...]
    spines: tuple[SpineShift, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedReport:
    """One side of a comparison, in short."""

    target: str
    tool_version: str
    model_kind: str
    parameter_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of one target since an earlier report; `verdict` is the worst of all layers and spines."""

    old: ComparedReport
    new: ComparedReport
    verdict: Verdict
    objectives: tuple[ObjectiveComparison, ...]
    new_findings: tuple[Finding, ...] = ()
    gone_findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()  # where the two were measured under other conditions, and what could not be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncompared:
    """A target without a comparison, and why; `blocks`: there is no verdict on it, which is no pass."""

    target: str
    reason: str
    blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Every target of two documents."""

    comparisons: tuple[Comparison, ...]
    uncompared: tuple[Uncompared, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What became of one target: a report, or the reason why there is none."""

    target: str
    report: Report | None = None
    error: Failure | None = None


def to_dict(record: Any) -> Any:
    """Turn a record into dictionaries, lists and scalars that `json.dumps(allow_nan=False)` takes."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(k): to_dict(v) for k, v in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_dict(v) for v in record]
    if isinstance(record, float) and not math.isfinite(record):
        return repr(record)  # 'nan', 'inf', '-inf'
    return record


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_dict(cls: type[_T], data: Any) -> _T:
    """Rebuild a record from `to_dict`'s result; keys of a newer minor schema are ignored, missing ones take their default.

    Raises TypeError, ValueError, KeyError, AttributeError or IndexError for what `to_dict` does not write.
    """
    return typing.cast(_T, _restore(cls, data))


def _restore(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = _hints(hint)
        known = {f.name for f in dataclasses.fields(hint)}
        return hint(**{k: _restore(hints[k], v) for k, v in data.items() if k in known})
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        kinds = [args[0]] * len(data) if len(args) == 2 and args[1] is Ellipsis else args
        return tuple(_restore(k, v) for k, v in zip(kinds, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _restore(next(a for a in args if a is not type(None)), data)
    if hint is float:
        return float(data)
    if isinstance(plain := origin or hint, type) and not isinstance(data, plain):
        raise TypeError(f"{data!r} is no {plain.__name__}")
    return data
