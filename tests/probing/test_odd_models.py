"""Models and batches that a forward pass, or torch's own tensor kinds, make unusual; and inputs that cannot be varied."""

from __future__ import annotations

import torch
from torch import nn

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.settings import Settings


def profile_of(model, batch, loss=lambda output: output.square().mean()):
    def compute(model, batch):
        output = model(*batch.args)
        return Outcome(loss=loss(output), output=output)

    objective = Objective(name="loss", kind="other", origin="", compute=compute)
    subject = Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target="m.py")
    return probe(subject, objective, Settings(target="m.py"))


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        self.add_module(f"late{len(self._modules)}", nn.Linear(1, 1))
        return self.layer(x)


def test_a_module_that_forward_registers_is_no_layer_and_does_not_stay():
    model = Growing()
    profile = profile_of(model, Batch(args=(torch.randn(5, 4),)))
    assert {x.name for x in profile.layers if not x.functional} == {"layer", ""}
    assert list(model._modules) == ["layer"]


def test_a_jagged_batch_is_measured_by_its_values():
    rows = [torch.randn(3, 4), torch.randn(5, 4)]
    model = nn.Linear(4, 2)
    jagged = torch.nested.nested_tensor(rows, layout=torch.jagged)
    profile = profile_of(model, Batch(args=(jagged,)), lambda output: output.values().square().mean())
    plain = model(torch.cat(rows)).detach()
    assert profile.objective.output_min == plain.min().item()
    assert profile.objective.output_max == plain.max().item()
    assert profile.objective.output_units == 2
    assert profile.input_dependence is None


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, texts):
        return self.layer(torch.tensor([[float(len(text))] for text in texts]))


def test_text_cannot_be_varied_so_nothing_is_said_of_the_dependence_on_it():
    assert profile_of(Text(), Batch(args=(["a", "bcd"],))).input_dependence is None


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(torch.ones(len(x), 4))


def test_an_ignored_input_is_seen_and_left_as_it_was():
    x = torch.randn(5, 4)
    before = x.clone()
    assert profile_of(Constant(), Batch(args=(x,))).input_dependence == 0.0
    assert torch.equal(x, before)


def test_an_input_of_one_value_or_made_in_inference_mode_cannot_be_varied():
    with torch.inference_mode():
        fixed = torch.randn(5, 4)
    for x in (fixed, torch.ones(5, 4, dtype=torch.int64), torch.ones(5, 4, dtype=torch.bool)):
        assert profile_of(Constant(), Batch(args=(x,))).input_dependence is None
