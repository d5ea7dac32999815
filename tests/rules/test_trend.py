"""What counts as depth along a spine, and what as time."""

import pytest

from gradcheck_cli.records import Segment, Spine, SpinePoint
from gradcheck_cli.rules.trend import trend_of


def spine(steps: list[tuple[str, str, float]]) -> Spine:
    """A spine from (layer, role, log10 gain), loss side first."""
    decades, points = 0.0, [SpinePoint(layer="head", kind="Linear", role="linear", call=0, l2=1.0)]
    for layer, role, gain in steps:
        decades += gain
        points.append(SpinePoint(layer=layer, kind=layer, role=role, call=0, l2=10.0**decades))
    segments = tuple(Segment(layer=x, kind=x, role=r, call=0, log10_gain=g) for x, r, g in steps)
    return Spine(entry="0", points=tuple(points), segments=segments)


def test_one_activation_behind_many_layers_is_depth() -> None:
    """`self.act` called in a loop over layers: as lossy as an activation of its own behind each."""
    shared = spine([pair for i in range(20) for pair in (("act", "activation", -0.6), (f"layers.{i}", "linear", -0.2))])
    own = spine([pair for i in range(20) for pair in ((f"act.{i}", "activation", -0.6), (f"layers.{i}", "linear", -0.2))])
    assert trend_of(shared).total == pytest.approx(16.0)
    assert trend_of(shared).steady == pytest.approx(trend_of(own).steady)


def test_one_layer_called_again_and_again_is_time() -> None:
    """A recurrent cell: its steps, and the activation between them, are left out."""
    unrolled = spine([pair for _ in range(20) for pair in (("act", "activation", -0.6), ("cell", "linear", -0.2))])
    assert trend_of(unrolled).total == 0.0
