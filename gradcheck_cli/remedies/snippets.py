"""Fill a remedy's snippet with the user's own names."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck_cli.records import Finding, LayerProfile, Profile, SourceSite
from gradcheck_cli.remedies.catalogue_reader import Remedy
from gradcheck_cli.remedies.scopes import Place, activation_targets
from gradcheck_cli.remedies.surroundings import Surroundings

_FALLBACKS = {"better_lr": "1e-4", "feature": "column", "loss_scale": "65536.0"}  # where the scan knows no better


def fill(remedy: Remedy, around: Surroundings, finding: Finding, facts: Mapping[str, Any]) -> str:
    """Return the snippet for one finding. A name that nothing is known of stays visible as its placeholder."""
    target = _target(remedy, around, finding, facts)
    called = target is None or target.functional or not target.leaf  # a call in a forward method, no layer to replace
    text = remedy.snippet_functional if called and remedy.snippet_functional else remedy.snippet
    return string.Template(text).safe_substitute(_names(around, finding, facts, target)).rstrip()


def accessor(name: str) -> str:
    """Write a layer's fqn as Python: `net.3.fc` becomes `model.net[3].fc`."""
    text = "model"
    for part in name.partition("/")[0].split(".") if name else ():
        if part.isdigit():
            text += f"[{part}]"
        elif part.isidentifier() and part.isascii():
            text += f".{part}"
        else:
            text += f"._modules[{part!a}]"  # where torch keeps it; it can be assigned to
    return text


def _target(remedy: Remedy, around: Surroundings, finding: Finding, facts: Mapping[str, Any]) -> LayerProfile | None:
    """Return the layer that the remedy edits: the activation, the weights, or what the finding points to."""
    if remedy.cost == "activation":
        found = activation_targets(Place(around=around, finding=finding, facts=facts, roles=()))
        return around.layers[found[0]] if found else None
    pointed = around.layers.get(finding.layer)
    if remedy.cost in ("initialisation", "normalisation", "skip connection") and (
        pointed is None or pointed.role not in ("linear", "recurrent", "norm")
    ):
        return _nearest_linear(around, pointed) or pointed
    return pointed


def _nearest_linear(around: Surroundings, layer: LayerProfile | None) -> LayerProfile | None:
    """Return the linear layer that runs right before `layer`, else the first."""
    first = next(iter(around.linear), None)
    if layer is None:
        return first
    return next((x for x in reversed(around.linear) if x.order < layer.order), first)


def _names(around: Surroundings, finding: Finding, facts: Mapping[str, Any], target: LayerProfile | None) -> dict[str, str]:
    profile = around.profile
    fellows = around.fellows[target.kind, target.role] if target is not None else 0
    site = (target.site if target else None) or finding.site
    names = {
        "layer": accessor(target.name if target else finding.layer),
        "owner": accessor(target.parent or "") if target and target.functional else accessor(finding.layer),
        "kind": target.kind if target else "",
        "where": where(site, profile.target),
        "more": f", and {fellows - 1} more like it" if fellows > 1 else "",
        "width": str(_width(target)) if target else "features",
        "parameter": accessor(finding.parameter) if finding.parameter else "parameter",
        "optimizer": profile.optimizer.name if profile.optimizer else "Adam",
        "file": _plain(profile.target),
        "batch_norm": f"BatchNorm{_dimensions(target)}d",
    }
    stated = {key: value for key, value in facts.items() if isinstance(value, (str, int, float)) and key not in names}
    names |= {key: f"{value:.3g}" if isinstance(value, float) else _plain(str(value)) for key, value in stated.items()}
    return _FALLBACKS | names | _model_words(around) | _recurrent(profile, target)


def _model_words(around: Surroundings) -> dict[str, str]:
    """Return what is the same for every finding."""
    if not around.words:
        around.words["weights"] = _span([x.name for x in around.linear])
        around.words["linear_kinds"] = _kinds(around.linear)
        around.words["square"] = accessor(next((x.name for x in around.square), ""))
    return around.words


def where(site: SourceSite | None, target: str) -> str:
    """Write `model.py:14`, or the target where no line is known."""
    return f"{_plain(site.file)}:{site.line}" if site else _plain(target)


def _plain(text: str) -> str:
    """Keep a name on one line: it may hold anything, and ends up in a comment of a code snippet."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _span(names: Sequence[str]) -> str:
    if not names:
        return "all linear layers"
    return _plain(names[0]) if len(names) == 1 else f"{_plain(names[0])} … {_plain(names[-1])} ({len(names)} layers)"


def _kinds(linear: Sequence[LayerProfile]) -> str:
    kinds = [k for k in dict.fromkeys(x.kind for x in linear) if k in ("Linear", "Conv1d", "Conv2d", "Conv3d")]
    return f"({', '.join(f'nn.{k}' for k in kinds)})" if len(kinds) > 1 else f"nn.{kinds[0]}" if kinds else "nn.Linear"


def _width(layer: LayerProfile) -> int | str:
    """Return the units of a layer's output: its channels for convolutions [N, C, ...], else the last dimension."""
    shape = layer.output.shape if layer.output else ()
    if len(shape) < 2:
        return "features"
    return shape[1] if "Conv" in layer.kind and layer.kind != "Conv1D" else shape[-1]


def _dimensions(layer: LayerProfile | None) -> int:
    """Return 1, 2 or 3 for the norm that fits a layer's output [N, C], [N, C, L], [N, C, H, W] ..."""
    kind = layer.kind if layer else ""
    return int(kind[-2]) if kind.startswith("Conv") and kind[-2:-1] in ("2", "3") else 1


def _recurrent(profile: Profile, target: LayerProfile | None) -> dict[str, str]:
    if target is None or target.role != "recurrent":
        return {"input_size": "input_size", "hidden_size": "hidden_size", "num_layers": "1"}
    first = next((p for p in profile.parameters if p.layer == target.name and "weight_ih" in p.name), None)
    sizes: dict[str, float | str] = {"input_size": first.value.shape[-1] if first else "input_size"}
    sizes |= {key: target.facts.get(key, default) for key, default in (("hidden_size", "hidden_size"), ("num_layers", 1))}
    return {key: f"{value:g}" if isinstance(value, (int, float)) else str(value) for key, value in sizes.items()}
