"""A layer starts at another scale than its fan-in and its fellows ask for.

What it measures
For each weight its gain, RMS · √fan-in, which is √2 for He, 1 for Xavier on a square layer and 0.58 for PyTorch's default.
A layer stands out when both its gain and its plain RMS are far from the median of the model's other weights (a network that
starts all weights at 0.02, or all by fan-in, is consistent in one of the two). When no layer stands out, the gain from each
linear layer's output to the next one's is looked at, and from its input to its output: all of them may be too small or
too large.

Why it matters
A layer a thousand times too small multiplies the signal and every gradient behind it by a thousandth; one too big
saturates what follows or drowns its fellows.

Limits and where they come from
`factor` 10: initialisations in use differ among each other by at most 7 within one model (3.5 for 1×1 convolutions with
fan-out scaling, 7 for squeeze layers, 8 for a fixed 0.02 over all fan-ins of one model).

When it is wrong
Not judged: layers with a norm right behind them (their scale has no effect), the last linear layers and whatever is not on
the only way to the loss and too small (a residual branch or an extra head may start small on purpose), weights that are
zero or constant, embeddings, fan-in below 8.

What to do
Initialise the layer like its fellows: He (`nn.init.kaiming_normal_`) in front of ReLU, Xavier in front of tanh.

References
X. Glorot, Y. Bengio (2010); K. He et al. (2015); H. Zhang et al., Fixup (2019), for branches that start at zero.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import Finding, LayerProfile, Limit, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import forward_path, leaves, listed, scale_undone, weights_of

RULE = Rule(
    code="GC301",
    name="odd-weight-scale",
    summary="A layer starts at another scale than its fan-in and its fellows ask for.",
    severity="warning",
    limits=(Limit(name="factor", value=10.0, unit="ratio", source="initialisations in use differ by up to 8"),),
    hides=("GC204", "GC205", "GC602"),
)
CONFIRM = "none"  # the weights are what they are, whatever the batch
_SMALLEST_FAN_IN = 8


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    linear = {x.name for x in profile.layers if x.role == "linear"}
    weights = [p for p in weights_of(profile).values() if p.layer in linear and _drawn(p)]
    odd = _odd_ones(profile, weights, limits["factor"]) if len(weights) >= 4 else []
    for parameter, ratio in odd[:1]:
        rest = [p.layer for p, _ in odd[1:]]
        times = f"{ratio:.3g} times too large" if ratio > 1 else f"{1 / ratio:.3g} times too small"
        yield Finding(
            code="GC301",
            severity="warning",
            layer=parameter.layer,
            parameter=parameter.name,
            site=parameter.site,
            message=f"`{parameter.name}` starts {times} against the other weights (limit {limits['factor']:g}): "
            f"gain {_gain(parameter):.2g}, theirs {statistics.median(_gain(p) for p in weights):.2g}",
            details=((("further", listed(rest)),) if rest else ()),
            facts=_facts(parameter, ratio) | {"everywhere": False},
            affected=tuple(rest),
        )
    if not odd:
        yield from _all_off(profile, weights, limits["factor"])


def _drawn(parameter: ParameterProfile) -> bool:
    """Say whether the weight looks drawn at random and will be trained: not zero, constant or frozen."""
    return parameter.value.rms > 0 and not parameter.constant and parameter.state != "frozen"


def _gain(parameter: ParameterProfile) -> float:
    return parameter.value.rms * math.sqrt(parameter.fan_in or 1)


def _facts(parameter: ParameterProfile, ratio: float) -> dict[str, object]:
    return {
        "ratio": ratio,
        "gain": _gain(parameter),
        "fan_in": parameter.fan_in,
        "direction": "large" if ratio > 1 else "small",
    }


def _odd_ones(profile: Profile, weights: Sequence[ParameterProfile], factor: float) -> list[tuple[ParameterProfile, float]]:
    """Weights that stand out, worst first, each with how many times too large it is by the milder of the two yardsticks."""
    gain = statistics.median(_gain(p) for p in weights)
    rms = statistics.median(p.value.rms for p in weights)
    undone, path = scale_undone(profile), [x for x in forward_path(profile) if x.role == "linear"]
    on_path, last = {x.name for x in path}, {x.name for x in path[-1:]}
    odd = []
    for p in weights:
        if p.layer in undone or p.layer in last or (p.fan_in or 0) < _SMALLEST_FAN_IN:
            continue
        logs = (math.log10(_gain(p) / gain), math.log10(p.value.rms / rms))
        milder = min(logs, key=abs)
        same_side = logs[0] * logs[1] > 0
        if same_side and abs(milder) >= math.log10(factor) and (milder > 0 or p.layer in on_path):
            odd.append((p, 10**milder))
    return sorted(odd, key=lambda pair: -abs(math.log10(pair[1])))


def _all_off(profile: Profile, weights: Sequence[ParameterProfile], factor: float) -> Iterator[Finding]:
    """All weights too small or too large alike, seen in what they do to the signal and not only in their size.

    Too small: from each linear layer on the way to the loss to the next. Too large: also from a layer's input to its
    output, since norms may hide that they drown every skip connection.
    """
    undone = scale_undone(profile)
    free = {p.layer: p for p in weights if p.layer not in undone}
    path = [x for x in forward_path(profile) if x.role in ("linear", "norm")]
    onward = [x for a, b in itertools.pairwise(path) if a.role == "linear" and b.name in free and (x := _ratio(a, b))]
    through = [x for a, b in itertools.pairwise(leaves(profile)) if b.name in free and (x := _ratio(a, b))]
    if not free or max(len(onward), len(through)) < 2:
        return
    gain = statistics.median(_gain(p) for p in free.values())
    if len(onward) > 1 and max(step := statistics.median(onward), gain) < 1 / factor:
        size, limit, how = "small", 1 / factor, "from each linear layer to the next"
    elif len(through) > 1 and min(step := statistics.median(through), gain) > factor:
        size, limit, how = "large", factor, "by each linear layer"
    else:
        return
    first, *rest = free.values()
    yield Finding(
        code="GC301",
        severity="warning",
        layer=first.layer,
        site=first.site,
        message=f"all weights start too {size}: the signal is multiplied by {step:.2g} {how} (limit {limit:g}), "
        f"the weights' gain is {gain:.2g}",
        facts=_facts(first, gain) | {"everywhere": True},
        affected=tuple(p.layer for p in rest),
    )


def _ratio(before: LayerProfile, after: LayerProfile) -> float:
    """Return the RMS of one output over the other's, 0 where it cannot be told."""
    low, high = (x.output.rms if x.output else 0.0 for x in (before, after))
    return high / low if low > 0 else 0.0


def _example(*stds: float, width: int = 64, norms: bool = False, signal: float = 1.0) -> Profile:
    layers, parameters = [], []
    for i, std in enumerate(stds):
        layers.append(layer_of(f"net.{2 * i}", rms=signal**i))
        layers.append(layer_of(f"net.{2 * i + 1}", "BatchNorm1d" if norms else "ReLU", rms=signal**i))
        parameters.append(parameter_of(f"net.{2 * i}.weight", shape=(width, width), rms=std))
    return profile_of(*layers, parameters=tuple(parameters))


FIRES = (
    lambda: _example(0.15, 0.16, 0.15, 1e-4, 0.15, 0.14),
    lambda: _example(0.15, 0.16, 20.0, 0.15, 0.15, 0.14),
    lambda: _example(1e-3, 1e-3, 1e-3, signal=0.01),
    lambda: _example(2.0, 2.0, 2.0, 2.0, signal=16.0),
)
CLEAN = (
    lambda: _example(0.15, 0.16, 0.15, 0.07, 0.15, 0.14),
    lambda: _example(0.15, 0.16, 0.15, 0.15, 0.15, 1e-4),  # a head
    lambda: _example(0.15, 0.16, 1e-4, 0.15, 0.15, 0.15, norms=True),
    lambda: _example(0.02, 0.02, 0.02, 0.02, width=32),
    lambda: _example(3e-3, 3e-3, 3e-3, 3e-3),  # small weights, multiplied up again elsewhere
)
