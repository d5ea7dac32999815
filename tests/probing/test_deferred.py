"""A tensor reduced in a block with others gives the numbers that it gives alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck_cli.probing.deferred import LARGEST, Deferred, Wanted
from gradcheck_cli.probing.exponents import SAMPLE
from gradcheck_cli.probing.statistics import summarise
from gradcheck_cli.probing.summary import Summary, combined
from gradcheck_cli.probing.units import unit_facts
from gradcheck_cli.probing.variation import variation_between_samples

SPECIAL = (0.0, -0.0, math.nan, math.inf, -math.inf, 1e-42, 1e-30, -1e30, 3e38)


def same(found: Summary, alone: Summary) -> None:
    assert found.to_stats().histogram == alone.to_stats().histogram
    for name in ("shape", "dtype", "numel", "nonfinite", "zeros", "looked_at", "sampled", "abs_max"):
        assert getattr(found, name) == getattr(alone, name), name
    assert found.l2 == pytest.approx(alone.l2, rel=2e-6, abs=0)
    assert found.l1() == alone.l1()


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(st.sampled_from([(), (1,), (7,), (3, 5), (2, 3, 4), (64,), (16, 600), (1, SAMPLE + 9)]), max_size=40),
    scales=st.lists(st.sampled_from([0.0, 1e-42, 1e-38, 1e-30, 1e-16, 1.0, 1e16, 1e30, 1e38]), min_size=1, max_size=9),
    special=st.lists(st.sampled_from(SPECIAL), max_size=3),
    exact=st.booleans(),
    histogram=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_a_block_gives_what_each_tensor_gives_alone(shapes, scales, special, exact, histogram, seed):
    dice = torch.Generator().manual_seed(seed)
    deferred, pairs = Deferred(exact=exact), []
    for i, shape in enumerate(shapes):
        tensor = torch.randn(shape, generator=dice).clamp(-3, 3) * scales[i % len(scales)]
        if i % 3 == 0:
            tensor.relu_()
        for value in special[: (i % 4)]:
            tensor.view(-1)[int(torch.randint(tensor.numel(), (), generator=dice))] = value
        pairs.append((deferred.summarise(tensor, histogram=histogram), summarise(tensor, histogram=histogram, exact=exact)))
        tensor.fill_(5)  # as an in-place operation does after the hook
    deferred.flush()
    for found, alone in pairs:
        same(found, alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.complex64])
def test_other_types_are_reduced_on_the_spot(dtype):
    tensor = torch.randn(40, dtype=dtype)
    same(Deferred(exact=False).summarise(tensor), summarise(tensor))


@pytest.mark.parametrize("tensor", [torch.empty(0), torch.ones(5).to_sparse(), torch.empty(3, device="meta")])
def test_what_is_out_of_the_ordinary(tensor):
    deferred = Deferred(exact=False)
    found = deferred.summarise(tensor)
    deferred.flush()
    same(found, summarise(tensor))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [LARGEST, LARGEST + 1, 5 * LARGEST])
def test_only_the_histogram_of_a_large_tensor_waits(size, exact):
    deferred, tensor = Deferred(exact=exact), torch.randn(size).relu()
    found = deferred.summarise(tensor)
    deferred.flush()
    same(found, summarise(tensor, exact=exact))


def test_strides_and_more_shapes_than_blocks():
    deferred = Deferred(exact=False)
    tensors = [torch.randn(n, 3).T for n in range(1, 60)] * 2 + [torch.randn(1, 4).expand(6, 4)]
    pairs = [(deferred.summarise(t), summarise(t)) for t in tensors]
    deferred.flush()
    for found, alone in pairs:
        same(found, alone)


def test_variation_and_dead_units():
    dice = torch.Generator().manual_seed(0)
    deferred = Deferred(exact=False)
    flat = [torch.randn(70, 40, generator=dice) + shift for shift in (0.0, 1.0, 100.0)] + [
        torch.ones(70, 40),
        torch.zeros(70, 40),
    ]
    maps = [torch.randn(4, 6, 5, 5, generator=dice).sub(shift).relu() for shift in (0.0, 2.0, 3.0, 9.0)]
    varied = [deferred.add(t, Wanted(variation=True)) for t in flat]
    dead = [deferred.add(t, Wanted(unit_dim=1)) for t in maps]
    deferred.flush()
    assert [s.variation for s in varied] == [pytest.approx(variation_between_samples(t, 70)) for t in flat]
    assert [s.dead_units for s in dead] == [unit_facts("relu", t, 1).dead_fraction for t in maps]
    assert dead[-1].dead_units == 1.0


def test_memory_of_the_blocks_outlives_inference_mode():
    deferred = Deferred(exact=False)
    with torch.inference_mode():
        inside = deferred.summarise(torch.full((4,), 2.0))
    outside = deferred.summarise(torch.full((4,), 3.0))
    deferred.flush()
    assert (inside.l2, outside.l2) == (4.0, 6.0)


def test_summaries_combine_without_being_changed():
    one, two = summarise(torch.tensor([3.0, 0.0])), summarise(torch.tensor([4.0]))
    total = combined([one, two])
    assert (total.l2, total.numel, total.zeros) == (5.0, 3, 1)
    assert (one.l2, one.numel, two.l2) == (3.0, 2, 4.0)
    assert combined([one]) is one
    assert combined([]) is None
