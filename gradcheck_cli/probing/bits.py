"""Bit-exact fingerprints of tensors: NaN equals itself, and -0.0 differs from 0.0.

`torch.hash_tensor` is an XOR over the elements: zeros(8) and ones(8) have the same hash, and so have a tensor and its
permutation. So each 64-bit word is first mixed with keys that depend on its position (two odd multiplications around
an xor-shift, all one-to-one, hence one changed word always shows); the words of a chunk are summed, and the sums go to
blake2b. About 4 GB/s on one core, against 0.5 GB/s for blake2b over the bytes.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

CHUNK_BYTES = 1 << 20  # keys, buffers and chunk stay in the cache, and the loop costs nothing
SMALL_BYTES = 1 << 14  # below this one blake2b call is faster than the mixing
_UNREADABLE = (RuntimeError, NotImplementedError, TypeError, AttributeError)


def fingerprint(tensor: Tensor) -> bytes:
    """Hash the stored bits of a tensor of any layout (16 bytes); one without data (meta, fake) gives a constant."""
    state = hashlib.blake2b(digest_size=16)
    try:
        with torch._C.DisableTorchFunctionSubclass():
            for part in components(tensor.data):
                _update(state, part)
    except _UNREADABLE as error:
        state.update(f"unreadable: {type(error).__name__}".encode())
    return state.digest()


def hash_bytes(data: bytes) -> bytes:
    """Hash bytes to 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


def components(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the strided tensors that hold a tensor's values: itself, or indices and values of a sparse one."""
    if tensor.is_meta or (tensor.numel() and _is_freed(tensor)):
        return ()
    if tensor.layout is torch.strided and not (tensor.is_quantized or tensor.is_nested):
        return (tensor,)
    if tensor.is_quantized:
        return (tensor.int_repr(),)
    if tensor.is_nested:
        jagged = tensor.layout == torch.jagged
        return (tensor.values(), cast(Any, tensor).offsets()) if jagged else (tensor.values(),)
    if tensor.layout == torch.sparse_coo:
        return (tensor._indices(), tensor._values())
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    if tensor.is_mkldnn:
        return (tensor.to_dense(),)
    raise NotImplementedError(f"the values of layout {tensor.layout}")


def _is_freed(tensor: Tensor) -> bool:
    """Say whether the storage was given back (`resize_(0)`, as sharded training does), so that reading would crash."""
    return tensor.layout is torch.strided and not tensor.is_nested and tensor.data_ptr() == 0


def dense(tensor: Tensor) -> Tensor:
    """View each stored element of a strided tensor once, slowest dimension first: contiguous if it has no gaps."""
    if tensor.is_contiguous():
        return tensor
    for dim in reversed(range(tensor.dim())):
        if tensor.stride(dim) == 0 and tensor.size(dim) > 1:  # expanded: a small storage may claim terabytes
            tensor = tensor.select(dim, 0)
    return tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))


def pieces(tensor: Tensor, size: int = CHUNK_BYTES) -> Iterator[Tensor]:
    """Yield a strided tensor's stored bytes as flat uint8 tensors of at most `size` bytes; views wherever possible."""
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    tensor = dense(tensor)
    if not tensor.numel():
        return
    if tensor.is_contiguous():
        flat = tensor.reshape(-1).view(torch.uint8)
        yield from torch.split(flat, size) if flat.numel() > size else (flat,)
        return
    row = tensor[0].numel() * tensor.element_size()
    for rows in torch.split(tensor, max(1, size // max(1, row))):  # a slice of a larger storage: copied piece by piece
        yield from torch.split(rows.contiguous().reshape(-1).view(torch.uint8), size)


def raw(tensor: Tensor) -> bytes:
    """Copy the bytes of a contiguous tensor. Not by `.numpy()`, which for ever forbids its storage to be resized."""
    tensor = tensor.cpu()
    size = tensor.numel() * tensor.element_size()
    return ctypes.string_at(tensor.data_ptr(), size) if size else b""


def _update(state: hashlib.blake2b, tensor: Tensor) -> None:
    size = tensor.numel() * tensor.element_size()
    if size <= SMALL_BYTES:
        for piece in (tensor,) if tensor.is_contiguous() else pieces(tensor):
            state.update(raw(piece))
        return
    sums = [_mixed_sum(piece) for piece in pieces(tensor)]
    state.update(raw(torch.stack(sums)))


def _mixed_sum(piece: Tensor) -> Tensor:
    """Sum the mixed 64-bit words of one chunk, modulo 2^64 (0-d int64)."""
    if piece.numel() % 8 or piece.storage_offset() % 8 or piece.data_ptr() % 8:
        padded = torch.zeros(-(-piece.numel() // 8) * 8, dtype=torch.uint8, device=piece.device)
        padded[: piece.numel()] = piece
        piece = padded
    words = piece.view(torch.int64)
    first, second, product, shifted = (t[: words.numel()] for t in _workspace(words.device))
    torch.mul(words, first, out=product)
    torch.bitwise_right_shift(product, 29, out=shifted)
    return product.bitwise_xor_(shifted).mul_(second).sum()


@functools.lru_cache(maxsize=8)
def _workspace(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two sets of odd random keys, from a generator of our own, and two buffers (int64, one chunk each)."""
    generator = torch.Generator(device="cpu").manual_seed(0x67726164)
    shape = (2, CHUNK_BYTES // 8)
    keys = torch.randint(-(2**63), 2**63 - 1, shape, generator=generator, dtype=torch.int64, device="cpu") | 1
    buffers = torch.empty(shape, dtype=torch.int64, device=device)
    first, second = keys.to(device)
    product, shifted = buffers
    return first, second, product, shifted
