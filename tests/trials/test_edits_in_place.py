import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import apply, with_subject
from tests.trials.setups import setup_of

EDITS = [
    Edit(kind="normalise", layers=("0", "3"), options={"norm": "batch"}),
    Edit(kind="residual", layers=("3",)),
    Edit(kind="residual", layers=("6",)),
    Edit(kind="replace_norm", layers=("1",), options={"norm": "layer"}),
    Edit(kind="initialise", layers=("0", "3"), options={"scheme": "lsuv"}),
    Edit(kind="scale_weights", layers=("3",), options={"factor": 2.0}),
    Edit(kind="bias", layers=("3",), options={"value": 1.0}),
    Edit(kind="open_gate", layers=("4.weight",), options={"value": 0.1}),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda e: f"{e.kind}-{','.join(e.layers)}")
def test_a_model_edited_itself_is_put_back(edit):
    """What cannot be copied is edited itself, in a sandbox that puts every bit, child, hook and generator back."""
    torch.manual_seed(0)
    block = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 8))
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.LayerNorm(8), nn.Dropout(0.0), block
    )  # fmt: skip
    inputs = torch.randn(6, 4)
    setup = setup_of(model, inputs)
    before, plain = digest(model), setup.subject.model(inputs)
    state = torch.get_rng_state()
    with untouched(model):
        edited = apply(with_subject(setup, model=model), [edit])
        assert torch.equal(torch.get_rng_state(), state)
        output = edited.subject.model(inputs)
        output.sum().backward()
        assert not torch.allclose(output, plain)
    assert digest(model) == before
