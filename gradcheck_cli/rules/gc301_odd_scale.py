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
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC301",
    name="odd-weight-scale",
    summary="A layer starts at another scale than its fan-in and its fellows ask for.",
    severity="warning",
    limits=(Limit(name="factor", value=10.0, unit="ratio", source="initialisations in use differ by up to 8"),),
    hides=("GC204", "GC205", "GC602"),
)
CONFIRM = "none"  # the weights are what they are, whatever the batch
EFFECT = Quantity("scale", "", worse="either", log=True)
_SMALLEST_FAN_IN = 8
_FEWEST = 4  # weights, to say what is usual among them


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    weights = _weights(profile)
    odd = _odd_ones(profile, weights, limits["factor"]) if len(weights) >= _FEWEST else []
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


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return how many times too large the finding's weight is, or what all weights make of the signal.

    If that weight is gone, the worst of those that stand out. No limit holds where the scale has no effect.
    """
    weights, factor = _weights(profile), limits["factor"]
    limit = factor if finding.facts["direction"] == "large" else 1 / factor
    if finding.facts["everywhere"]:
        step = _steps(profile, weights).get(finding.facts["direction"])
        if step is None:
            return None
        gain = _median_gain(_free(profile, weights))
        return Reading(step, limit if (gain > factor if limit > 1 else gain < limit) else None)
    if len(weights) < _FEWEST:
        return None
    named = [p for p in weights if p.name == finding.parameter]
    if not named:
        worst = _odd_ones(profile, weights, factor)[:1]
        return Reading(worst[0][1], limit) if worst else None
    exempt = _exempt(profile, weights, too_small=limit < 1)
    return Reading(_milder(named[0], weights), None if named[0].layer in exempt else limit)


def _weights(profile: Profile) -> list[ParameterProfile]:
    linear = {x.name for x in profile.layers if x.role == "linear"}
    return [p for p in weights_of(profile).values() if p.layer in linear and _drawn(p)]


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
    exempt = {small: _exempt(profile, weights, too_small=small) for small in (True, False)}
    ratios = [(p, _milder(p, weights)) for p in weights]
    odd = [(p, x) for p, x in ratios if max(x, 1 / x) >= factor and p.layer not in exempt[x < 1]]
    return sorted(odd, key=lambda pair: -abs(math.log10(pair[1])))


def _milder(parameter: ParameterProfile, weights: Sequence[ParameterProfile]) -> float:
    """Return how many times too large it is, by gain or by plain RMS, whichever says less; 1 where they disagree."""
    rms = statistics.median(p.value.rms for p in weights)
    logs = (math.log10(_gain(parameter) / _median_gain(weights)), math.log10(parameter.value.rms / rms))
    return 10 ** min(logs, key=abs) if logs[0] * logs[1] > 0 else 1.0


def _median_gain(weights: Sequence[ParameterProfile]) -> float:
    return statistics.median(_gain(p) for p in weights)


def _exempt(profile: Profile, weights: Sequence[ParameterProfile], *, too_small: bool) -> frozenset[str]:
    """Layers whose scale has no effect, or may be small on purpose."""
    path = [x.name for x in forward_path(profile) if x.role == "linear"]
    few = {p.layer for p in weights if (p.fan_in or 0) < _SMALLEST_FAN_IN}
    beside = {p.layer for p in weights} - set(path) if too_small else set()
    return scale_undone(profile) | few | set(path[-1:]) | beside


def _all_off(profile: Profile, weights: Sequence[ParameterProfile], factor: float) -> Iterator[Finding]:
    """All weights too small or too large alike, seen in what they do to the signal and not only in their size.

    Too small: from each linear layer on the way to the loss to the next. Too large: also from a layer's input to its
    output, since norms may hide that they drown every skip connection.
    """
    steps = _steps(profile, weights)
    if not steps:
        return
    free = _free(profile, weights)
    gain = _median_gain(free)
    if (step := steps["small"]) is not None and max(step, gain) < 1 / factor:
        size, limit, how = "small", 1 / factor, "from each linear layer to the next"
    elif (step := steps["large"]) is not None and min(step, gain) > factor:
        size, limit, how = "large", factor, "by each linear layer"
    else:
        return
    first, *rest = free
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


def _free(profile: Profile, weights: Sequence[ParameterProfile]) -> list[ParameterProfile]:
    undone = scale_undone(profile)
    return [p for p in weights if p.layer not in undone]


def _steps(profile: Profile, weights: Sequence[ParameterProfile]) -> dict[str, float | None]:
    """Return the median ratio from linear layer to linear layer ("small") and over each ("large"), None for fewer than two."""
    free = {p.layer for p in _free(profile, weights)}
    path = [x for x in forward_path(profile) if x.role in ("linear", "norm")]
    onward = [x for a, b in itertools.pairwise(path) if a.role == "linear" and b.name in free and (x := _ratio(a, b))]
    through = [x for a, b in itertools.pairwise(leaves(profile)) if b.name in free and (x := _ratio(a, b))]
    found = {"small": onward, "large": through}
    return {name: statistics.median(x) if len(x) > 1 else None for name, x in found.items()} if free else {}


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
