"""What is measured of a model: the gradient's way, time, numbers, data and loss, and all of it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gradcheck_cli.records.layers import LayerProfile, ParameterProfile, Role, SourceSite, TensorStats

SCHEMA_VERSION = "1.2"  # of everything that is made of these records


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
