"""Lightning modules: training_step is the loss, with a real trainer only where the step asks for one."""

from __future__ import annotations

import copy

import pytest
import torch

pytest.importorskip("lightning")

HEAD = """
import lightning as L

class Lit(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x)
    def configure_optimizers(self):
        return {"optimizer": torch.optim.AdamW(self.parameters(), lr=3e-4)}
"""
STEP = """
    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("loss", loss)
        return loss
"""
TRAINER_STEP = """
    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y) * (1 + self.trainer.current_epoch)
        self.log("loss", loss, prog_bar=True)
        return {"loss": loss}
"""
BATCH = "\nbatch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))\n"


def plain_loss(model, batch):
    x, y = batch.args[0], batch.target
    return torch.nn.functional.cross_entropy(model.layer(x), y)


def test_step_is_called_directly(load_text):
    subject = load_text(HEAD + STEP + BATCH)
    objective = subject.objectives[0]
    assert (objective.name, objective.kind, objective.origin) == ("training_step", "model", "found: training_step")
    assert torch.equal(objective.compute(subject.model, subject.batches[0]).loss, plain_loss(subject.model, subject.batches[0]))
    assert (subject.optimizer.name, subject.optimizer.lr, subject.optimizer.origin) == (
        "AdamW",
        3e-4,
        "found: configure_optimizers",
    )
    assert subject.assumptions == ()


def test_step_that_needs_a_trainer_gets_one_and_no_update(load_text, folder):
    subject = load_text(HEAD + TRAINER_STEP + BATCH)
    before = copy.deepcopy(subject.model.state_dict())
    outcome = subject.objectives[0].compute(subject.model, subject.batches[0])
    assert torch.equal(outcome.loss, plain_loss(subject.model, subject.batches[0]))
    outcome.loss.backward()
    assert subject.model.layer.weight.grad.abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    assert (
        "`training_step` needs a trainer: it was run in Trainer(fast_dev_run=1), stopped before backward" in subject.assumptions
    )
    assert not [path for path in folder.iterdir() if path.name != "model.py"], "the trainer wrote files"


def test_copy_is_stepped_and_not_the_original(load_text):
    subject = load_text(HEAD + TRAINER_STEP + BATCH)
    copied = copy.deepcopy(subject.model)
    subject.objectives[0].compute(copied, subject.batches[0]).loss.backward()
    assert subject.model.layer.weight.grad is None
    assert copied.layer.weight.grad is not None


def test_loaders_of_the_module_and_of_a_data_module(load_text):
    rows = "torch.utils.data.TensorDataset(torch.randn(30, 4), torch.randint(0, 3, (30,)))"
    data = f"torch.utils.data.DataLoader({rows}, batch_size=10)"
    own = load_text(f"{HEAD}{STEP}    def train_dataloader(self):\n        return {data}\n")
    module = load_text(
        f"{HEAD}{STEP}class Data(L.LightningDataModule):\n    def train_dataloader(self):\n        return {data}\n"
    )
    for subject in (own, module):
        assert [batch.args[0].shape for batch in subject.batches] == [(10, 4)] * 3


def test_batch_is_made_up_without_data(load_text):
    subject = load_text(HEAD + STEP)
    assert subject.batches[0].args[0].shape == (32, 4)
    assert subject.objectives[0].compute(subject.model, subject.batches[0]).loss.isfinite()
    assert any("made-up targets" in sentence for sentence in subject.assumptions)


def test_loss_flag_stands_above_the_step(load_text):
    subject = load_text(HEAD + TRAINER_STEP + BATCH, loss="cross_entropy")
    loss = subject.objectives[0].compute(subject.model, subject.batches[0]).loss
    assert subject.objectives[0].kind == "cross_entropy"
    assert torch.equal(loss, plain_loss(subject.model, subject.batches[0]))


def test_manual_optimization_is_measured_at_its_first_backward(load_text):
    subject = load_text(
        HEAD.replace("super().__init__()", "super().__init__()\n        self.automatic_optimization = False")
        + """
    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()
"""
        + BATCH
    )
    assert "the training step optimizes by hand: the loss of its first manual_backward is measured" in subject.assumptions
    before = subject.model.layer.weight.detach().clone()
    outcome = subject.objectives[0].compute(subject.model, subject.batches[0])
    assert torch.equal(outcome.loss, plain_loss(subject.model, subject.batches[0]))
    assert torch.equal(subject.model.layer.weight, before)


def test_optimizer_that_needs_a_trainer_is_left_out(load_text):
    subject = load_text(HEAD.replace("lr=3e-4", "lr=1 / self.trainer.max_epochs") + STEP + BATCH)
    assert subject.optimizer is None
    assert "no update ratio: configure_optimizers() needs a trainer (RuntimeError)" in subject.assumptions


def test_module_without_a_step_is_a_plain_model(load_text):
    subject = load_text(HEAD + BATCH)
    assert subject.objectives[0].kind == "cross_entropy"
