"""Half-precision models computed in bfloat16 or float32."""

from __future__ import annotations

import copy

import pytest
import torch
from prepared import data, drawn, fingerprint, loss_of, setup
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply


class Mixed(nn.Module):
    """float16 layers around a norm that the user keeps in float32, with tied weights and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8).half()
        self.rnn = nn.GRU(8, 8, batch_first=True).half()
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 10, bias=False).half()
        self.head.weight = self.embedding.weight
        self.register_buffer("shift", torch.ones(8, dtype=torch.float16))

    def forward(self, tokens, scale):
        h, _ = self.rnn(self.embedding(tokens) * scale)
        return self.head((self.norm(h.float()).to(h.dtype) + self.shift)[:, -1])


TOKENS = torch.arange(12).reshape(4, 3) % 10


def _made():
    batch = Batch(args=(TOKENS,), kwargs={"scale": data(4, 3, 1).half()}, target=data(4, 10, seed=1).half())
    return setup(drawn(Mixed), batch, loss=lambda o, t: F.mse_loss(o.float(), t.float()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_equals_the_model_cast_by_hand(dtype: torch.dtype) -> None:
    made = _made()
    edited = apply(made, (Edit(kind="precision", options={"dtype": str(dtype).removeprefix("torch.")}),))
    by_hand = copy.deepcopy(drawn(Mixed)).to(dtype)
    by_hand.norm.float()
    batch = made.subject.batches[0]
    output = by_hand(TOKENS, batch.kwargs["scale"].to(dtype))
    torch.testing.assert_close(edited.objective.compute(edited.subject.model, edited.subject.batches[0]).output, output)
    loss_of(edited).backward()
    F.mse_loss(output.float(), batch.target.to(dtype).float()).backward()
    for mine, expected in zip(edited.subject.model.parameters(), by_hand.parameters(), strict=True):
        assert mine.dtype == expected.dtype
        torch.testing.assert_close(mine.grad, expected.grad)
    model = edited.subject.model
    assert model.head.weight is model.embedding.weight
    assert model.shift.dtype == dtype
    assert edited.subject.batches[0].args[0].dtype == torch.int64


def test_the_batches_before_stay() -> None:
    made = _made()
    before = fingerprint(made.subject.batches[0])
    apply(made, (Edit(kind="precision", options={"dtype": "bfloat16"}),))
    assert fingerprint(made.subject.batches[0]) == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_model_in_float32_has_nothing_to_cast(dtype: str) -> None:
    made = setup(drawn(lambda: nn.Linear(4, 2)), (data(8, 4), data(8, 2)))
    with pytest.raises(NotApplicable, match="no parameter is in float16"):
        apply(made, (Edit(kind="precision", options={"dtype": dtype}),))
