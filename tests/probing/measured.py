"""Subjects made by hand, so that tests of the probe need no file to load."""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome, Subject
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Profile
from gradcheck_cli.settings import Settings

LOSSES = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "bce": F.binary_cross_entropy,
    "bce_logits": F.binary_cross_entropy_with_logits,
}


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def classes(count, size, seed=1):
    return torch.randint(0, size, (count,) if isinstance(count, int) else count, generator=torch.Generator().manual_seed(seed))


def projected(output, target):
    """A loss whose gradient at the output is fixed: the output times random numbers."""
    return (output * data(*output.shape, seed=7).to(output)).sum()


def subject(
    model, inputs, target=None, *, loss=projected, kind="projection", optimizer=None, sites=None, ignore_index=None
) -> Subject:
    """`loss` is a function of output and target, or a key of LOSSES; `inputs` a tensor or a tuple of them."""
    if isinstance(loss, str):
        loss, kind = LOSSES[loss], loss

    def compute(net, batch):
        output = net(*batch.args, **batch.kwargs)
        return Outcome(loss=loss(output, batch.target), output=output, target=batch.target)

    batch = Batch(args=inputs if isinstance(inputs, tuple) else (inputs,), target=target)
    objective = Objective(name=kind, kind=kind, origin="test", compute=compute, ignore_index=ignore_index)
    spec = OptimizerSpec(name=optimizer[0], lr=optimizer[1], options=optimizer[2]) if optimizer else None
    return Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=spec, sites=sites or {}, target="test")


def profile(model, inputs, target=None, *, exact=True, seed=0, **details) -> Profile:
    """Probe a model; histograms are exact here unless said otherwise."""
    made = subject(model, inputs, target, **details)
    return probe(made, made.objectives[0], Settings(target="test", seed=seed, exact=exact))


def rescaled(made: Subject, factor: float) -> Subject:
    """The same subject with its loss multiplied by a number."""
    first = made.objectives[0]

    def compute(net, batch):
        outcome = first.compute(net, batch)
        return dataclasses.replace(outcome, loss=outcome.loss * factor)

    return dataclasses.replace(made, objectives=(dataclasses.replace(first, compute=compute),))
