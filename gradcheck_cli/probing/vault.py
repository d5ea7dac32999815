"""Copies of tensors' values: in memory while they are few, in an unnamed temporary file beyond."""

from __future__ import annotations

import tempfile
from typing import IO

import torch
from torch import Tensor

from gradcheck_cli.probing.bits import components, dense, pieces, raw

# Tensors are cloned, smallest first, up to this many bytes together; the rest goes to a temporary file, written plainly
# (a memory map would count as resident memory). Small against the 300 MB that torch itself occupies; chosen by us.
CLONE_LIMIT = 16 << 20


class Vault:
    """Copies of tensors' values, in memory up to CLONE_LIMIT and in an unnamed temporary file beyond."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.clones: dict[str, tuple[Tensor, ...]] = {}
        self.spilled: dict[str, int] = {}  # label → offset in the file
        self.file: IO[bytes] | None = None
        room = CLONE_LIMIT
        for label, parts in sorted(((n, _parts(t)) for n, t in tensors.items()), key=lambda item: _size(item[1])):
            room -= _size(parts)
            if room >= 0:
                self.clones[label] = tuple(p.clone() for p in parts)
            else:
                self._spill(label, parts)

    def _spill(self, label: str, parts: tuple[Tensor, ...]) -> None:
        if self.file is None:
            self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self.file.seek(0, 2)
        offset = self.file.tell()
        try:
            for piece in (piece for part in parts for piece in pieces(part)):
                self.file.write(raw(piece))
        except OSError:  # the disk is full: a change will be found and named, but cannot be undone
            return
        self.spilled[label] = offset

    def write_back(self, label: str, tensor: Tensor) -> None:
        """Copy the kept values into a tensor of the same layout; does nothing when they were not kept."""
        parts = _parts(tensor)
        if label in self.clones:
            for part, clone in zip(parts, self.clones[label], strict=True):
                if part.shape == clone.shape:
                    part.copy_(clone)
        elif label in self.spilled and self.file is not None:
            self.file.seek(self.spilled[label])
            for part in parts:
                whole = part if part.is_contiguous() else torch.empty_like(part, memory_format=torch.contiguous_format)
                for piece in pieces(whole):
                    piece.copy_(torch.frombuffer(bytearray(self.file.read(piece.numel())), dtype=torch.uint8))
                if whole is not part:
                    part.copy_(whole)

    def close(self) -> None:
        """Give the disk space back."""
        if self.file is not None:
            self.file.close()


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """Gap-free views of a tensor's values, () for one that has no memory of its own to save."""
    try:
        with torch._C.DisableTorchFunctionSubclass():
            return tuple(dense(part) for part in components(tensor))
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return ()


def _size(parts: tuple[Tensor, ...]) -> int:
    return sum(part.numel() * part.element_size() for part in parts)
