"""The one-read statistics against float64, over the whole range of every kind of tensor."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck_cli.probing.exponents import SAMPLE
from gradcheck_cli.probing.statistics import CHUNK, summarise

PLAIN = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
DIGITS = {torch.float32: 1e-4, torch.float64: 1e-12, torch.float16: 1e-4, torch.bfloat16: 1e-4}


def exponents(tensor) -> Counter:
    """floor(log2 |x|) of every finite value but zero, the slow and exact way."""
    return Counter(math.frexp(v)[1] - 1 for v in tensor.double().abs().flatten().tolist() if v and math.isfinite(v))


def histogram(stats) -> Counter:
    return Counter({stats.histogram.first + i: n for i, n in enumerate(stats.histogram.counts) if n})


@pytest.mark.parametrize(
    ("value", "count", "dtype"),
    [
        (1e-24, 1000, torch.float32),
        (1e-24, 1000, torch.bfloat16),
        (1e-30, 1000, torch.float32),
        (1e-30, 1000, torch.bfloat16),
        (1e-42, 1000, torch.float32),  # subnormal
        (1e20, 1000, torch.float32),
        (3e38, 1000, torch.float32),
        (300.0, 1_000_000, torch.float16),
        (6e-8, 1000, torch.float16),  # the smallest number of the type
        (1e-3, 10_000_000, torch.float32),
        (1e-3, 10_000_000, torch.float16),
        (1e-200, 1000, torch.float64),
        (1e200, 1000, torch.float64),
    ],
)
def test_l2_where_the_plain_norm_fails(value, count, dtype):
    tensor = torch.full((1,), value, dtype=dtype).expand(count)
    stats = summarise(tensor, histogram=False).to_stats()
    stored = float(tensor[0])
    assert stats.l2 == pytest.approx(stored * math.sqrt(count), rel=1e-4)
    assert stats.rms == pytest.approx(stored, rel=1e-4)
    assert stats.abs_max == pytest.approx(stored, rel=1e-6)
    assert (stats.numel, stats.nonfinite) == (count, 0)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 12), min_size=0, max_size=4),
    dtype=st.sampled_from(PLAIN),
    scale=st.floats(-40, 38),
    spread=st.floats(0, 3),
    zeros=st.floats(0, 1),
    bad=st.sampled_from([(), (math.nan,), (math.inf,), (-math.inf, math.nan, math.nan)]),
    seed=st.integers(0, 2**31),
)
def test_agrees_with_float64(shape, dtype, scale, spread, zeros, bad, seed):
    dice = torch.Generator().manual_seed(seed)
    size = torch.randn(shape, generator=dice, dtype=torch.float64) * 10 ** (
        spread * torch.randn(shape, generator=dice, dtype=torch.float64)
    )
    tensor = torch.where(torch.rand(shape, generator=dice) < zeros, 0.0, size * 10.0**scale)
    tensor = tensor.clamp(-torch.finfo(dtype).max, torch.finfo(dtype).max).to(dtype)  # what overflows counts as non-finite
    flat = tensor.reshape(-1).clone()
    for i, value in enumerate(bad[: flat.numel()]):
        flat[i] = value
    tensor = flat.reshape(shape)
    good = flat.double()[flat.isfinite()]
    largest = good.abs().max().item() if good.numel() else 0.0
    l2 = largest * (good / largest).norm().item() if largest else 0.0
    stats = summarise(tensor, mean=True, exact=True).to_stats()
    assert stats.numel == flat.numel()
    assert stats.shape == tuple(shape)
    assert stats.nonfinite == flat.numel() - good.numel()
    assert stats.l2 == pytest.approx(l2, rel=DIGITS[dtype], abs=0)
    assert stats.abs_max == pytest.approx(largest, rel=1e-6, abs=0)
    if math.isfinite(good.sum().item()) and good.numel():
        assert stats.mean == pytest.approx(good.mean().item(), rel=1e-3, abs=1e-5 * largest)
    assert histogram(stats) == exponents(tensor)
    assert stats.histogram.total == good.numel()
    share = (good == 0).double().mean().item() if good.numel() else 0.0
    assert stats.zero_fraction == pytest.approx(share, abs=1e-12)


def test_shares_of_the_histogram_are_counts():
    tensor = torch.tensor([0.0, 2.0**-30, 2.0**-25, 1.5 * 2.0**-25, 2.0**-24, 1.0, 1.99, 2.0, 65536.0, -70000.0])
    found = summarise(tensor).to_stats().histogram
    assert found.share_below(-25) == pytest.approx(0.1)
    assert found.share_below(-24) == pytest.approx(0.3)
    assert found.share_below(1) == pytest.approx(0.6)
    assert found.share_from(16) == pytest.approx(0.2)
    assert found.share_from(-1000) == pytest.approx(0.9)  # zeros are in neither
    assert found.share_below(1000) == pytest.approx(0.9)


@pytest.mark.parametrize("dtype", PLAIN)
@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_no_chunk_is_lost_or_counted_twice(size, dtype):
    tensor = (torch.arange(size) % 97 + 1).to(dtype) / 64
    tensor[-1] = 0
    tensor[size // 2] = math.nan
    stats = summarise(tensor, exact=True, mean=True).to_stats()
    values = tensor.double().nan_to_num(0)
    zero = int((tensor == 0).sum())
    finite = size - int(tensor.isnan().sum())
    assert stats.l2 == pytest.approx(values.norm().item(), rel=1e-4)
    assert stats.mean * max(finite, 1) == pytest.approx(values.sum().item(), rel=1e-5)
    assert (stats.nonfinite, sum(stats.histogram.counts)) == (size - finite, finite - zero)
    assert stats.histogram.share_below(-6) == 0


def test_chunks_of_very_different_size_combine():
    tensor = torch.cat([torch.full((CHUNK,), v) for v in (1e-30, 1e30, 1.0)])
    assert summarise(tensor).l2 == pytest.approx(1e30 * math.sqrt(CHUNK), rel=1e-5)
    assert summarise(tensor[:CHUNK]).l2 == pytest.approx(1e-30 * math.sqrt(CHUNK), rel=1e-5)


@pytest.mark.parametrize("distribution", ["normal", "heavy", "sparse", "banded"])
def test_a_sampled_histogram_is_right_to_a_few_points(distribution):
    dice = torch.Generator().manual_seed(3)
    tensor = torch.randn(1024, 960, generator=dice)
    if distribution == "heavy":
        tensor = tensor * torch.exp(3 * torch.randn(tensor.shape, generator=dice))
    elif distribution == "sparse":
        tensor = tensor * (torch.rand(tensor.shape, generator=dice) < 0.3)
    elif distribution == "banded":  # each channel has its own size: a step in time with the width would see a few only
        tensor = tensor * torch.logspace(-6, 3, 960)
    exact, sampled = summarise(tensor, exact=True).to_stats(), summarise(tensor).to_stats()
    assert sampled.histogram.sampled
    assert not exact.histogram.sampled
    assert SAMPLE // 2 <= sampled.histogram.total <= SAMPLE
    lowest = exact.histogram.first
    edges = range(lowest, lowest + len(exact.histogram.counts) + 1)
    gap = max(abs(exact.histogram.share_below(e) - sampled.histogram.share_below(e)) for e in edges)
    assert gap <= 0.03
    assert abs(exact.zero_fraction - sampled.zero_fraction) <= 0.03
    assert sampled.l2 == exact.l2  # only the histogram is sampled


@pytest.mark.parametrize("shape", [(SAMPLE,), (SAMPLE // 8, 8)])
def test_small_tensors_are_never_sampled(shape):
    assert not summarise(torch.randn(shape)).sampled


@pytest.mark.parametrize("distribution", ["normal", "uniform", "heavy", "laplace"])
def test_l1_from_the_histogram(distribution):
    dice = torch.Generator().manual_seed(4)
    x = torch.randn(200, 300, generator=dice)
    x = {
        "normal": x,
        "uniform": torch.rand(200, 300, generator=dice),
        "heavy": x * torch.exp(2 * torch.randn(200, 300, generator=dice)),
        "laplace": x.sign() * -torch.log(torch.rand(200, 300, generator=dice).clamp_min(1e-9)),
    }[distribution]
    assert summarise(x * 1e-9, exact=True).l1() == pytest.approx((x * 1e-9).abs().sum().item(), rel=0.08)
    assert summarise(x, histogram=False).l1() is None


def test_complex_values_count_by_their_size():
    tensor = torch.tensor([3 + 4j, 0j, 1j, complex(math.nan, 0)])
    stats = summarise(tensor).to_stats()
    assert stats.l2 == pytest.approx(math.sqrt(26))
    assert (stats.abs_max, stats.nonfinite, stats.numel) == (5.0, 1, 4)
    assert stats.dtype == "complex64"


def test_a_sparse_gradient_is_coalesced():
    """Two lookups of one row add up: 3, not the square root of the sum of squares."""
    indices = torch.tensor([[0, 2, 2]])
    tensor = torch.sparse_coo_tensor(indices, torch.tensor([[0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), (5, 2))
    stats = summarise(tensor).to_stats()
    assert stats.l2 == pytest.approx(math.sqrt(4 + 9))
    assert stats.shape == (5, 2)


def test_other_layouts():
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert summarise(dense.to_sparse_csr()).l2 == pytest.approx(math.sqrt(13))
    assert summarise(dense.to_mkldnn()).l2 == pytest.approx(math.sqrt(13))
    rows = [torch.ones(2, 3), 2 * torch.ones(4, 3)]
    for layout in (torch.strided, torch.jagged):
        nested = torch.nested.nested_tensor(rows, layout=layout)
        assert summarise(nested).l2 == pytest.approx(math.sqrt(6 + 48))
        assert summarise(nested).to_stats().shape == (2, -1, -1)
        assert summarise(nested).numel == 18


@pytest.mark.parametrize("tensor", [torch.empty(0), torch.empty(3, 0), torch.empty(2, 3, device="meta")])
def test_nothing_to_read(tensor):
    stats = summarise(tensor).to_stats()
    assert (stats.l2, stats.rms, stats.abs_max, stats.nonfinite, stats.numel) == (0.0, 0.0, 0.0, 0, 0)
    assert stats.shape == tuple(tensor.shape)
    assert stats.histogram is None


def test_scalars_and_strides():
    assert summarise(torch.tensor(-2.0)).to_stats().l2 == 2.0
    expanded = torch.tensor([[1.0], [2.0]]).expand(2, 1000)
    assert summarise(expanded).to_stats().l2 == pytest.approx(math.sqrt(5000))
    assert summarise(torch.tensor(1.0).expand(3, 4)).to_stats().l2 == pytest.approx(math.sqrt(12))
    grid = torch.arange(24.0).reshape(4, 6)
    for view in (grid.T, grid[::2, 1::2], grid.T.unsqueeze(0).expand(5, -1, -1), grid.flip(0)):
        stats = summarise(view).to_stats()
        assert stats.l2 == pytest.approx(view.double().norm().item(), rel=1e-6)
        assert histogram(stats) == exponents(view)
        assert stats.zero_fraction == pytest.approx((view == 0).double().mean().item())


def test_the_tensor_is_not_changed():
    tensor = torch.randn(1000, requires_grad=True)
    before, version = tensor.detach().clone(), tensor._version
    summarise(tensor, exact=True, mean=True)
    assert torch.equal(tensor, before)
    assert tensor._version == version


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(-20, 20), st.booleans()), min_size=1, max_size=6), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_several_calls_add_up_to_their_concatenation(calls, seed):
    dice = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(n, generator=dice) * 10**s for n, s, _ in calls]
    for tensor, (_, _, bad) in zip(tensors, calls, strict=True):
        if bad:
            tensor[0] = math.inf
    combined = summarise(tensors[0], mean=True)
    for tensor in tensors[1:]:
        combined.add(summarise(tensor, mean=True))
    whole, parts = summarise(torch.cat(tensors), mean=True).to_stats(), combined.to_stats()
    assert parts.l2 == pytest.approx(whole.l2, rel=1e-5)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-4, abs=1e-6 * whole.abs_max)
    assert histogram(parts) == histogram(whole)
    assert (parts.abs_max, parts.nonfinite, parts.numel, parts.zero_fraction) == (
        whole.abs_max,
        whole.nonfinite,
        whole.numel,
        whole.zero_fraction,
    )
