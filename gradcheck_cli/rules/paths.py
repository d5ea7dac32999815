"""How the rules read a Profile: the way from the input to the loss, and what stands behind a layer."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck_cli.records import LayerProfile, ParameterProfile, Profile, Spine

# f(c·x) = c·f(x) for c > 0: a norm behind one of these still undoes the scale of the layer before it
HOMOGENEOUS = frozenset({"relu", "leaky_relu", "leakyrelu", "prelu", "maxpool2d", "avgpool2d", "dropout"})


def main_spine(profile: Profile) -> Spine | None:
    """Return the spine with the most points, None when nothing was measured."""
    return max(profile.spines, key=lambda s: len(s.points), default=None)


def forward_path(profile: Profile) -> tuple[LayerProfile, ...]:
    """Return the layers on the main spine, input side first, each once, in the order of their first call."""
    spine = main_spine(profile)
    names = {point.layer for point in spine.points} if spine else set()
    return tuple(sorted((x for x in profile.layers if x.name in names), key=lambda x: x.order))


def leaves(profile: Profile) -> tuple[LayerProfile, ...]:
    """Return the leaf layers that ran, in execution order."""
    ran = (x for x in profile.layers if x.leaf and x.calls > 0)
    return tuple(sorted(ran, key=lambda x: x.order))


def scale_undone(profile: Profile) -> frozenset[str]:
    """Return the layers whose output goes to a normalisation next, so that their scale has no effect on what follows.

    Read off the execution order: layers that keep scale (ReLU, pooling, dropout) may stand between. A norm in a
    parallel branch that happens to run next is taken for the layer's own; then a finding is missed, never invented.
    """
    undone = set()
    pending: list[str] = []
    for layer in leaves(profile):
        if layer.role == "norm":
            undone.update(pending)
            pending = []
        elif layer.role == "linear":
            pending = [layer.name]
        elif layer.role != "shape" and layer.kind.lower() not in HOMOGENEOUS:
            pending = []
    return frozenset(undone)


def weights_of(profile: Profile) -> dict[str, ParameterProfile]:
    """Return each layer's own weight (the largest one, if a layer has several) by layer name."""
    best: dict[str, ParameterProfile] = {}
    for parameter in profile.parameters:
        if (
            parameter.role == "weight"
            and parameter.fan_in
            and (parameter.layer not in best or parameter.value.numel > best[parameter.layer].value.numel)
        ):
            best[parameter.layer] = parameter
    return best


def listed(names: Sequence[str], most: int = 4) -> str:
    """Write layer names for a message: the first few in backticks, then how many more."""
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
