"""Fingerprints tell every change of a bit, in every layout, and read no more memory than a tensor has."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.probing.bits import CHUNK_BYTES, SMALL_BYTES, dense, fingerprint, pieces

SIZES = [1, 7, 64, SMALL_BYTES // 4 + 1, CHUNK_BYTES // 4 + 3]


@pytest.mark.parametrize("size", SIZES)
def test_uniform_values_signs_and_order_are_told_apart(size):
    ramp = torch.arange(size, dtype=torch.float32)
    tensors = [torch.zeros(size), torch.ones(size), -torch.zeros(size), torch.full((size,), float("nan")), ramp + 2]
    if size > 1:
        tensors += [ramp.flip(0), ramp.roll(1)]
    assert len({fingerprint(t) for t in tensors}) == len(tensors)
    assert fingerprint(tensors[3]) == fingerprint(tensors[3].clone())


@given(size=st.sampled_from(SIZES), place=st.integers(0, 2**20), bit=st.integers(0, 31))
def test_one_flipped_bit_shows(size, place, bit):
    values = torch.linspace(-3, 3, size)
    before = fingerprint(values)
    values.view(torch.int32)[place % size] ^= torch.tensor(1 << bit, dtype=torch.int64).to(torch.int32)
    assert fingerprint(values) != before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64, torch.bool, torch.uint8, torch.float8_e5m2])
@pytest.mark.parametrize("size", [5, SMALL_BYTES * 3 + 1])
def test_every_dtype_is_read(dtype, size):
    values = torch.ones(size).to(dtype)
    other = values.clone()
    other.view(torch.uint8)[-1] ^= 1
    assert fingerprint(values) == fingerprint(values.clone()) != fingerprint(other)


def _sparse(value):
    return torch.sparse_coo_tensor([[0, 2]], torch.tensor([1.0, value]), (4,))


LAYOUTS = {
    "sparse": _sparse,
    "csr": lambda v: torch.eye(3).mul(v).to_sparse_csr(),
    "quantised": lambda v: torch.quantize_per_tensor(torch.tensor([1.0, v]), 0.1, 0, torch.qint8),
    "jagged": lambda v: torch.nested.nested_tensor([torch.ones(2), torch.full((3,), v)], layout=torch.jagged),
    "nested": lambda v: torch.nested.nested_tensor([torch.ones(2), torch.full((3,), v)]),
    "transposed": lambda v: torch.tensor([[1.0, 2.0, v], [4.0, 5.0, 6.0]]).t(),
    "channels last": lambda v: torch.full((2, 3, 4, 5), v).to(memory_format=torch.channels_last),
    "slice": lambda v: torch.full((300, 200), v)[:, 3:100],
    "conjugate": lambda v: torch.tensor([1 + 2j, v]).conj(),
    "empty slice": lambda v: torch.zeros(0, int(v)),
    "scalar": torch.tensor,
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_read(name):
    one, same, other = (LAYOUTS[name](v) for v in (3.0, 3.0, 5.0))
    assert fingerprint(one) == fingerprint(same)
    if name != "empty slice":
        assert fingerprint(one) != fingerprint(other)


def test_an_expanded_tensor_costs_only_what_is_stored():
    assert sum(p.numel() for p in pieces(torch.zeros(1).expand(1 << 40))) == 4
    assert fingerprint(torch.zeros(1).expand(1 << 40)) != fingerprint(torch.ones(1).expand(1 << 40))


def test_dense_views_share_memory_and_are_contiguous():
    for tensor in (torch.rand(2, 3, 4).permute(2, 0, 1), torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)):
        view = dense(tensor)
        assert view.is_contiguous()
        assert view.data_ptr() == tensor.data_ptr()


def test_a_tensor_without_data_is_no_crash():
    assert fingerprint(torch.empty(3, device="meta")) == fingerprint(torch.empty(4, device="meta"))
    freed = torch.ones(1000)
    freed.untyped_storage().resize_(0)
    assert fingerprint(freed) != fingerprint(torch.ones(1000))


def test_reading_moves_no_random_generator():
    state = torch.get_rng_state()
    fingerprint(torch.zeros(SMALL_BYTES))
    assert torch.equal(state, torch.get_rng_state())
