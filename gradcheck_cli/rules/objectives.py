"""Several objectives of one model: what is true of all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gradcheck_cli.records import Confirmation, LayerProfile, ParameterProfile, Profile, TrainedProbe


def united(profiles: Sequence[Profile]) -> Profile:
    """Return one profile in which a gradient arrived wherever it arrived under any objective.

    The discriminator's loss of a GAN never reaches the generator; only what no loss reaches is unreached.
    """
    first = profiles[0]
    if len(profiles) == 1:
        return first
    dependence = [p.input_dependence for p in profiles if p.input_dependence is not None]
    return dataclasses.replace(
        first,
        layers=_best_layers(profiles),
        parameters=_best_parameters(profiles),
        input_dependence=max(dependence, default=None),
        confirmation=_united_confirmation(profiles),
    )


def _best_layers(profiles: Sequence[Profile]) -> tuple[LayerProfile, ...]:
    best: dict[str, LayerProfile] = {}
    for profile in profiles:
        for layer in profile.layers:
            if layer.name not in best or (layer.state == "measured" != best[layer.name].state):
                best[layer.name] = layer
    return tuple(best.values())


def _best_parameters(profiles: Sequence[Profile]) -> tuple[ParameterProfile, ...]:
    best: dict[str, ParameterProfile] = {}
    for profile in profiles:
        for parameter in profile.parameters:
            if parameter.name not in best or _arrived(parameter) > _arrived(best[parameter.name]):
                best[parameter.name] = parameter
    return tuple(best.values())


def _arrived(parameter: ParameterProfile) -> tuple[bool, float]:
    gradient = parameter.gradient
    return parameter.state == "measured", gradient.abs_max if gradient else 0.0


def _united_confirmation(profiles: Sequence[Profile]) -> Confirmation | None:
    looks = [p.confirmation for p in profiles if p.confirmation is not None]
    if not looks:
        return None
    repeats = tuple(united(same) for same in zip(*(look.repeats for look in looks), strict=False))
    trained = tuple(_united_probe(same) for same in zip(*(look.trained for look in looks), strict=False))
    return Confirmation(repeats=repeats, trained=trained)


def _united_probe(probes: Sequence[TrainedProbe]) -> TrainedProbe:
    return dataclasses.replace(probes[0], profile=united([p.profile for p in probes]))
