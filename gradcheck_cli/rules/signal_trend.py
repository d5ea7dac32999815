"""Size of the signal along the depth: the stretch that no normalisation undoes, and whether it grows or shrinks steadily."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from gradcheck_cli.records import LayerProfile, Profile
from gradcheck_cli.rules.paths import forward_path


@dataclass(frozen=True, slots=True)
class Trend:
    """The layers of the stretch, its change in decades (positive: growth), and the largest share one step has in it."""

    layers: tuple[LayerProfile, ...]
    decades: float
    largest_step: float

    @property
    def per_layer(self) -> float:
        return self.decades / (len(self.layers) - 1)


def signal_trend(profile: Profile) -> Trend | None:
    """Return the trend of log10 RMS over the linear layers behind the last norm on the way to the loss.

    A norm brings the signal back to size one, so only what comes after the last one reaches the loss. Outputs that are
    exactly zero (a zero head) or not finite say nothing of scale. None with fewer than three layers.
    """
    layers: list[LayerProfile] = []
    for layer in forward_path(profile):
        if layer.role == "norm":
            layers = []
        elif layer.role == "linear" and layer.output and 0 < layer.output.rms < math.inf:
            layers.append(layer)
    if len(layers) < 3:
        return None
    logs = [math.log10(layer.output.rms) for layer in layers if layer.output]
    decades = logs[-1] - logs[0]
    steps = [(b - a) / decades for a, b in itertools.pairwise(logs)] if decades else [0.0]
    return Trend(layers=tuple(layers), decades=decades, largest_step=max(steps))
