import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.reporting.picture import BLOCKS, bar, binned, blocks, hue, span

DECADES = st.lists(st.floats(-40, 10), min_size=1, max_size=300)


def test_a_flat_gradient_is_drawn_flat() -> None:
    """A range below four decades is not stretched over the whole height."""
    drawn = blocks([-0.6, -0.8, -0.5, -0.9])
    assert {BLOCKS.index(mark) for mark in drawn} <= {6, 7}


def test_a_falling_gradient_uses_the_whole_height_and_falls() -> None:
    drawn = [BLOCKS.index(mark) for mark in blocks([-17.0, -13.0, -9.0, -5.0, -1.0])]
    assert drawn == sorted(drawn)
    assert (drawn[0], drawn[-1]) == (0, 7)


def test_what_is_no_number_has_its_own_mark() -> None:
    assert blocks([-math.inf, math.nan, math.inf, 0.0]) == " ?!█"


@given(DECADES)
def test_binning_keeps_ends_within_range_and_length_below_the_most(values: list[float]) -> None:
    short = binned(values, 60)
    assert len(short) == min(len(values), 60)
    assert min(values) - 1e-9 <= min(short) <= max(short) <= max(values) + 1e-9


def test_a_bin_is_the_mean_of_its_finite_values() -> None:
    assert binned([1.0, 3.0, -math.inf, 5.0, -math.inf, -math.inf], 3) == [2.0, 5.0, -math.inf]


@given(DECADES)
def test_bars_grow_with_the_value_and_stay_within_their_cells(values: list[float]) -> None:
    low, high = span(values)
    lengths = [len(bar(v, low, high, 24, fine=True)) for v in sorted(values)]
    assert lengths == sorted(lengths)
    assert 1 <= lengths[0] <= lengths[-1] <= 24


def test_a_bar_without_fine_blocks_is_whole_cells() -> None:
    assert set(bar(-3.0, -4.0, 0.0, 12, fine=False)) == {"█"}
    assert bar(-math.inf, -4.0, 0.0, 12, fine=True) == ""


@pytest.mark.parametrize(("value", "colour"), [(-0.9, "green"), (-2.7, "yellow"), (2.2, "red"), (-math.inf, "red")])
def test_colour_is_the_distance_from_the_loss(value: float, colour: str) -> None:
    assert hue(value, -0.9) == colour
