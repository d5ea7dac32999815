"""Deep in the network all samples look the same.

What it measures
For the layers on the way from input to loss: how much of an output differs between samples (RMS of the deviation from the
batch mean over RMS of the output, 1 when samples have nothing in common, 0 when all are equal), relative to the same number
of the first layer's input.

Why it matters
What no longer differs cannot be classified, and the gradients of different samples cancel or add up to one common
direction: the network first has to unlearn its constant. It happens to deep networks with contracting activations, to plain
ReLU networks whose biases outweigh the signal, to attention without skips and to graph networks that average neighbours.

Limits and where they come from
`variation` 0.02 (share of the first layer's input): plain ReLU networks with He initialisation lose samples only like
1/depth (0.4 at 20 layers, 0.13 at 50). Eight layers with PyTorch's default initialisation reach 4e-3 and recover to 0.14
within 20 optimizer steps; thirty averaging graph convolutions reach 1e-3 and do not. The healthy networks of
`benchmarks/verdicts.py` stay above 0.04. `one-step` 0.3: where more than this was left one layer earlier, the samples are
lost in one place (a pooling over everything, a constant that is added) and not along the depth.

When it is wrong
Outputs that are meant to be constant at first (a zero output head) are passed over: the last two layers must both have lost
the samples, step by step. A batch of equal samples has nothing to lose and is not judged. The finding must hold on
other batches and on a copy trained for some steps.

What to do
Add skip connections or normalisation, use an initialisation that keeps the signal (He for ReLU), and fewer averaging steps.

References
B. Poole et al. (2016) and S. Schoenholz et al. (2017), correlation maps; Y. Dong et al., "Attention is not all you need"
(2021); Q. Li, Z. Han, X. Wu, oversmoothing (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import Finding, LayerProfile, Limit, Profile, Rule
from gradcheck_cli.rules.examples import input_of, layer_of, profile_of
from gradcheck_cli.rules.paths import forward_path
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC203",
    name="indistinct-samples",
    summary="Deep in the network all samples look the same.",
    severity="warning",
    limits=(
        Limit(
            name="variation",
            value=0.02,
            unit="between-sample variation, relative to the input's",
            source="benchmarks/verdicts.py; see the page",
        ),
        Limit(
            name="one-step",
            value=0.3,
            unit="between-sample variation one layer earlier",
            source="chosen by us: a decay along the depth takes several layers",
        ),
    ),
)
CONFIRM = "training"
UNCONFIRMED = "silent"  # a network that tells its samples apart after a few steps is a healthy one at its start
EFFECT = Quantity("samples still differ by", "share", worse="below", log=True)


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    relative = _relative(profile)
    lost = _lost_at(relative, limits)
    if lost is None:
        return
    layer, value = relative[lost]
    yield Finding(
        code="GC203",
        severity="warning",
        layer=layer.name,
        site=layer.site,
        message=f"from `{layer.name}` on, samples differ by {value:.1e} of what the input's samples do "
        f"(limit {limits['variation']:g}): {relative[-1][1]:.1e} is left at `{relative[-1][0].name}`",
        details=(("depth", f"lost after {lost + 1} of {len(relative)} layers on the way to the loss"),),
        facts={"variation": relative[-1][1], "depth": len(relative), "lost_at": lost + 1},
        affected=tuple(x.name for x, _ in relative[lost + 1 :]),
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return what is left at the last layer; no limit holds where the samples are not lost step by step."""
    relative = _relative(profile)
    if not relative:
        return None
    value = relative[-1][1]
    silent = value < limits["variation"] and _lost_at(relative, limits) is None
    return Reading(value, None if silent else limits["variation"])


def _relative(profile: Profile) -> list[tuple[LayerProfile, float]]:
    """Layers on the way to the loss, each with its variation relative to the input's; empty where there is too little."""
    path = [x for x in forward_path(profile) if x.sample_variation is not None and x.role in ("linear", "norm", "other")]
    start = _at_the_input(profile)
    return [(x, (x.sample_variation or 0.0) / start) for x in path] if len(path) >= 3 and start else []


def _lost_at(relative: Sequence[tuple[LayerProfile, float]], limits: Mapping[str, float]) -> int | None:
    """Return from where on all layers are below the limit: two at least, and not lost in one place."""
    limit = limits["variation"]
    if not relative or not all(v < limit for _, v in relative[-2:]):
        return None
    lost = next(i for i in range(len(relative)) if all(v < limit for _, v in relative[i:]))
    return None if lost and relative[lost - 1][1] > limits["one-step"] else lost


def _at_the_input(profile: Profile) -> float | None:
    """The variation of the batch; of integers the first layer's, for an embedding makes vectors of them."""
    varied = [x.sample_variation for x in profile.batch if x.floating and x.sample_variation is not None]
    if varied:
        return max(varied)
    ran = sorted((x for x in profile.layers if x.leaf and x.calls), key=lambda x: x.order)
    return next((x.sample_variation for x in ran if x.sample_variation is not None), None)


def _example(*variations: float, start: float = 1.0) -> Profile:
    layers = [layer_of(f"net.{i}", sample_variation=v) for i, v in enumerate(variations)]
    return profile_of(*layers, batch=(input_of(sample_variation=start),))


FIRES = (lambda: _example(*[0.5**i for i in range(16)]), lambda: _example(*[0.03 * 0.2**i for i in range(8)], start=0.1))
CLEAN = (
    lambda: _example(*[1 / (1 + 0.1 * i) for i in range(100)]),  # ReLU with He initialisation
    lambda: _example(0.9, 0.8, 0.7, 0.0),  # zero output head
    lambda: _example(0.9, 0.8, 1e-9, 1e-9),  # lost in one place
    lambda: _example(0.0, 0.0, 0.0, start=0.0),  # a batch of equal samples
)
