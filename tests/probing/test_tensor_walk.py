"""Tensors inside whatever a module returns: all of them, once, in a stable order, without side effects."""

from __future__ import annotations

import collections
from dataclasses import dataclass

import torch
from torch import nn

from gradcheck_cli.probing.tensors import named_tensors_in, tensors_in

A, B, C = (torch.full((1,), float(i)) for i in range(3))


@dataclass
class Pair:
    left: object
    right: object


class Slotted:
    __slots__ = ("one", "unset")

    def __init__(self, one):
        self.one = one


class Lazy:
    """Reading its property costs something, and its iterator can be read once."""

    def __init__(self, tensor):
        self.tensor, self.read = tensor, 0

    @property
    def expensive(self):
        self.read += 1
        return B


Named = collections.namedtuple("Named", "first second")


def found(obj):
    return [t.item() for t in tensors_in(obj)]


def test_nests():
    assert found(A) == [0.0]
    assert found([A, (B, {"c": C})]) == [0.0, 1.0, 2.0]
    assert found({"x": [A], "y": Pair(B, Slotted(C))}) == [0.0, 1.0, 2.0]
    assert found(Named(A, collections.deque([B, C]))) == [0.0, 1.0, 2.0]
    assert found((A, None, 3, "text", torch.float32, nn.Linear(2, 2), len)) == [0.0]


def test_paths():
    pairs = named_tensors_in({"logits": A, "states": (B, Pair(C, None))})
    assert [name for name, _ in pairs] == ["logits", "states.0", "states.1.left"]
    assert [name for name, _ in named_tensors_in(A)] == [""]
    assert [name for name, _ in named_tensors_in([A], "inputs")] == ["inputs.0"]


def test_nothing_is_consumed_or_computed():
    generator, lazy = (t for t in (A, B)), Lazy(C)
    assert found([generator, lazy, iter([A])]) == [2.0]
    assert list(generator) == [A, B]
    assert lazy.read == 0


def test_cycles_and_depth_end():
    loop = [A]
    loop.append(loop)
    assert found(loop) == [0.0]
    deep = A
    for _ in range(5000):
        deep = [deep]
    assert found([deep, B]) == [1.0]
    assert len(found([torch.zeros(1)] * 50_000)) < 50_000


def test_the_same_object_in_two_places_counts_twice_only_as_a_tensor():
    shared = [A]
    assert found([A, A]) == [0.0, 0.0]
    assert found([shared, shared]) == [0.0]
