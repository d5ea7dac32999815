"""Inputs and targets where files define them: as names, tuples, functions, loaders and data sets."""

from __future__ import annotations

import pytest
import torch
from scanned_sources import edit, lines_changed

from gradcheck_cli.fixing.draft import CannotPatch

HEAD = """import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

model = nn.Linear(4, 1)
loss_fn = nn.MSELoss()
"""
NAMES = f"{HEAD}x = 100 * torch.randn(64, 4) + 5\ny = 3 * torch.rand(64, 1) - 7\n"
TUPLE = f"{HEAD}x, y = 100 * torch.randn(64, 4) + 5, 3 * torch.rand(64, 1) - 7\n"


def run(text: str) -> dict[str, torch.Tensor]:
    space: dict[str, torch.Tensor] = {}
    exec(compile(text, "patched.py", "exec"), space)
    return space


@pytest.mark.parametrize("text", [NAMES, TUPLE])
def test_inputs_and_targets_are_standardised_by_name(scanned, text):
    new = scanned(text).patched(edit("inputs", how="standardise"), edit("targets", how="standardise"))
    space = run(new)
    for tensor in (space["x"], space["y"]):
        assert tensor.mean(0).abs().max() < 1e-5
        assert tensor.std(0).sub(1).abs().max() < 1e-5


def test_what_is_changed_after_its_definition_is_changed_first(scanned):
    text = NAMES + "x[3, 1] = float('nan')\n"
    space = run(scanned(text).patched(edit("inputs", how="finite")))
    assert (space["x"].shape, space["y"].shape) == ((63, 4), (63, 1))
    assert torch.isfinite(space["x"]).all()


def test_one_feature_and_a_range(scanned):
    space = run(
        scanned(NAMES).patched(edit("inputs", how="feature", feature=2), edit("targets", how="range", low=-1.0, high=1.0))
    )
    assert float(space["x"][:, 2].std()) == pytest.approx(1, abs=1e-3)
    assert float(space["x"][:, 1].std()) > 50
    assert (float(space["y"].min()), float(space["y"].max())) == (-1, 1)


def test_binary_targets_and_their_shape(scanned):
    text = f"{HEAD}x = torch.randn(64, 4)\ny = torch.randint(0, 2, (64,)) * 2.0 - 1\n"
    space = run(scanned(text).patched(edit("targets", how="binary"), edit("targets", how="shape")))
    assert space["y"].shape == (64, 1)
    assert set(space["y"].flatten().tolist()) == {0.0, 1.0}


def test_a_tensor_made_inside_a_data_set_call_gets_a_name(scanned):
    text = f"{HEAD}loader = DataLoader(TensorDataset(9 * torch.randn(64, 4), torch.randn(64, 1)), batch_size=16)\n"
    new = scanned(text).patched(edit("inputs", how="standardise"))
    assert lines_changed(text, new)[0] == "values = 9 * torch.randn(64, 4)"
    assert lines_changed(text, new)[2] == "loader = DataLoader(TensorDataset(values, torch.randn(64, 1)), batch_size=16)"
    assert float(run(new)["values"].std()) == pytest.approx(1, abs=0.01)


def test_a_data_set_that_makes_its_samples_one_by_one_uses_the_measured_numbers(scanned):
    text = (
        HEAD
        + """

class Table(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, i):
        return 50 + 10 * torch.randn(4), torch.randn(1)  # raw


loader = DataLoader(Table(), batch_size=64)
"""
    )
    new = scanned(text).patched(edit("inputs", how="standardise"))
    x, _ = next(iter(run(new)["loader"]))
    assert abs(float(x.mean())) < 0.3
    assert float(x.std()) == pytest.approx(1, abs=0.2)
    assert "# raw" in new


def test_data_that_do_not_come_from_the_file_are_refused(scanned):
    text = HEAD.replace("loss_fn = nn.MSELoss()\n", "")
    with pytest.raises(CannotPatch, match="do not come from the file"):
        scanned(text).patched(edit("inputs", how="standardise"))


FUNCTION = f"""{HEAD}data = 100 * torch.randn(512, 4) + 5
target = torch.rand(512, 1)


def get_batch():
    chosen = torch.randint(0, 512, (64,))
    return {{x}}, target[chosen]
"""


def test_data_that_a_function_takes_its_batches_from_are_measured_themselves(scanned):
    text = FUNCTION.replace("{x}", "data[chosen]")
    scan = scanned(text)
    space = run(scan.patched(edit("inputs", how="standardise")))
    assert space["data"].mean(0).abs().max() < 1e-5
    assert not any("batch" in note for note in scan.notes(edit("inputs", how="standardise")))


def test_numbers_of_one_batch_are_said_to_be_that(scanned):
    scan = scanned(FUNCTION.replace("{x}", "100 * torch.randn(64, 4) + 5"))
    (note,) = scan.notes(edit("inputs", how="standardise"))
    assert "model.py:13: mean" in note
    assert "training data" in note
