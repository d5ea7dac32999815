"""Models to edit, and what becomes of the original."""

import dataclasses
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.trials.workbench import Workbench


def compute(model: nn.Module, batch: Batch) -> Outcome:
    output = model(*batch.args)
    return Outcome(loss=F.mse_loss(output, batch.target), output=output, target=batch.target)


def subject_of(model: nn.Module) -> Subject:
    torch.manual_seed(0)
    batch = Batch(args=(torch.randn(8, 4),), target=torch.randn(8, 2))
    objective = Objective(name="mse", kind="mse", origin="test", compute=compute)
    return Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target="model.py")


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class WithLock(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class WithGenerator(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.stream = (i for i in range(3))


class WithClosure(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda x: self.first(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.step(x)))


def old_weight_norm() -> nn.Module:
    model = Plain()
    with pytest.warns(FutureWarning):
        torch.nn.utils.weight_norm(model.first)
    model(torch.ones(1, 4))  # the cached weight now belongs to a graph, which deepcopy refuses
    return model


MODELS: list[Callable[[], nn.Module]] = [Plain, WithLock, WithGenerator, WithClosure, old_weight_norm]


@pytest.mark.parametrize("build", MODELS, ids=lambda b: b.__name__)
def test_whatever_is_done_to_the_model_handed_out_the_original_stays(build: Callable[[], nn.Module]) -> None:
    model = build()
    subject = subject_of(model)
    bench = Workbench(subject, seed=0)
    model.zero_grad()
    before = digest(model)
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    for _ in range(2):
        with bench.fresh() as mine:
            for name, parameter in mine.model.named_parameters():
                assert torch.equal(parameter, weights[name])
            optimizer = torch.optim.SGD(mine.model.parameters(), lr=0.5)
            compute(mine.model, mine.batches[0]).loss.backward()
            optimizer.step()
            mine.model.second = nn.Identity()
            mine.model.register_buffer("extra", torch.ones(1))
            mine.model.train(False)
            assert any(not torch.equal(p, weights[n]) for n, p in mine.model.named_parameters())
    assert digest(model) == before
    assert all(p.grad is None for p in model.parameters())


def test_a_closure_that_leads_back_is_noticed_and_said() -> None:
    bench = Workbench(subject_of(WithClosure()), seed=0)
    assert "closure" in bench.remark
    assert Workbench(subject_of(Plain()), seed=0).remark == ""


def test_put_back_also_when_the_trial_is_interrupted() -> None:
    model = WithClosure()
    bench = Workbench(subject_of(model), seed=0)
    weight = model.first.weight.detach().clone()

    def interrupted() -> None:
        with bench.fresh() as mine, torch.no_grad():
            mine.model.first.weight.zero_()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(model.first.weight, weight)


@pytest.mark.parametrize("error", [KeyError("state"), AssertionError(), RuntimeError("no")])
def test_a_copy_that_does_not_run_is_replaced_by_the_model_itself(error: Exception) -> None:
    model = Plain()

    def only_the_original(used: nn.Module, batch: Batch) -> Outcome:
        if used is not model:
            raise error
        return compute(used, batch)

    objective = Objective(name="mse", kind="mse", origin="test", compute=only_the_original)
    bench = Workbench(dataclasses.replace(subject_of(model), objectives=(objective,)), seed=0)
    assert "a copy does not run" in bench.remark
    with bench.fresh() as mine:
        assert mine.model is model
