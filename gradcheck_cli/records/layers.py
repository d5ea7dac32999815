"""What is measured of one tensor, parameter or layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

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
