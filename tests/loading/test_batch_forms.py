"""A batch is taken apart for forward and put together again for the user's own loss, whatever its form."""

from __future__ import annotations

from collections import UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradcheck_cli.loading.fit_batch import fit
from gradcheck_cli.loading.signatures import Signature
from gradcheck_cli.loading.tensor_tree import map_tensors, named_tensors

Pair = namedtuple("Pair", "image label")


@dataclass
class Sample:
    image: Tensor
    label: Tensor


def tensor() -> Tensor:
    return torch.randn(2, 3)


def leaves(raw: Any) -> list[tuple[str, Tensor]]:
    return list(named_tensors(raw))


def same(first: Any, second: Any) -> bool:
    pairs = zip(leaves(first), leaves(second), strict=True)
    return type(first) is type(second) and all(a == b and torch.equal(t, u) for (a, t), (b, u) in pairs)


NAMES = st.sampled_from(["x", "image", "mask", "input_ids", "labels", "target", "y", "extra"])
RAWS = st.one_of(
    st.builds(tensor),
    st.lists(st.builds(tensor), min_size=1, max_size=4),
    st.lists(st.builds(tensor), min_size=1, max_size=4).map(tuple),
    st.dictionaries(NAMES, st.builds(tensor), min_size=1, max_size=4),
    st.dictionaries(NAMES, st.builds(tensor), min_size=1, max_size=4).map(UserDict),
    st.tuples(st.lists(st.builds(tensor), min_size=1, max_size=3).map(tuple), st.builds(tensor)),
    st.tuples(st.dictionaries(NAMES, st.builds(tensor), min_size=1, max_size=3), st.builds(tensor)),
    st.builds(Pair, st.builds(tensor), st.builds(tensor)),
    st.builds(Sample, st.builds(tensor), st.builds(tensor)),
)
SIGNATURES = st.builds(
    lambda names, needed, rest, keywords: Signature(
        positional=tuple(names), required=tuple(names[:needed]), var_positional=rest, var_keyword=keywords
    ),
    st.lists(NAMES, max_size=4, unique=True),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(raw=RAWS, forward=SIGNATURES, apart=st.booleans(), to_model=st.booleans(), has_target=st.booleans())
def test_whatever_is_taken_apart_can_be_put_together(raw, forward, apart, to_model, has_target):
    layout = fit(raw, forward, taken_apart=apart, targets_to_model=to_model, has_target=has_target)
    batch = layout.batch(raw)
    assert same(batch.assemble(batch.args, batch.kwargs, batch.target), raw)


@settings(max_examples=100, deadline=None)
@given(raw=RAWS, forward=SIGNATURES)
def test_changed_tensors_arrive_in_the_assembled_batch(raw, forward):
    batch = fit(raw, forward).batch(raw)
    args, kwargs = map_tensors(batch.args, lambda t: t + 1), map_tensors(dict(batch.kwargs), lambda t: t + 1)
    before = dict(leaves(raw))
    after = dict(leaves(batch.assemble(args, kwargs, batch.target)))
    assert list(after) == list(before)
    moved = {id(t) for _, t in leaves(list(batch.args)) + leaves(dict(batch.kwargs))}
    for path, value in before.items():
        assert torch.equal(after[path], value + 1 if id(value) in moved else after[path])


FORWARD_X = Signature(positional=("x",), required=("x",))
FORWARD_TWO = Signature(positional=("a", "b"), required=("a", "b"))
FORWARD_LABELS = Signature(positional=("x", "labels"), required=("x",))
A, B, Y = torch.zeros(2), torch.ones(2), torch.tensor([0, 1])
PLACES = [
    ("input and target", (A, Y), FORWARD_X, [A], {}, Y),
    ("two inputs", (A, B), FORWARD_TWO, [A, B], {}, None),
    ("two inputs and target", (A, B, Y), FORWARD_TWO, [A, B], {}, Y),
    ("nested inputs", ((A, B), Y), FORWARD_TWO, [A, B], {}, Y),
    ("target that the model takes", (A, Y), FORWARD_LABELS, [A], {"labels": Y}, Y),
    ("names", {"a": A, "b": B, "label": Y}, FORWARD_TWO, [], {"a": A, "b": B}, Y),
    ("names and labels for the model", {"x": A, "labels": Y}, FORWARD_LABELS, [], {"x": A, "labels": Y}, Y),
    ("other names", {"image": A, "label": Y}, FORWARD_X, [A], {}, Y),
    ("named inputs and target", ({"a": A, "b": B}, Y), FORWARD_TWO, [], {"a": A, "b": B}, Y),
    ("one tensor", A, FORWARD_X, [A], {}, None),
    ("a tuple of one", (A,), FORWARD_X, [A], {}, None),
]


@pytest.mark.parametrize(("name", "raw", "forward", "args", "kwargs", "target"), PLACES, ids=[p[0] for p in PLACES])
def test_places(name, raw, forward, args, kwargs, target):
    batch = fit(raw, forward).batch(raw)
    assert list(batch.args) == args
    assert dict(batch.kwargs) == kwargs
    assert batch.target is target


def test_labels_stay_from_the_model_when_the_file_has_its_own_loss():
    batch = fit({"x": A, "labels": Y}, FORWARD_LABELS, targets_to_model=False).batch({"x": A, "labels": Y})
    assert dict(batch.kwargs) == {"x": A}
    assert batch.target is Y


def test_tokenizer_like_mappings_keep_their_class_on_the_way():
    class Encoding(UserDict):
        def __getattr__(self, name):
            return self.__dict__["data"][name]

    moved = map_tensors(Encoding({"input_ids": A}), lambda t: t + 1)
    assert type(moved) is Encoding
    assert torch.equal(moved.input_ids, A + 1)
