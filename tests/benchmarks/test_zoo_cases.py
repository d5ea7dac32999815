"""The zoo itself: enough networks, every mechanism twice, sick ones sick by plain PyTorch, one network for one seed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from evidence import evidence
from zoo.cases import MECHANISMS
from zoo.catalogue import HEALTHY, SICK, load_cases

OWN = tuple(file for file in HEALTHY if file not in ("healthy_transformers", "healthy_packages"))


@pytest.fixture(scope="module")
def healthy():
    return load_cases(OWN)


@pytest.fixture(scope="module")
def sick():
    return load_cases(SICK)


def test_there_are_enough_networks_of_each_state(healthy, sick):
    assert len(healthy) >= 80
    assert len(sick) >= 90
    assert not any(case.expect for case in healthy.values())
    assert all(case.expect for case in sick.values())


def test_every_mechanism_that_looks_sick_stands_at_least_twice_among_the_healthy(healthy):
    counted = Counter(m for case in healthy.values() for m in case.mechanism.split(",") if m)
    assert set(counted) == set(MECHANISMS)
    assert min(counted.values()) >= 2


def test_whatever_a_healthy_network_may_raise_is_defended_in_words(healthy):
    assert all(bool(case.defence) == bool(case.also_allowed) for case in healthy.values())


def test_every_sick_network_is_sick_by_plain_pytorch(sick):
    lacking = {name: words for name, case in sick.items() for shown, words in [evidence(case)] if not shown}
    assert lacking == {}


@pytest.mark.parametrize("name", ["resnet-18", "gpt-tied", "lstm-tagger", "dcgan"])
def test_a_seed_gives_the_same_network_and_batches(healthy, name):
    one, two, other = healthy[name].build(0), healthy[name].build(0), healthy[name].build(1)
    weights = [torch.cat([p.detach().flatten() for p in s.model.parameters()]) for s in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(one.batches[2].args[0], two.batches[2].args[0])
    assert not torch.equal(one.batches[0].args[0], one.batches[1].args[0])
