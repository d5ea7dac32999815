"""Setups made by hand, as a trial hands them to its edits."""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome, Subject
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import Loop, Setup


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(make, seed=0):
    """A model whose weights are the same each time, without touching the process's generators."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def objective(loss=F.mse_loss, kind="mse"):
    def compute(net, batch):
        output = net(*batch.args, **batch.kwargs)
        return Outcome(loss=loss(output, batch.target), output=output, target=batch.target)

    return Objective(name=kind, kind=kind, origin="test", compute=compute)


def setup(model, *batches, loss=F.mse_loss, kind="mse", optimizer=None, seed=0, **loop) -> Setup:
    """A setup around a copy of the model; batches are Batch or (input, target), the optimizer (name, lr, options)."""
    made = tuple(b if isinstance(b, Batch) else Batch(args=(b[0],), target=b[1]) for b in batches)
    name, lr, options = optimizer or ("SGD", 0.1, {})
    spec = OptimizerSpec(name=name, lr=lr, options=options)
    judged = objective(loss, kind)
    subject = Subject(
        model=copy_model(model).model, batches=made, objectives=(judged,), optimizer=spec, sites={}, target="test"
    )
    profile = probe(subject, judged, Settings(target="test"))
    return Setup(subject=subject, objective=judged, profile=profile, loop=Loop(optimizer=spec, **loop), seed=seed)


def loss_of(setup: Setup, batch=0) -> torch.Tensor:
    return setup.objective.compute(setup.subject.model, setup.subject.batches[batch]).loss


def fingerprint(value) -> list[tuple]:
    """Bits, types and identities-free structure of every tensor, to see that nothing was edited in place."""
    from gradcheck_cli.probing.tensors import named_tensors_in

    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if dataclasses.is_dataclass(value):
        value = [value.args, value.kwargs, value.target]
    return [(n, t.dtype, tuple(t.shape), t.detach().float().numpy().tobytes()) for n, t in named_tensors_in(value)]
